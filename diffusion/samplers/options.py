"""What a caller may choose about a sampler's added noise."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from dataclasses import dataclass

from diffusion.errors import SettingsError

__all__ = ["SamplerOptions"]

MOST_ORDER = 4


@dataclass(frozen=True)
class SamplerOptions:
    """Options of all samplers; each uses those that its paper has.

    ``eta``: how much of the noise that a step takes away is drawn anew, 0 none, 1 as much as the
    forward process had (Song et al. 2021, arXiv 2010.02502, equation 16); None for the sampler's
    own default. ``s_churn``, ``s_tmin``, ``s_tmax``: noise added before a step, all steps together,
    and the levels between which it is added; ``s_noise``: the deviation of all noise drawn (Karras
    et al. 2022, algorithm 2). ``order``: of a multistep sampler, None for its own. ``earlier``: the
    level of the time step that is a share of a level's own time step, in whole steps of the model;
    by default time is σ. Raises ``SettingsError``.
    """

    eta: float | None = None
    s_churn: float = 0.0
    s_tmin: float = 0.0
    s_tmax: float = math.inf
    s_noise: float = 1.0
    order: int | None = None
    earlier: Callable[[float, float], float] = operator.mul

    def __post_init__(self) -> None:
        if self.eta is not None and not 0.0 <= self.eta <= 1.0:
            raise SettingsError("eta", self.eta, "give a number from 0 to 1")
        for field in ("s_churn", "s_tmin", "s_noise"):
            value = getattr(self, field)
            if not 0.0 <= value < math.inf:
                raise SettingsError(field, value, "give a number from 0 up")
        if not self.s_tmax >= self.s_tmin:
            raise SettingsError("s_tmax", self.s_tmax, f"give at least s_tmin, {self.s_tmin}")
        if self.order is not None and not 1 <= self.order <= MOST_ORDER:
            raise SettingsError("order", self.order, f"give a whole number from 1 to {MOST_ORDER}")

    def eta_or(self, default: float) -> float:
        """``eta``, or the sampler's default where none was chosen."""
        return default if self.eta is None else self.eta

    def order_or(self, default: int, most: int) -> int:
        """``order``, but no more than the sampler has, or its default where none was chosen."""
        return default if self.order is None else min(self.order, most)
