"""Kernels whose windows slide over each channel alone: ``shaders/nn/window.wgsl``."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from gpucore import Buffer, Device, PerDevice, f16
from gpucore.integers import ceil_div
from gpustd.launch.elements import can_compare_f16_pairs, width_of
from gpustd.launch.grid import flat_grid, strip_rows
from gpustd.launch.template import Value, constants, kernel
from gpustd.launch.variants import forced_tile, forced_variant
from gpustd.nn.conv.windows import Window, window_params

__all__ = ["Block", "launch_window"]

# The text of a step writes out each load and each sum; there are at most so many.
_MOST_LOADS, _MOST_STEPS = 96, 512
# Invocations that fill the largest GPUs.
_MANY = 2**17
# From so many words of results on, a shader is compiled for one size, as constants.
_MANY_WORDS = 2**20
# At most so many sizes of one window have such a shader: later ones share one with a uniform.
_MOST_SIZES = 8
_WORKGROUP, _BLOCK_WORKGROUP = 64, 128

_sizes: PerDevice[dict[object, set[tuple[int, ...]]]] = PerDevice(lambda device: {})


@dataclass(frozen=True)
class Block:
    """The results of an invocation: ``rows`` times ``columns`` a step, ``strip`` rows in all.

    A strip of 0 is as long as leaves enough invocations. Results are words of up to ``width``
    elements; with ``ahead``, a step's words are loaded one step before. With ``lines``, a strip is
    one step, and as many neighbouring invocations compute strips that lie one below the other.
    """

    rows: int = 1
    columns: int = 1
    strip: int = 0
    width: int = 4
    ahead: bool = False
    lines: int = 0

    def fits(self, window: Window) -> bool:
        """Tell whether the shader's text stays short."""
        _, y, x = window
        rows = (self.rows - 1) * y.stride + y.span if self.lines else self.rows * y.stride
        columns = (self.columns - 1) * x.stride + x.span
        steps = self.rows * self.columns * y.kernel * x.kernel
        return rows * columns <= _MOST_LOADS and steps <= _MOST_STEPS

    def strip_rows_of(self, window: Window, lanes: int) -> int:
        """Return the rows of an invocation; ``lanes`` invocations take one strip of all images."""
        y = window.y
        shared = (y.span - 1) // y.stride
        if self.lines:
            return self.rows
        if self.strip or not shared:
            return self.strip or self.rows
        return strip_rows(y.result, lanes, self.rows, shared)

    def spec(self, window: Window) -> dict[str, Value]:
        """Return the template variables; the window is part of the text."""
        z = window.z
        spec: dict[str, Value] = {"block": True, "rows": self.rows, "columns": self.columns}
        spec |= {"ahead": self.ahead, "lines": self.lines}
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
    sizes: Mapping[str, int],
) -> None:
    """Record ``shaders/nn/<op>.wgsl``; the first buffer is (N, ..., C), the last one the result.

    ``spec`` has the scalar, ``sizes`` the fields of its ``Params`` after the window's.
    """
    x, kind = buffers[0], spec.get("kind")
    images, (z, y, x_axis) = x.shape[0], window
    pairs = kind == "max" and x.dtype is f16 and can_compare_f16_pairs(x.device)
    block = _best_variant(f"nn.{op}", x, window, kind, pairs)
    lined = block is not None and block.lines > 0
    wide = pairs or (kind == "mean" and x.dtype is f16 and lined)
    widest = block.width if block else 4
    width = math.gcd(x.shape[-1], widest if wide else min(widest, 4))
    units = x.shape[-1] // width
    lanes = images * z.result * units * ceil_div(x_axis.result, block.columns if block else 1)
    form: dict[str, Value] = {"block": False}
    workgroup, strip, below = _WORKGROUP, 1, 1
    if block:
        form, workgroup = block.spec(window), _BLOCK_WORKGROUP
        strip, below = block.strip_rows_of(window, max(lanes, 1)), block.lines or 1
    count = lanes * ceil_div(y.result, strip * below) * below
    params = {"count": count, "units": units, **window_params(window), "strip": strip, **sizes}
    gains = lined or (block is not None and op == "depthwise" and x.dtype is f16)
    form |= {"width": width, "pairs": pairs and width > 1, "workgroup": workgroup}
    form["noted"] = kind == "max" and not form["pairs"] and lined
    many = gains and buffers[-1].size >= _MANY_WORDS * width
    constant = many and _is_among_first(x.device, (op, *spec.items(), *form.items()), params)
    form["sizes"] = constants(params) if constant else ""
    uniforms: list[dict[str, Any]] = [] if constant else [params]
    if kind == "max" and not form["pairs"]:
        uniforms.append({"value": -math.inf})
    launch = kernel(x.device, f"nn/{op}.wgsl", **spec, **form)
    launch(*buffers, *uniforms, grid=flat_grid(count, workgroup))


