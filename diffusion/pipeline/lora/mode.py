"""How adapters are applied, and which way is cheaper."""

from __future__ import annotations

from typing import Final, Literal, get_args

from diffusion.settings import Settings

__all__ = ["MODES", "LoraMode", "is_short"]

LoraMode = Literal["auto", "merge", "runtime"]
"""``merge``: into the weights, rounded once. ``runtime``: beside each layer, as it is called.

``auto``: beside them for few steps, or where an adapter counts in some steps alone. The pictures of
both ways differ by rounding.
"""

MODES: Final[tuple[LoraMode, ...]] = get_args(LoraMode)

_CALLS_OF_MERGING: Final = 3
"""Calls of the UNet that merging takes as long as: 150 ms of SDXL on an H200."""
_SHARE_OF_UPDATES: Final = 0.15
"""What adapters beside the layers add to a call."""


def is_short(settings: Settings) -> bool:
    """Tell whether a picture has so few steps that merging for it alone would take longer.

    How many pictures a run has does not count, so that each has the bits that it has alone.
    """
    return (settings.steps or 1) * _SHARE_OF_UPDATES < _CALLS_OF_MERGING
