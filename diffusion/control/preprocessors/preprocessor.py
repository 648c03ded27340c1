"""`Preprocessor`: a function from a picture to the map that a control network reads."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diffusion.checks import check_number
from diffusion.errors import SettingsError
from gpucore import Device

__all__ = ["Compute", "Pixels", "Preprocessor", "Threshold"]

Pixels = NDArray[np.uint8]
Compute = Callable[[Device, Pixels, float, float], Any]
"""A function of device, picture (H, W, 3) and two thresholds to a map (H, W) or (H, W, 3) of u8."""


@dataclass(frozen=True)
class Threshold:
    """A number that a preprocessor reads: ``title`` says what it is."""

    title: str
    default: float
    least: float
    most: float


@dataclass(frozen=True)
class Preprocessor:
    """A preprocessor, by the names that the WebUI's extension has for it.

    ``kind``: which kind of a union's pictures it makes, if any. ``marks_mask``: what the mask
    shows white becomes -1 in its map, as networks for inpainting read it.
    """

    name: str
    label: str
    compute: Compute
    aliases: tuple[str, ...] = ()
    a: Threshold | None = None
    b: Threshold | None = None
    kind: str | None = None
    marks_mask: bool = False

    def thresholds(self, a: float | None, b: float | None) -> tuple[float, float]:
        """Return checked thresholds with defaults for None. Raises `SettingsError`."""
        found = []
        for letter, rule, given in (("a", self.a, a), ("b", self.b, b)):
            field = f"control threshold {letter}"
            if rule is None:
                if given is not None:
                    raise SettingsError(field, given, f"{self.name} has none; leave it out")
                found.append(0.0)
                continue
            check_number(field, given, rule.least, rule.most)
            found.append(rule.default if given is None else float(given))
        return found[0], found[1]

    def __call__(self, device: Device, pixels: Pixels, a: float, b: float) -> Pixels:
        """Return the map (H, W, 3) of a picture (H, W, 3). Raises `SettingsError`."""
        made = np.asarray(self.compute(device, pixels, a, b))
        if made.ndim == 2:
            made = np.repeat(made[:, :, None], 3, axis=2)
        if made.dtype != np.uint8 or made.ndim != 3 or made.shape[2] != 3:
            given = f"{made.dtype} {made.shape}"
            raise SettingsError(f"preprocessor {self.name}", given, "must give (H, W, 3) of u8")
        return made