def _is_among_first(device: Device, key: object, sizes: Mapping[str, int]) -> bool:
    """Tell whether these are among the first sizes that came for a shader."""
    known = _sizes.of(device).setdefault(key, set())
    numbers = tuple(sizes.values())
    if len(known) < _MOST_SIZES:
        known.add(numbers)
    return numbers in known


def _best_variant(
    op: str, x: Buffer[Any], window: Window, kind: Value, pairs: bool
) -> Block | None:
    """Return the block for a device and a window; None for a loop over the taps.

    Overlapping windows share what a larger block reads. Results do not depend on the block.
    """
    variant, tile = forced_variant(op), forced_tile(op)
    if isinstance(tile, Block):
        return tile
    if variant == "naive" or x.device.is_cpu:
        return None
    halves = x.dtype is f16
    if op == "nn.depthwise":
        largest = _depthwise_block(window, halves)
    elif kind == "mean":
        largest = _line_block(window) if halves and _is_narrow(window) else _plain_block(window)
    elif pairs:
        largest = _pair_block(window)
    else:
        largest = _maximum_block(window, halves)
    blocks = [largest, Block(2, 2), Block(1, 2), Block()]
    blocks = [b for b in blocks if b.fits(window) and b.rows <= 2 * window.y.result]
    channels = x.shape[-1]
    words = x.shape[0] * math.prod(a.result for a in window) * (channels // width_of(channels))
    for block in blocks:
        if words >= _MANY * block.rows * block.columns:
            return block
    return blocks[-1] if blocks else None


def _plain_block(window: Window) -> Block:
    """Return the largest block of sums or maxima of f32."""
    _, y, x = window
    rows = max(4 // y.stride, 1) if y.kernel > y.stride else 1
    return Block(rows, 2 if rows > 1 or x.kernel <= x.stride else 4)


def _maximum_block(window: Window, halves: bool) -> Block:
    """Return the largest block of maxima that are not computed in pairs."""
    lined = _is_narrow(window) and window.y.stride == 1 and not halves
    return replace(_line_block(window), width=4, lines=1) if lined else _plain_block(window)


def _pair_block(window: Window) -> Block:
    """Return the largest block of maxima in pairs.

    Words of 16 bytes are faster, except for wide windows with a stride.
    """
    _, y, x = window
    if y.kernel <= y.stride and x.kernel <= x.stride:
        return Block(width=8)
    if _is_narrow(window):
        return _line_block(window)
    dense = y.stride == 1 == x.stride
    return Block(min(y.kernel, 2), 4, width=8, ahead=True) if dense else _plain_block(window)


def _is_narrow(window: Window) -> bool:
    """Tell whether windows share so little that no sums are carried from step to step."""
    _, y, x = window
    return y.stride < y.kernel and y.span <= 3 and x.span <= 3


def _line_block(window: Window) -> Block:
    """Return the block of narrow windows, whose strips are one step."""
    return Block(4, 2, width=8, lines=2) if window.y.stride == 1 else Block(2, width=8, lines=4)


def _depthwise_block(window: Window, halves: bool) -> Block:
    """Return the largest block of a depthwise convolution.

    Few weights stay in registers, which leaves fewer registers for sums.
    """
    _, y, x = window
    taps = y.kernel * x.kernel
    if y.stride == 1 == x.stride and taps <= (25 if halves else 9):
        return Block(min(y.kernel, 2), 2, width=4 if taps <= 9 else 2, ahead=halves)
    if halves and y.stride == 1 == x.stride and taps <= 50:
        return Block(1, 4, width=2)
    return Block(max(4 // y.stride, 1) if y.kernel > y.stride else 1)
