"""The four modes of weighing a prompt (A1111's), and their effect on embeddings, on the host."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from diffusion.catalogue import Catalogue

__all__ = ["EMPHASES", "Emphasis", "weigh_embeddings"]

MAX_RESCALING: Final = 10.0


@dataclass(frozen=True)
class Emphasis:
    """A mode of weighing.

    ``reads_brackets``: brackets, words such as ``BREAK`` and ``AND``, and comments have a meaning.
    ``weighs``: weights count. ``keeps_mean``: a weighted chunk is rescaled to the mean that it had.
    """

    name: str
    label: str
    reads_brackets: bool
    weighs: bool
    keeps_mean: bool
    aliases: tuple[str, ...] = ()


EMPHASES: Final = Catalogue(
    "emphasis",
    (
        Emphasis("original", "Original", reads_brackets=True, weighs=True, keeps_mean=True),
        Emphasis("no_norm", "No norm", reads_brackets=True, weighs=True, keeps_mean=False),
        Emphasis("ignore", "Ignore", reads_brackets=True, weighs=False, keeps_mean=False),
        Emphasis("none", "None", reads_brackets=False, weighs=False, keeps_mean=False),
    ),
)


def weigh_embeddings(
    states: NDArray[Any], weights: NDArray[np.float64], keeps_mean: bool
) -> NDArray[np.float32]:
    """Multiply embeddings (chunks, tokens, width) by their tokens' weights (chunks, tokens).

    With ``keeps_mean`` each chunk is rescaled to the mean that all its numbers had before. The
    factor stays within ±10, since a mean near zero after weighing would need a factor of any size.
    A chunk whose weights are all 1 keeps its bits.
    """
    before = states.astype(np.float64)
    after = before * weights[:, :, None]
    if keeps_mean:
        for old, new in zip(before, after, strict=True):
            new *= _rescaling_factor(float(old.mean()), float(new.mean()))  # noqa: PLW2901 - in place
    return after.astype(np.float32)


def _rescaling_factor(before: float, after: float) -> float:
    """Return the factor from the mean ``after`` weighing to that ``before``, within ±10."""
    if abs(before) >= MAX_RESCALING * abs(after):
        sign = -1.0 if before * after < 0 else 1.0
        return sign * (MAX_RESCALING if after else 1.0)
    return before / after
