"""Launching windows that slide over each channel alone: ``shaders/nn/window.wgsl``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gpucore import Buffer
from gpustd.grid import flat_grid, strip_rows
from gpustd.nn.windows import Window, fields
from gpustd.rungs import wanted_rung, wanted_tile
from gpustd.template import Value, kernel

__all__ = ["Block", "launch_window"]

# A step is written out in full, which takes at most so many loads and so many sums.
_MOST_LOADS, _MOST_STEPS = 96, 512
# Invocations that fill the largest GPUs.
_MANY = 2**17
_WORKGROUP, _BLOCK_WORKGROUP = 64, 128


@dataclass(frozen=True)
class Block:
    """``columns`` neighbouring results of an invocation, ``rows`` a step, ``strip`` in all.

    A strip of 0 is as long as leaves invocations enough.
    """

    rows: int = 1
    columns: int = 1
    strip: int = 0

    def fits(self, window: Window) -> bool:
        """Whether its text stays short."""
        _, y, x = window
        rows = self.rows * y.stride
        columns = (self.columns - 1) * x.stride + x.span
        steps = self.rows * self.columns * y.kernel * x.kernel
        return rows * columns <= _MOST_LOADS and steps <= _MOST_STEPS

    def strip_of(self, window: Window, lanes: int) -> int:
        """Rows of an invocation, where ``lanes`` of them make one strip of all images."""
        y = window[1]
        shared = (y.span - 1) // y.stride
        if self.strip or not shared:
            return self.strip or self.rows
        return strip_rows(y.result, lanes, self.rows, shared)

    def spec(self, window: Window) -> dict[str, Value]:
        """Template variables; the window is written into the text."""
        z = window[0]
        spec: dict[str, Value] = {"block": True, "rows": self.rows, "columns": self.columns}
        spec["deep"] = z.kernel > 1 or z.before != 0 or (z.result - 1) * z.stride >= z.size
        for name, axis in zip("yx", window[1:], strict=True):
            spec |= {
                f"kernel_{name}": axis.kernel,
                f"stride_{name}": axis.stride,
                f"dilation_{name}": axis.dilation,
            }
        return spec


def launch_window(
    op: str,
    spec: Mapping[str, Value],
    buffers: Sequence[Buffer[Any]],
    window: Window,
    sizes: Mapping[str, float],
) -> None:
    """Record ``shaders/nn/<op>.wgsl``; the first buffer is (N, ..., C), the last one the result.

    ``spec`` has scalar and width, ``sizes`` the fields of its ``Params`` behind the window's.
    """
    x = buffers[0]
    units = x.shape[-1] // int(spec["width"] or 1)
    images, (z, y, x_axis) = x.shape[0], window
    lanes = images * z.result * units
    block = _suited(f"nn.{op}", x, window, lanes * y.result * x_axis.result)
    lanes *= -(-x_axis.result // (block.columns if block else 1))
    form: dict[str, Value] = {"block": False}
    workgroup, strip = _WORKGROUP, 1
    if block:
        form, workgroup = block.spec(window), _BLOCK_WORKGROUP
        strip = block.strip_of(window, max(lanes, 1))
    count = lanes * -(-y.result // strip)
    launch = kernel(x.device, f"nn/{op}.wgsl", **spec, **form, workgroup=workgroup)
    params = {"count": count, "units": units, "strip": strip, **fields(window), **sizes}
    launch(*buffers, params, grid=flat_grid(count, workgroup))


def _suited(op: str, x: Buffer[Any], window: Window, words: int) -> Block | None:
    """Block for a device and a window, ``words`` in all results; None: a loop over the taps.

    Overlapping windows share what a larger block reads. Results do not depend on the block.
    """
    rung, tile = wanted_rung(op), wanted_tile(op)
    if isinstance(tile, Block):
        return tile
    if rung == "naive" or x.device.is_cpu:
        return None
    rows = max(4 // window[1].stride, 1) if window[1].kernel > window[1].stride else 1
    columns = 2 if rows > 1 or window[2].kernel <= window[2].stride else 4
    if op == "nn.depthwise":
        columns = 1  # the weights take the registers
    offered = [Block(rows, columns), Block(2, 2), Block(1, 2), Block()]
    fitting = [b for b in offered if b.fits(window) and b.rows <= 2 * window[1].result]
    for block in fitting:
        if words >= _MANY * block.rows * block.columns:
            return block
    return fitting[-1] if fitting else None
