r"""The outermost grammar of prompts: comments, and prompts composed with ``AND`` (A1111's rules).

``#`` opens a comment that runs to the end of its line; ``\#`` is the character. ``AND``, as a word
of its own anywhere, splits a prompt into parts. Each part may end in a weight:
``a castle :1.2 AND fog :0.5``. Each part has an estimate of its own, and their guidance is added up
(Liu et al. 2022, arXiv 2206.01714, section 3.2): denoised = U + guidance · Σ wᵢ·(Cᵢ - U).
"""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass
from typing import Final

from diffusion.errors import SettingsError
from diffusion.prompts.chunks import MAX_WEIGHT
from diffusion.prompts.scheduling import schedule_prompt

__all__ = ["MAX_PARTS", "Script", "read_script"]

MAX_PARTS: Final = 16
"""Parts of one prompt: each is one row of the network's batch."""

_COMMENT: Final = re.compile(r"(\\.)|#[^\n]*+", re.DOTALL)
_AND: Final = re.compile(r"\bAND\b")
_WEIGHT: Final = re.compile(r"\s*+[+-]?(?:[0-9]++\.?[0-9]*+|\.[0-9]++)\s*+")


@dataclass(frozen=True)
class Script:
    """The texts of a prompt and its negative prompt over the steps.

    ``variants``: the different rows of texts; in each, the negative prompt's is first if there is
    one, then come those of the parts. ``step_variants``: the number of the variant that each step
    has. ``weights``: the weights of the parts.
    """

    variants: tuple[tuple[str, ...], ...]
    step_variants: tuple[int, ...]
    weights: tuple[float, ...] = (1.0,)

    def at(self, step: int) -> int:
        """Return the number of a step's variant; after the end, the last step's."""
        return self.step_variants[min(step, len(self.step_variants) - 1)]


def read_script(
    prompt: str,
    negative: str | None,
    steps: int,
    done: int | None = None,
    *,
    reads_syntax: bool = True,
) -> Script:
    """Read a prompt, and a negative prompt if there is guidance; ``AND`` in it is a plain word.

    ``steps``: the steps of the pass, 1 or more; ``done``: those of the pass before. Without
    ``reads_syntax``, everything is plain text. Raises `SettingsError` for more than 16 parts, or
    texts that change in too many ways.
    """
    if not reads_syntax:
        row = (prompt,) if negative is None else (negative, prompt)
        return Script((row,), (0,) * steps)
    parts = _split_parts(_remove_comments(prompt))
    fields = [("prompt", text) for text, _ in parts]
    if negative is not None:
        fields.insert(0, ("negative", _remove_comments(negative)))
    rows = [schedule_prompt(name, text, steps, done) for name, text in fields]
    variants: dict[tuple[str, ...], int] = {}
    step_variants = []
    for step in range(steps):
        texts = tuple(row.texts[row.at(step)] for row in rows)
        step_variants.append(variants.setdefault(texts, len(variants)))
    return Script(tuple(variants), tuple(step_variants), tuple(weight for _, weight in parts))


def _remove_comments(text: str) -> str:
    return _COMMENT.sub(lambda match: match[1] or "", text) if "#" in text else text


def _split_parts(text: str) -> list[tuple[str, float]]:
    """Return the texts between ``AND`` and their weights. A text alone has no weight to read."""
    texts = _AND.split(text)
    if len(texts) > MAX_PARTS:
        hint = f"at most {MAX_PARTS} parts are composed with AND"
        raise SettingsError("prompt", f"{len(texts)} parts", hint)
    return [(text, 1.0)] if len(texts) == 1 else [_split_weight(each) for each in texts]


def _split_weight(text: str) -> tuple[str, float]:
    """Return a part's text and the weight at its end, 1 if it has none."""
    head, colon, number = text.rpartition(":")
    if not colon or not _WEIGHT.fullmatch(number):
        return text, 1.0
    weight = float(number)
    if abs(weight) > MAX_WEIGHT:
        warnings.warn(f"prompt: weights beyond ±{MAX_WEIGHT:g} are cut", stacklevel=2)
        weight = MAX_WEIGHT if weight > 0 else -MAX_WEIGHT
    return head, weight
