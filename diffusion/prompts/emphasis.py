"""What weights do: the four modes that the field knows (A1111's WebUI), on host arrays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from diffusion.catalogue import Catalogue

__all__ = ["EMPHASES", "Emphasis", "weigh"]

_MOST_RESCALING: Final = 10.0


@dataclass(frozen=True)
class Emphasis:
    """A mode.

    ``reads_brackets``: whether brackets, words such as ``BREAK`` and ``AND``, and comments mean
    anything; ``weighs``: whether weights count; ``keeps_mean``: whether a weighted chunk is
    rescaled to the mean it had.
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


def weigh(
    states: NDArray[Any], weights: NDArray[np.float64], keeps_mean: bool
) -> NDArray[np.float32]:
    """Embeddings (chunks, tokens, width) times their tokens' weights (chunks, tokens).

    With ``keeps_mean`` each chunk is scaled so that the mean of all its numbers is again what it
    was, by a factor within ±10: a mean near zero after weighing would ask for any factor. A chunk
    whose weights are all 1 keeps its bits.
    """
    before = states.astype(np.float64)
    after = before * weights[:, :, None]
    if keeps_mean:
        for old, new in zip(before, after, strict=True):
            new *= _rescaling(float(old.mean()), float(new.mean()))  # noqa: PLW2901 - in place
    return after.astype(np.float32)


def _rescaling(wanted: float, found: float) -> float:
    if abs(wanted) >= _MOST_RESCALING * abs(found):
        sign = -1.0 if wanted * found < 0 else 1.0
        return sign * (_MOST_RESCALING if found else 1.0)
    return wanted / found
