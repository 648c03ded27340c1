r"""The outermost grammar of prompts: comments, and prompts composed with ``AND`` (A1111's rules).

``#`` opens a comment that runs to the end of its line; ``\#`` is the character. ``AND``, a word of
its own wherever it stands, parts a prompt into several, each with a weight at its end if it likes:
``a castle :1.2 AND fog :0.5``. They are estimated apart and their guidance added up (Liu et al.
2022, arXiv 2206.01714, section 3.2): denoised = U + guidance · Σ wᵢ·(Cᵢ - U).
"""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass
from typing import Final

from diffusion.errors import SettingsError
from diffusion.prompts.chunks import MOST_WEIGHT
from diffusion.prompts.scheduling import prompt_steps

__all__ = ["MOST_PARTS", "Script", "script"]

MOST_PARTS: Final = 16
"""Parts of one prompt: each is a row of the network's batch."""

_COMMENT: Final = re.compile(r"(\\.)|#[^\n]*+", re.DOTALL)
_AND: Final = re.compile(r"\bAND\b")
_WEIGHT: Final = re.compile(r"\s*+[+-]?(?:[0-9]++\.?[0-9]*+|\.[0-9]++)\s*+")


@dataclass(frozen=True)
class Script:
    """All that a prompt and its negative prompt say over the steps.

    ``variants``: rows of texts, the negative prompt's first if there is one, then the parts'.
    ``which``: the variant of each step. ``weights``: those of the parts.
    """

    variants: tuple[tuple[str, ...], ...]
    which: tuple[int, ...]
    weights: tuple[float, ...] = (1.0,)

    def at(self, step: int) -> int:
        """The variant of a step, the last one's after the end."""
        return self.which[min(step, len(self.which) - 1)]


def script(
    prompt: str, negative: str | None, steps: int, done: int | None = None, *, reads: bool = True
) -> Script:
    """Read a prompt, and a negative prompt if there is guidance. ``AND`` there is a word.

    ``steps``: of the pass, 1 or more; ``done``: of the pass before. With ``reads`` off all is
    text. Raises `SettingsError` for more than 16 parts, or texts that change in too many ways.
    """
    if not reads:
        texts = (prompt,) if negative is None else (negative, prompt)
        return Script((texts,), (0,) * steps)
    parts = _parts(_without_comments(prompt))
    given = [("prompt", text) for text, _ in parts]
    if negative is not None:
        given.insert(0, ("negative", _without_comments(negative)))
    rows = [prompt_steps(name, text, steps, done) for name, text in given]
    found: dict[tuple[str, ...], int] = {}
    which = []
    for step in range(steps):
        said = tuple(row.texts[row.at(step)] for row in rows)
        which.append(found.setdefault(said, len(found)))
    return Script(tuple(found), tuple(which), tuple(weight for _, weight in parts))


def _without_comments(text: str) -> str:
    return _COMMENT.sub(lambda match: match[1] or "", text) if "#" in text else text


def _parts(text: str) -> list[tuple[str, float]]:
    """The texts between ``AND`` and their weights. A text that stands alone has none to read."""
    texts = _AND.split(text)
    if len(texts) > MOST_PARTS:
        hint = f"at most {MOST_PARTS} parts are composed with AND"
        raise SettingsError("prompt", f"{len(texts)} parts", hint)
    return [(text, 1.0)] if len(texts) == 1 else [_weighed(each) for each in texts]


def _weighed(text: str) -> tuple[str, float]:
    head, colon, number = text.rpartition(":")
    if not colon or not _WEIGHT.fullmatch(number):
        return text, 1.0
    weight = float(number)
    if abs(weight) > MOST_WEIGHT:
        warnings.warn(f"prompt: weights beyond ±{MOST_WEIGHT:g} are cut", stacklevel=2)
        weight = MOST_WEIGHT if weight > 0 else -MOST_WEIGHT
    return head, weight
