"""Runs with SAG, merged tokens and kept features; see `tools/goldens/shortcuts.py`."""

from __future__ import annotations

from dataclasses import dataclass

from tests.goldens.weights import Array, initial_noise

__all__ = ["GUIDANCE", "SHORTCUTS", "STEPS", "Shortcut"]

GUIDANCE = 4.0
STEPS = 5


@dataclass(frozen=True)
class Shortcut:
    """A run of DDIM on trailing time steps. Zeros leave a choice out.

    Golden: ``name``: the latents after each step (steps, batch, 4, h, w), which keep the variance.
    """

    name: str
    model: str
    sag: float = 0.0
    ratio: float = 0.0
    interval: int = 0
    branch: int = 0
    guidance: float = GUIDANCE
    batch: int = 1
    height: int = 8
    width: int = 12

    def noise(self) -> Array:
        """Return unit noise (batch, 4, h, w)."""
        return initial_noise(batch=self.batch, height=self.height, width=self.width)


SHORTCUTS = (
    Shortcut("sag", "two_levels", sag=0.75, batch=2),
    Shortcut("sag_unguided", "two_levels", sag=1.5, guidance=1.0),
    Shortcut("sag_three", "three_levels", sag=1.0, height=12, width=8),
    Shortcut("merged", "two_levels", ratio=0.5, batch=2),
    Shortcut("merged_much", "two_levels", ratio=0.75),
    Shortcut("merged_odd", "two_levels", ratio=0.3, height=9, width=7),
    Shortcut("cached", "two_levels", interval=2, batch=2),
    Shortcut("cached_long", "three_levels", interval=3),
    Shortcut("cached_branch", "three_levels", interval=2, branch=1),
    Shortcut("cached_four", "four_levels", interval=4, height=8, width=8),
)
