"""The watch for overflow: no picture is made of infinities or NaN.

After each step the device counts the numbers of the latents that are not finite. Waiting for the
step raises an error if there are any. A VAE that overflows f16 is run again part by part: from the
last finite activations on it computes in f32. (SDXL's VAEs are known to overflow: Podell et al.
2023's release. Here any VAE is watched.)
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from typing import Any, Final, Literal

import numpy as np

from diffusion.errors import NotFiniteError
from diffusion.models.layers import Activations, Part
from diffusion.models.module import observe_modules
from diffusion.pipeline.denoiser import Latents
from diffusion.pipeline.networks import Networks
from gpucore import Buffer, Device, f16, f32, u32
from gpustd import cast, count_nonfinite

__all__ = ["FiniteCheck", "OverflowWatch", "is_finite", "recompute_in_f32"]

Direction = Literal["encoding", "decoding"]

MOST_MODULES: Final = 512
"""Modules in one part of a VAE that are watched; of larger parts, only the end is."""
_GOOD_WEIGHTS: Final = "check the weights (avila model verify), or give another VAE (--vae)"


class OverflowWatch:
    """Counts of the numbers in a pass's latents that are not finite, for each step.

    ``error_at(step)`` makes the error for the first bad step, from 1.
    """

    def __init__(
        self, device: Device, steps: int, error_at: Callable[[int], NotFiniteError]
    ) -> None:
        self._device, self._steps = device, steps
        self._error_at = error_at

    @functools.cached_property
    def _counts(self) -> Buffer[u32]:
        """The counters, allocated when the first step is under way."""
        return _zeros(self._device, max(self._steps, 1))

    def count(self, index: int, latents: Latents) -> None:
        """Record the counting of step ``index``, from 0, without waiting for it.

        Steps that an adaptive sampler makes beyond the planned ones count as the last of them.
        """
        with latents.device.region("watch"):
            count_nonfinite(latents, self._counts, min(index, self._counts.size - 1))

    def check(self) -> None:
        """Wait for the device. Raises `NotFiniteError` that names the first bad step."""
        self.begin_check()()

    def begin_check(self) -> Callable[[], None]:
        """Submit what is recorded; return the function that waits for it, and raises as `check`."""
        read = self._counts.begin_read()

        def check() -> None:
            bad = np.flatnonzero(read())
            if bad.size:
                raise self._error_at(int(bad[0]) + 1)

        return check


class FiniteCheck:
    """A check that all numbers of a buffer are finite: true if they are.

    The device counts at once; asking for the truth waits for it. Making the check submits all that
    is recorded.
    """

    def __init__(self, x: Buffer[Any]) -> None:
        counts = _zeros(x.device, 1)
        with x.device.region("watch"):
            count_nonfinite(x, counts)
        self._read = counts.begin_read()

    @functools.cached_property
    def _all_finite(self) -> bool:
        return not int(self._read()[0])

    def __bool__(self) -> bool:
        return self._all_finite


def is_finite(x: Buffer[Any]) -> bool:
    """Tell whether all numbers are finite; waits for the device."""
    return bool(FiniteCheck(x))


def recompute_in_f32(
    networks: Networks, direction: Direction, x: Buffer[f32]
) -> tuple[Activations, str]:
    """Compute a VAE's result again, in f32 from the last finite activations on; warn of that.

    ``x``: the input in f32. Returns the result and the layer where numbers were not finite first.
    Raises `NotFiniteError` where they are not finite in f32 either, or all was in f32 already.
    """
    parts = getattr(networks.vae, direction)
    device, dtype = networks.device, networks.vae_dtype
    state: Activations = cast(x, dtype)
    done, layer = 0, None if is_finite(state) else "its input"
    while layer is None and done < len(parts):
        region, part = parts[done]
        result, layer = _run_watched(device, region, part, state)
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
    message = (
        f"the VAE's numbers left the range of f16 after {layer}: computed again from there in f32"
    )
    warnings.warn(message, RuntimeWarning, stacklevel=2)
    return state, layer


def _run_watched(
    device: Device, region: str, part: Part, x: Activations
) -> tuple[Activations, str | None]:
    """Return the result of a part, and the first layer in it whose numbers are not finite."""
    counts, names = _zeros(device, MOST_MODULES + 1), list[str]()

    def observe(name: str, result: Any) -> None:
        if isinstance(result, Buffer) and result.dtype in (f16, f32) and len(names) < MOST_MODULES:
            count_nonfinite(result, counts, len(names))
            names.append(name)

    with device.region(region), observe_modules(observe):
        result = part(x)
    count_nonfinite(result, counts, len(names))
    names.append(region)
    bad = np.flatnonzero(counts.read())
    return result, _layer_name(names[bad[0]]) if bad.size else None


def _layer_name(region: str) -> str:
    """Return a module's name in the VAE: ``decoder.up_blocks.2.resnets.0.conv1``."""
    return region.partition("vae/")[2].replace("/", ".") or "its last layer"


def _zeros(device: Device, count: int) -> Buffer[u32]:
    return device.buffer_from_array(np.zeros(count), u32)
