r"""The outermost grammar of prompts: comments, and prompts composed with ``AND`` (A1111's rules).

``#`` opens a comment that runs to the end of its line; ``\#`` is the character. ``AND``, as a word
of its own anywhere, splits a prompt into parts. Each part may end in a weight:
``a castle :1.2 AND fog :0.5``. So may a prompt of one part; a clock's time at its end is a weight,
too, and a warning says so. Each part has an estimate of its own, and their guidance is added up
(Liu et al. 2022, arXiv 2206.01714, section 3.2): denoised = U + guidance · Σ wᵢ·(Cᵢ - U).
"""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass
from typing import Final

from diffusion.checks import check_text
from diffusion.errors import SettingsError
from diffusion.prompts.chunks import MAX_WEIGHT
from diffusion.prompts.scheduling import schedule_prompt, text_of_call

__all__ = ["MAX_PARTS", "Script", "read_script"]

MAX_PARTS: Final = 16
"""Parts of one prompt: each is one row of the network's batch."""

_COMMENT: Final = re.compile(r"(\\.)|#[^\n]*+", re.DOTALL)
_AND: Final = re.compile(r"\bAND\b")
_WEIGHT: Final = re.compile(r"\s*+[+-]?(?:\d++\.?|\d*+\.\d++)\s*+")

_CLOCK: Final = re.compile(r"\d:\d++\s*+$")
"""A clock's time or a ratio of sides at the end."""


@dataclass(frozen=True)
class Script:
    """The texts of a prompt and its negative prompt over a pass.

    ``variants``: the different rows of texts; in each, the negative prompt's is first if there is
    one, then come those of the parts. ``order``: the numbers of these in turn, one for each call of
    the network that is planned. ``weights``: the weights of the parts.
    """

    variants: tuple[tuple[str, ...], ...]
    order: tuple[int, ...]
    weights: tuple[float, ...] = (1.0,)

    def at(self, call: int) -> int:
        """Return the number of the variant of a call of the network, from 0."""
        return self.order[text_of_call(call, len(self.order))]


def read_script(
    prompt: str,
    negative: str | None,
    calls: int,
    done: int | None = None,
    *,
    reads_syntax: bool = True,
) -> Script:
    """Read a prompt, and a negative prompt if there is guidance; ``AND`` in it is a plain word.

    ``calls``: the network's calls in the whole pass, 1 or more; ``done``: those of the pass before.
    Without ``reads_syntax``, everything is plain text. Raises `SettingsError` for more than 16
    parts, more than 65,536 characters, or texts that change in too many ways.
    """
    check_text("prompt", prompt)
    check_text("negative", negative or "")
    if not reads_syntax:
        row = (prompt,) if negative is None else (negative, prompt)
        return Script((row,), (0,) * calls)
    parts = _split_parts(_remove_comments(prompt))
    fields = [("prompt", text) for text, _ in parts]
    if negative is not None:
        fields.insert(0, ("negative", _remove_comments(negative)))
    rows = [schedule_prompt(name, text, calls, done) for name, text in fields]
    variants: dict[tuple[str, ...], int] = {}
    order = []
    for numbers in zip(*(row.order for row in rows), strict=True):
        texts = tuple(row.texts[number] for row, number in zip(rows, numbers, strict=True))
        order.append(variants.setdefault(texts, len(variants)))
    return Script(tuple(variants), tuple(order), tuple(weight for _, weight in parts))


def _remove_comments(text: str) -> str:
    return _COMMENT.sub(lambda match: match[1] or "", text) if "#" in text else text


def _split_parts(text: str) -> list[tuple[str, float]]:
    """Return the texts between ``AND`` and their weights."""
    texts = _AND.split(text)
    if len(texts) > MAX_PARTS:
        hint = f"at most {MAX_PARTS} parts are composed with AND"
        raise SettingsError("prompt", f"{len(texts)} parts", hint)
    if len(texts) == 1 and _CLOCK.search(text):
        message = "prompt: its last number is read as its weight; end it otherwise, with a comma"
        warnings.warn(message, stacklevel=2)
    return [_split_weight(each) for each in texts]


def _split_weight(text: str) -> tuple[str, float]:
    """Return a part's text and the weight at its end, 1 if it has none."""
    head, colon, number = text.rpartition(":")
    if not colon or not _WEIGHT.fullmatch(number):
        return text.rstrip(), 1.0
    weight = float(number)
    if abs(weight) > MAX_WEIGHT:
        warnings.warn(f"prompt: weights beyond ±{MAX_WEIGHT:g} are cut", stacklevel=2)
        weight = MAX_WEIGHT if weight > 0 else -MAX_WEIGHT
    return head.rstrip(), weight
