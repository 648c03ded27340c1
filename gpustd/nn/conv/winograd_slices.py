"""Convolution over three axes with up to four times fewer multiplications, after Winograd.

The 3 x 3 taps of height and width are computed by the blocks of `gpustd.matmul.winograd`. Each
slice of depth is transformed once. The taps of depth are taps of the products: a convolution over
depth alone, whose pixels are blocks.
"""

from __future__ import annotations

import math

from gpucore import Buffer, T, f16, f32
from gpucore.integers import ceil_div
from gpustd.launch.elements import float_scalar, launch_flat
from gpustd.launch.template import Value
from gpustd.launch.variants import forced_tile, forced_variant
from gpustd.matmul.conv import Padding, conv_matmul
from gpustd.matmul.conv import Window as Plane
from gpustd.matmul.epilogue import Epilogue
from gpustd.matmul.launching import launch_matmul
from gpustd.matmul.winograd_blocks import WinogradBlocks
from gpustd.nn.conv.voxels import voxel_matmul
from gpustd.nn.conv.windows import Axis, Window

__all__ = ["best_block", "convolve_in_blocks"]

_BLOCK = 4
# Pixels of an image times channels, from which blocks are faster.
_MANY = 2**21
# Taps along depth.
_MOST_TAPS = 7
# Bytes of transformed slices and sums at a time.
_MOST_BYTES = 2**28


def best_block(x: Buffer[T], w: Buffer[T], window: Window) -> int | None:
    """Return the side of the blocks that are fastest for a convolution; None where none are.

    The limits are measured (bench/results): matrix units, stride and padding 1, and no larger
    volumes than `convolve_in_blocks` computes at once.
    """
    z, *plane = window
    fits = 1 < z.kernel <= _MOST_TAPS and (z.stride, z.dilation, z.result) == (1, 1, z.size)
    for axis in plane:
        fits &= (axis.kernel, axis.stride, axis.dilation, axis.before) == (3, 1, 1, 1)
        fits &= axis.result == axis.size
    forced = forced_tile("nn.winograd")
    if not fits or forced_variant("nn.winograd") == "none":
        return None
    if isinstance(forced, int):
        return forced
    channels, n = w.shape[3:]
    units = x.device.has_matrix_units and x.dtype is f16 and not channels % 8 and not n % 8
    least, height, width = min(channels, n), plane[0].size, plane[1].size
    large = least >= 64 and min(height, width) >= 16 and z.size * height * width * least >= _MANY
    return _BLOCK if units and large and _transformed_bytes(x, n, _BLOCK) <= _MOST_BYTES else None


def _transformed_bytes(x: Buffer[T], n: int, block: int) -> int:
    """Return the bytes of one image's transformed pixels and sums."""
    _, depth, height, width, channels = x.shape
    places = depth * ceil_div(height, block) * ceil_div(width, block) * (block + 2) ** 2
    return places * (channels + n) * x.dtype.itemsize


def convolve_in_blocks(
    op: str, x: Buffer[T], w: Buffer[T], bias: Buffer[f32] | None, window: Window, block: int
) -> Buffer[T]:
    """Convolve as `convolve` does, with blocks of ``block`` x ``block`` results."""
    images, depth, height, width, channels = x.shape
    n = w.shape[4]
    slices = x.view((images * depth, height, width, channels))
    plane = Plane(padding=Padding(1, 1, 1, 1))
    direct = conv_matmul(op, slices, None, (3, 3, channels, n), plane, None, 0)
    form = WinogradBlocks.of(direct, block)
    u = _transform_weights(op, w, form.planes, block)
    y = x.device.buffer(x.dtype, (images * depth, height, width, n))
    float_scalar(op, x, w)
    blocks = form.across * form.down
    most = max(_MOST_BYTES // _transformed_bytes(x, n, block), 1)
    # Parts of equal size, so that few kernels are compiled.
    count = ceil_div(images, ceil_div(images, most)) if images else 1
    axes = Window(window.z, Axis(blocks, result=blocks), Axis())
    for first in range(0, images, count):
        part = min(count, images - first)
        rows = part * depth * blocks
        v = form.transform_pixels(slices, None, first * depth * blocks, rows)
        sums = x.device.buffer(x.dtype, (form.planes, rows, n))
        matmul = voxel_matmul(op, (part, depth, blocks, 1, n), channels, axes, form.planes)
        launch_matmul(matmul, v, u, sums)
        form.write_results(sums, first * depth * blocks, Epilogue(bias), y)
    return y.view((*x.shape[:4], n))


def _transform_weights(op: str, w: Buffer[T], planes: int, block: int) -> Buffer[T]:
    """Return the transformed weights: (planes, kernel depth, C, Cout)."""
    u = w.device.buffer(w.dtype, (planes, w.shape[0], *w.shape[3:]))
    plane = math.prod(w.shape[3:])
    width = math.gcd(2, plane)
    spec: dict[str, Value] = {
        "scalar": float_scalar(op, w),
        "width": width,
        "block": block,
        "slices": True,
    }
    sizes = {"plane": plane // width}
    launch_flat("matmul/winograd/weights.wgsl", spec, (w, u), w.shape[0] * plane // width, sizes)
    return u
