"""The factor of each layer that a control network adds to, for the prompt and the negative one.

(Mikubill/sd-webui-controlnet, scripts/hook.py; diffusers' guess mode.)
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from diffusion.control.choice import MODES, Control
from diffusion.errors import SettingsError

__all__ = ["Strengths", "is_active", "strengths_of"]

_SOFTENING: Final = 0.825
_SOFT_LAYERS: Final = 13
"""Layers of SD 1.x's ControlNet, for which the extension made its soft weights; SDXL's ten layers
take the first ten of them."""
_SOFT_ADAPTER: Final = (0.25, 0.62, 0.825, 1.0)


class Strengths(NamedTuple):
    """Factors for each layer, the middle's last."""

    prompt: tuple[float, ...]
    negative: tuple[float, ...]


def strengths_of(
    control: Control,
    layers: int,
    *,
    adapter: bool = False,
    lite: bool = False,
    pools: bool = False,
) -> Strengths:
    """Return the factors for so many layers. Raises `SettingsError` for other layer weights.

    ``adapter``: it is a T2I-Adapter. ``lite``: a ControlNet-LLLite, whose last layer counts wholly
    in soft modes. ``pools``: it adds means, which guess mode leaves alone.
    """
    mode = MODES.find(control.mode).name
    factors = [1.0] * layers
    if control.layer_weights:
        if len(control.layer_weights) != layers:
            hint = f"must be {layers} numbers for this network"
            raise SettingsError("control layer weights", len(control.layer_weights), hint)
        factors = list(control.layer_weights)
    elif mode in ("prompt", "control"):
        factors = _soft(layers, adapter=adapter, lite=lite)
    elif mode == "guess" and not pools:
        factors = np.logspace(-1, 0, layers).tolist()
    scaled = tuple(control.weight * each for each in factors)
    silent = mode in ("control", "guess")
    return Strengths(scaled, (0.0,) * layers if silent else scaled)


def _soft(layers: int, *, adapter: bool, lite: bool) -> list[float]:
    if adapter:
        return [*_SOFT_ADAPTER, *[1.0] * layers][:layers]
    last = (layers if lite else max(_SOFT_LAYERS, layers)) - 1
    return [_SOFTENING ** (last - layer) for layer in range(layers)]


def is_active(start: float, end: float, step: int, steps: int) -> bool:
    """Tell whether a share of the steps holds step ``step`` (from 0) of ``steps``, as in diffusers.

    ``start``, ``end``: of the share.
    """
    place = min(step, steps - 1)
    return place >= start * steps - 1e-9 and place + 1 <= end * steps + 1e-9
