"""Launching windows that slide over each channel alone: ``shaders/nn/window.wgsl``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gpucore import Buffer
from gpustd.grid import flat_grid
from gpustd.nn.windows import Window, fields
from gpustd.rungs import wanted_rung, wanted_tile
from gpustd.template import Value, kernel

__all__ = ["Block", "launch_window"]

# A block is written out in full, which takes at most so many loads and so many steps.
_MOST_LOADS, _MOST_STEPS = 96, 512
# Invocations that fill the largest GPUs.
_MANY = 2**17
_WORKGROUP, _BLOCK_WORKGROUP = 64, 256


@dataclass(frozen=True)
class Block:
    """``rows`` times ``columns`` neighbouring results of an invocation."""

    rows: int = 1
    columns: int = 1

    def count(self, window: Window) -> int:
        """Blocks in the results of one image and channel."""
        z, y, x = window
        return z.result * -(-y.result // self.rows) * -(-x.result // self.columns)

    def fits(self, window: Window) -> bool:
        """Whether its text stays short."""
        _, y, x = window
        rows = (self.rows - 1) * y.stride + y.span
        columns = (self.columns - 1) * x.stride + x.span
        steps = self.rows * self.columns * y.kernel * x.kernel
        return rows * columns <= _MOST_LOADS and steps <= _MOST_STEPS

    def spec(self, window: Window) -> dict[str, Value]:
        """Template variables; the window is written into the text."""
        spec: dict[str, Value] = {"block": True, "rows": self.rows, "columns": self.columns}
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
    x, y = buffers[0], buffers[-1]
    units = x.shape[-1] // int(spec["width"] or 1)
    block = _suited(f"nn.{op}", x, window, x.shape[0] * Block().count(window) * units)
    workgroup = _BLOCK_WORKGROUP if block else _WORKGROUP
    form = block.spec(window) if block else {"block": False}
    count = x.shape[0] * (block or Block()).count(window) * units
    launch = kernel(y.device, f"nn/{op}.wgsl", **spec, **form, workgroup=workgroup)
    params = {"count": count, "units": units, **fields(window), **sizes}
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
    rows = 4 if window[1].kernel > window[1].stride else 1
    columns = 2 if rows > 1 or window[2].kernel <= window[2].stride else 4
    offered = [Block(rows, columns), Block(2, 2), Block(1, 2), Block()]
    fitting = [b for b in offered if b.fits(window) and b.rows <= 2 * window[1].result]
    for block in fitting:
        if words >= _MANY * block.rows * block.columns:
            return block
    return fitting[-1] if fitting else None
