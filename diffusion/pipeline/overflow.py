"""The watch for overflow: no picture is made of infinities or NaN.

After each step the numbers of the latents that are not finite are counted on the device; whoever
waits for the step learns of them. A VAE that overflows f16 is run again part by part: from the last
activations that were finite it goes on in f32. (That the VAEs of SDXL do: Podell et al. 2023's
release; here for any.)
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from typing import Any, Final, Literal

import numpy as np

from diffusion.errors import NotFiniteError
from diffusion.models.layers import Activations, Part
from diffusion.models.module import observed
from diffusion.pipeline.denoiser import Latents
from diffusion.pipeline.networks import Networks
from gpucore import Buffer, Device, f16, f32, u32
from gpustd import cast, count_nonfinite

__all__ = ["Finite", "Watch", "is_finite", "redone"]

Direction = Literal["encoding", "decoding"]

MOST_MODULES: Final = 512
"""In one part of a VAE, beyond which only its end is watched."""
_GOOD_WEIGHTS: Final = "check the weights (avila model verify), or give another VAE (--vae)"


class Watch:
    """Counts, step by step, the numbers of a pass's latents that are not finite.

    ``blame(step)`` makes the error for the first bad step, from 1.
    """

    def __init__(self, device: Device, steps: int, blame: Callable[[int], NotFiniteError]) -> None:
        self._device, self._steps = device, steps
        self._blame = blame

    @functools.cached_property
    def _counts(self) -> Buffer[u32]:
        """Made when the first step is under way."""
        return _zeros(self._device, max(self._steps, 1))

    def note(self, index: int, latents: Latents) -> None:
        """Count those of step ``index``, from 0, on the device; does not wait.

        What an adaptive sampler makes beyond the steps counts as the last of them.
        """
        with latents.device.region("watch"):
            count_nonfinite(latents, self._counts, min(index, self._counts.size - 1))

    def check(self) -> None:
        """Wait for the device. Raises `NotFiniteError` that names the first bad step."""
        bad = np.flatnonzero(self._counts.read())
        if bad.size:
            raise self._blame(int(bad[0]) + 1)


class Finite:
    """Whether all numbers are finite: counted on the device at once, and waited for when asked.

    To make it submits what is recorded.
    """

    def __init__(self, x: Buffer[Any]) -> None:
        counts = _zeros(x.device, 1)
        with x.device.region("watch"):
            count_nonfinite(x, counts)
        self._read = counts.begin_read()

    @functools.cached_property
    def _count(self) -> int:
        return int(self._read()[0])

    def __bool__(self) -> bool:
        return not self._count


def is_finite(x: Buffer[Any]) -> bool:
    """Tell whether all numbers are finite; waits for the device."""
    return bool(Finite(x))


def redone(networks: Networks, direction: Direction, x: Buffer[f32]) -> tuple[Activations, str]:
    """The VAE's result, of which a part was not finite, and the layer where that began.

    ``x``: what goes in, in f32. What follows the last finite activations is computed in f32. Warns.
    Raises `NotFiniteError` where that does not mend it, or where all was in f32.
    """
    parts = getattr(networks.vae, direction)
    device, dtype = networks.device, networks.vae_dtype
    state: Activations = cast(x, dtype)
    done, layer = 0, None if is_finite(state) else "its input"
    while layer is None and done < len(parts):
        region, part = parts[done]
        result, layer = _watched(device, region, part, state)
        if layer is None:
            state, done = result, done + 1
    if layer is None:
        raise AssertionError("the same computation gave other numbers")
    if dtype is f32 or not is_finite(x):
        raise NotFiniteError("VAE", f"after {layer}", _GOOD_WEIGHTS)
    state = cast(state, f32) if done else x
    for region, part in getattr(networks.autoencoder.exact, direction)[done:]:
        with device.region(region):
            state = part(state)
    if not is_finite(state):
        raise NotFiniteError("VAE", f"after {layer}, in f32 as well", _GOOD_WEIGHTS)
    message = f"the VAE's numbers left the range of f16 after {layer}: done again from there in f32"
    warnings.warn(message, RuntimeWarning, stacklevel=2)
    return state, layer


def _watched(
    device: Device, region: str, part: Part, x: Activations
) -> tuple[Activations, str | None]:
    """The result of a part, and the first layer in it whose numbers are not finite."""
    counts, names = _zeros(device, MOST_MODULES + 1), list[str]()

    def observe(name: str, result: Any) -> None:
        if isinstance(result, Buffer) and result.dtype in (f16, f32) and len(names) < MOST_MODULES:
            count_nonfinite(result, counts, len(names))
            names.append(name)

    with device.region(region), observed(observe):
        result = part(x)
    count_nonfinite(result, counts, len(names))
    names.append(region)
    bad = np.flatnonzero(counts.read())
    return result, _layer(names[bad[0]]) if bad.size else None


def _layer(region: str) -> str:
    """A module's name in the model, from its region: ``decoder.up_blocks.2.resnets.0.conv1``."""
    return region.partition("vae/")[2].replace("/", ".") or "its last layer"


def _zeros(device: Device, count: int) -> Buffer[u32]:
    return device.buffer_from_array(np.zeros(count), u32)
