"""Weights of kinds of layers (``lbwe=``), as in hako-mikan/sd-webui-lora-block-weight.

A rule is ``blocks:elements:weight``: ``IN05-OUT05:attn:0.5`` halves all attentions between two
blocks. Several blocks or elements stand between spaces, ``NOT`` before them means all others, and
nothing means all. They are parts of names: ``attn`` is in ``attn1`` and in ``attn2``. Names are
those of single files with ``_`` for points, and those of transformers in the text encoders. Rules
stand between commas. The last one that fits a layer gives its weight, in place of ``lbw``'s.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Final, NamedTuple

from diffusion.adapters.block_weights import SLOTS, block_ratio, slot_of
from diffusion.errors import SettingsError

__all__ = ["WHOLE", "ElementRule", "LayerWeights", "element_ratio", "read_elements"]

_PRESETS: Final = {
    "ATTNDEEPON": "IN05-OUT05:attn:1",
    "ATTNDEEPOFF": "IN05-OUT05:attn:0",
    "PROJDEEPOFF": "IN05-OUT05:proj:0",
    "XYZ": "::1",
}
_RULES: Final = re.compile(r"[\w.+:;, -]+", re.ASCII)
"""In a tag semicolons stand for colons, which end its arguments."""
MOST_RULES: Final = 100
MOST_STRENGTH: Final = 100.0
_MOST_DIGITS: Final = 40
_HINT: Final = (
    f"elements (lbwe) must be {', '.join(_PRESETS)}, or rules such as IN05-OUT05;attn;0.5 "
    "(blocks, parts of names, weight) between commas"
)


class Matcher(NamedTuple):
    """Parts of names. ``is_not``: what has none of them fits, else what has one."""

    parts: tuple[str, ...]
    is_not: bool

    @classmethod
    def of(cls, words: Sequence[str]) -> Matcher:
        """Return what fits words that may have NOT before them; no words are in any name."""
        is_not = words[:1] == ["NOT"]
        return cls(tuple(words[is_not:]) or ("",), is_not)

    def fits(self, name: str) -> bool:
        """Tell whether a name fits."""
        return any(part in name for part in self.parts) is not self.is_not


class ElementRule(NamedTuple):
    """A weight for the layers whose names fit."""

    blocks: Matcher
    elements: Matcher
    weight: float


class LayerWeights(NamedTuple):
    """Factors of a strength: ``blocks`` for `block_ratio`, ``elements`` for `read_elements`."""

    blocks: tuple[float, ...] | None = None
    elements: str | None = None

    def ratio(self, name: str, single_name: str | None) -> float:
        """Return the factor of a layer.

        ``name``: its name. ``single_name``: that in single files, None in the text encoders.
        """
        slot = slot_of(single_name)
        ratio = 1.0 if self.blocks is None else block_ratio(self.blocks, slot)
        if self.elements is None:
            return ratio
        key = (single_name or name).replace(".", "_")
        return element_ratio(read_elements(self.elements), f"{key}{slot or ''}", ratio)


WHOLE: Final = LayerWeights()
"""The same strength in all layers."""


@lru_cache(64)
def read_elements(text: str) -> tuple[ElementRule, ...]:
    """Return the rules of a text, or of a name such as ``ATTNDEEPON``. Raises `SettingsError`."""
    if not _RULES.fullmatch(text):
        raise SettingsError("lora elements", text, _HINT)
    rules = _PRESETS.get(text.strip().upper(), text).split(",")
    if len(rules) > MOST_RULES:
        raise SettingsError("lora elements", len(rules), f"must be at most {MOST_RULES} rules")
    return tuple(_read_rule(each) for each in rules)


def element_ratio(rules: Sequence[ElementRule], key: str, ratio: float) -> float:
    """Return the weight of a layer: of the last rule that fits, else ``ratio``.

    ``key``: its name with the name of its block behind it.
    """
    for rule in rules:
        if rule.blocks.fits(key) and rule.elements.fits(key):
            ratio = rule.weight
    return ratio


def _read_rule(text: str) -> ElementRule:
    """Return the rule of a text. Raises `SettingsError`."""
    parts = text.replace(";", ":").split(":")
    try:
        blocks, elements, weight = parts
        number = float(weight[:_MOST_DIGITS])
        slots = [slot for word in blocks.upper().split() for slot in _read_slots(word)]
    except ValueError:
        raise SettingsError("lora elements", text, _HINT) from None
    if not abs(number) <= MOST_STRENGTH:
        hint = f"a weight must be from {-MOST_STRENGTH:g} to {MOST_STRENGTH:g}"
        raise SettingsError("lora elements", text, hint)
    return ElementRule(Matcher.of(slots), Matcher.of(elements.split()), number)


def _read_slots(word: str) -> Sequence[str]:
    """Return the slots of ``IN05-OUT05``; other words are parts of their names.

    Raises `ValueError` for a name that no slot has.
    """
    first, dash, last = word.partition("-")
    if dash:
        low, high = sorted((SLOTS.index(first), SLOTS.index(last)))
        return SLOTS[low : high + 1]
    if word != "NOT" and not any(word in slot for slot in SLOTS):
        raise ValueError
    return [word]
