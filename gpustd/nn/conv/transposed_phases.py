"""The phases of a transposed convolution: its results by their remainder by the stride.

Result o is ``sum x[i] w[k]`` over ``o = i stride - padding + k dilation``. The results o with one
remainder by the stride see the same taps. So each remainder is an ordinary convolution with some
of the taps in reverse order, whose results are written to every stride-th place.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from gpucore import Buffer, T
from gpucore.integers import ceil_div
from gpustd.launch.elements import common_scalar, launch_each, launch_flat, width_of
from gpustd.launch.template import Value
from gpustd.nn.conv.windows import AXES, Axis

__all__ = ["Phase", "TransposedAxis", "scatter_phase", "select_taps"]


@dataclass(frozen=True)
class Phase:
    """The results of one remainder along an axis: their window, and the taps it sees.

    Tap t of the window is tap ``last - t step`` of the kernel.
    """

    axis: Axis
    last: int
    step: int
    remainder: int


@dataclass(frozen=True)
class TransposedAxis:
    """A transposed convolution along one axis, of ``result`` elements."""

    size: int = 1
    kernel: int = 1
    stride: int = 1
    padding: int = 0
    dilation: int = 1
    result: int = 1

    @property
    def doubles(self) -> bool:
        """Tell whether both remainders by 2 see as many taps, those of 1 one element further on."""
        regular = (self.stride, self.dilation, self.padding % 2, self.kernel % 2) == (2, 1, 1, 0)
        return regular and self.result % 2 == 0 and self.padding < self.kernel - 1

    @property
    def pads(self) -> tuple[int, int]:
        """Zeros before and after, for the results of remainder 0 where the axis `doubles`."""
        before = (self.kernel - 1 - self.padding) // 2
        return before, before - 1

    def phases(self) -> list[Phase]:
        """Return one phase for each remainder of the results by the stride."""
        return [self._phase(r) for r in range(min(self.stride, self.result))]

    def _phase(self, remainder: int) -> Phase:
        """Return the phase of one remainder."""
        results = ceil_div(self.result - remainder, self.stride)
        divisor = math.gcd(self.stride, self.dilation)
        step = self.stride // divisor
        start = remainder + self.padding
        taps = [k for k in range(self.kernel) if (start - k * self.dilation) % self.stride == 0]
        if not taps:
            # No tap meets these results: a window behind the elements gives zeros.
            return Phase(Axis(self.size, before=-self.size, result=results), 0, 1, remainder)
        first = (start - taps[-1] * self.dilation) // self.stride
        axis = Axis(
            self.size,
            len(taps),
            dilation=self.dilation // divisor,
            before=-first,
            result=results,
        )
        return Phase(axis, taps[-1], step, remainder)


def select_taps(weight: Buffer[T], phase: tuple[Phase, ...]) -> Buffer[T]:
    """Return the taps of the kernel that a phase sees, in the order of its window."""
    kernel = tuple(p.axis.kernel for p in phase)
    if kernel == (1, 1, 1) == weight.shape[:3]:
        return weight
    y = weight.device.buffer(weight.dtype, (*kernel, *weight.shape[3:]))
    inner = math.prod(weight.shape[3:])
    width = width_of(inner)
    sizes: dict[str, int] = {"units": inner // width}
    for name, p, taps in zip(AXES, phase, weight.shape[:3], strict=True):
        sizes |= {
            f"taps_{name}": taps,
            f"kernel_{name}": p.axis.kernel,
            f"last_{name}": p.last,
            f"step_{name}": p.step,
        }
    spec: dict[str, Value] = {"scalar": common_scalar("conv_transpose", weight), "width": width}
    launch_flat("nn/taps.wgsl", spec, (weight, y), y.size // width, sizes)
    return y


def scatter_phase(
    part: Buffer[Any], y: Buffer[Any], axes: list[TransposedAxis], phase: tuple[Phase, ...]
) -> None:
    """Record the copy of a phase's results ``part`` to their places in ``y``."""
    width = width_of(part.shape[4])
    sizes: dict[str, int] = {"units": part.shape[4] // width}
    for name, p, axis in zip(AXES, phase, axes, strict=True):
        sizes |= {
            f"part_{name}": p.axis.result,
            f"result_{name}": axis.result,
            f"stride_{name}": axis.stride,
            f"first_{name}": p.remainder,
        }
    spec: dict[str, Value] = {"scalar": common_scalar("conv_transpose", part), "width": width}
    launch_each("nn/deal_out.wgsl", spec, (part, y), part.size // width, sizes)
