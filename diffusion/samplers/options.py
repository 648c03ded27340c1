"""The options that a caller may choose for a sampler: added noise, and the order."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from dataclasses import dataclass

from diffusion.errors import SettingsError

__all__ = ["SamplerOptions"]

MAX_ORDER = 4


@dataclass(frozen=True)
class SamplerOptions:
    """Options of all samplers. A sampler uses those that its paper has and ignores the others.

    ``eta``: the share of the noise taken away by a step that is drawn anew. 0 is none, 1 is as much
    as the forward process had (Song et al. 2021, arXiv 2010.02502, equation 16), None is the
    sampler's own default.
    ``s_churn``, ``s_tmin``, ``s_tmax``: noise added before steps, summed over all steps, and the
    levels between which it is added. ``s_noise``: the standard deviation of all noise that is drawn
    (both: Karras et al. 2022, arXiv 2206.00364, algorithm 2).
    ``order``: the order of a multistep sampler, None for its own.
    ``scale_time(sigma, share)``: the level whose time step is ``share`` of the time step of
    ``sigma``. A model rounds to its whole time steps; by default, time is σ.

    Raises ``SettingsError`` for a value out of range.
    """

    eta: float | None = None
    s_churn: float = 0.0
    s_tmin: float = 0.0
    s_tmax: float = math.inf
    s_noise: float = 1.0
    order: int | None = None
    scale_time: Callable[[float, float], float] = operator.mul

    def __post_init__(self) -> None:
        if self.eta is not None and not 0.0 <= self.eta <= 1.0:
            raise SettingsError("eta", self.eta, "must be a number from 0 to 1")
        for field in ("s_churn", "s_tmin", "s_noise"):
            value = getattr(self, field)
            if not 0.0 <= value < math.inf:
                raise SettingsError(field, value, "must be a number from 0 up")
        if not self.s_tmax >= self.s_tmin:
            raise SettingsError("s_tmax", self.s_tmax, f"give at least s_tmin, {self.s_tmin}")
        if self.order is not None and not 1 <= self.order <= MAX_ORDER:
            raise SettingsError(
                "order", self.order, f"must be a whole number from 1 to {MAX_ORDER}"
            )

    def order_or(self, default: int, highest: int) -> int:
        """Return ``order``, at most ``highest``, or ``default`` where none was chosen."""
        return default if self.order is None else min(self.order, highest)
