"""Filters of pictures: windows, colours, and sums over areas."""

from __future__ import annotations

import math

from gpucore import (
    Array,
    Array2,
    Buffer,
    Const,
    barrier,
    f32,
    global_id,
    gpu_function,
    gpu_kernel,
    i32,
    local_id,
    shared,
    static_range,
    u32,
    vec3f,
    vec4f,
    workgroup_id,
)

__all__ = [
    "bilateral",
    "dilate",
    "dither",
    "erode",
    "gaussian_blur",
    "integral_image",
    "median",
    "rgb_to_hsv",
    "sobel",
]

SIDE = 16


@gpu_function
def at(x: Array2[f32], row: i32, column: i32) -> f32:
    """Return a pixel; beyond the edge, the nearest one."""
    rows, columns = i32(x.shape[0]), i32(x.shape[1])
    return x[min(max(row, 0), rows - 1), min(max(column, 0), columns - 1)]


@gpu_kernel
def sobel(x: Array2[f32], edges: Array2[f32]) -> None:
    """Compute the length of the gradient by Sobel's windows of 3 x 3."""
    row, column = i32(global_id.y), i32(global_id.x)
    if row >= i32(edges.shape[0]) or column >= i32(edges.shape[1]):
        return
    across, down = 0.0, 0.0
    for k in static_range(-1, 2):
        weight = 2.0 if k == 0 else 1.0
        across += weight * (at(x, row + k, column + 1) - at(x, row + k, column - 1))
        down += weight * (at(x, row + 1, column + k) - at(x, row - 1, column + k))
    edges[row, column] = math.hypot(across, down)


@gpu_kernel
def bilateral(
    x: Array2[f32], smooth: Array2[f32], radius: Const[int], far: f32, other: f32
) -> None:
    """Blur, but not over edges: weights fall with distance ``far`` and difference ``other``."""
    row, column = i32(global_id.y), i32(global_id.x)
    if row >= i32(x.shape[0]) or column >= i32(x.shape[1]):
        return
    own = x[row, column]
    total, weights = 0.0, 0.0
    for dy in range(-radius, radius + 1):
        for dx in range(-radius, radius + 1):
            value = at(x, row + dy, column + dx)
            distance = f32(dy * dy + dx * dx) / (2 * far * far)
            difference = (value - own) * (value - own) / (2 * other * other)
            weight = math.exp(-distance - difference)
            total += weight * value
            weights += weight
    smooth[row, column] = total / weights


@gpu_function
def sort3(a: f32, b: f32, c: f32) -> tuple[f32, f32, f32]:
    """Return three numbers in order."""
    low, high = min(a, b), max(a, b)
    return min(low, c), max(low, min(high, c)), max(high, c)


@gpu_kernel
def median(x: Array2[f32], middle: Array2[f32]) -> None:
    """Take the middle of 3 x 3 values: sort columns, then lows, middles and highs (Smith 1996)."""
    row, column = i32(global_id.y), i32(global_id.x)
    if row >= i32(x.shape[0]) or column >= i32(x.shape[1]):
        return
    i, j = row, column
    a, b, c = sort3(at(x, i - 1, j - 1), at(x, i, j - 1), at(x, i + 1, j - 1))
    d, e, f = sort3(at(x, i - 1, j), at(x, i, j), at(x, i + 1, j))
    g, h, k = sort3(at(x, i - 1, j + 1), at(x, i, j + 1), at(x, i + 1, j + 1))
    _, second, _ = sort3(b, e, h)
    _, result, _ = sort3(max(a, d, g), second, min(c, f, k))
    middle[row, column] = result


@gpu_kernel(workgroup_size=(SIDE, SIDE))
def blur_rows(x: Array2[f32], weights: Array[f32], y: Array2[f32], radius: Const[int]) -> None:
    """Weight each pixel's neighbours in its row, from a tile in shared memory."""
    tile = shared(f32, SIDE, SIDE + 2 * radius)
    row, column = i32(global_id.y), i32(global_id.x)
    first = i32(workgroup_id.x) * SIDE - radius
    for k in range(local_id.x, SIDE + 2 * radius, SIDE):
        tile[local_id.y, k] = at(x, row, first + i32(k))
    barrier()
    if row < i32(y.shape[0]) and column < i32(y.shape[1]):
        total = 0.0
        for k in static_range(2 * radius + 1):
            total += weights[k] * tile[local_id.y, local_id.x + k]
        y[row, column] = total


@gpu_kernel(workgroup_size=(SIDE, SIDE))
def blur_columns(x: Array2[f32], weights: Array[f32], y: Array2[f32], radius: Const[int]) -> None:
    """Weight each pixel's neighbours in its column, from a tile in shared memory."""
    tile = shared(f32, SIDE + 2 * radius, SIDE)
    row, column = i32(global_id.y), i32(global_id.x)
    first = i32(workgroup_id.y) * SIDE - radius
    for k in range(local_id.y, SIDE + 2 * radius, SIDE):
        tile[k, local_id.x] = at(x, first + i32(k), column)
    barrier()
    if row < i32(y.shape[0]) and column < i32(y.shape[1]):
        total = 0.0
        for k in static_range(2 * radius + 1):
            total += weights[k] * tile[local_id.y + k, local_id.x]
        y[row, column] = total


def gaussian_blur(x: Buffer[f32], sigma: float, radius: int) -> Buffer[f32]:
    """Return a picture (rows, columns) blurred by a Gaussian of ``2 * radius + 1`` weights."""
    values = [math.exp(-((k / sigma) ** 2) / 2) for k in range(-radius, radius + 1)]
    weights = x.device.buffer_from_array([each / sum(values) for each in values], f32)
    across, y = x.device.buffer(f32, x.shape), x.device.buffer(f32, x.shape)
    blur_rows(x, weights, across, radius)
    blur_columns(across, weights, y, radius)
    return y


@gpu_kernel(workgroup_size=64)
def sum_rows(x: Array2[f32], y: Array2[f32]) -> None:
    """Add up each row from its start, and turn rows into columns."""
    row = global_id.x
    if row < x.shape[0]:
        total = 0.0
        for column in range(x.shape[1]):
            total += x[row, column]
            y[column, row] = total


def integral_image(x: Buffer[f32]) -> Buffer[f32]:
    """Return the sums of all pixels above and left of each, with it (Crow 1984)."""
    rows, columns = x.shape
    turned, y = x.device.buffer(f32, (columns, rows)), x.device.buffer(f32, (rows, columns))
    sum_rows(x, turned)
    sum_rows(turned, y)
    return y


@gpu_kernel
def rgb_to_hsv(rgb: Array[vec4f], hsv: Array[vec4f]) -> None:
    """Convert colours from 0 to 1 to hue, saturation and value; alpha stays."""
    i = global_id.x
    if i >= len(rgb):
        return
    c = rgb[i]
    value = max(c.x, c.y, c.z)
    chroma = value - min(c.x, c.y, c.z)
    hue = 0.0
    if chroma > 0:
        if value == c.x:
            hue = (c.y - c.z) / chroma
            hue += 6.0 if hue < 0 else 0.0
        elif value == c.y:
            hue = (c.z - c.x) / chroma + 2
        else:
            hue = (c.x - c.y) / chroma + 4
    saturation = chroma / value if value > 0 else 0.0
    hsv[i] = vec4f(vec3f(hue / 6, saturation, value), c.w)


@gpu_kernel
def dither(x: Array2[f32], y: Array2[u32]) -> None:
    """Turn grey from 0 to 1 into black and white by Bayer's matrix of 8 x 8 (1973)."""
    row, column = global_id.y, global_id.x
    if row >= x.shape[0] or column >= x.shape[1]:
        return
    threshold = 0
    for bit in static_range(3):
        a, b = row >> bit & 1, column >> bit & 1
        threshold += (2 * (a ^ b) + a) << (4 - 2 * bit)
    y[row, column] = u32(x[row, column] * 64 > f32(threshold) + 0.5)


@gpu_function
def larger(a: f32, b: f32) -> f32:
    """Return the larger number."""
    return max(a, b)


@gpu_function
def smaller(a: f32, b: f32) -> f32:
    """Return the smaller number."""
    return min(a, b)


@gpu_function
def window(choose, x: Array2[f32], row: i32, column: i32, radius: i32) -> f32:  # type: ignore[no-untyped-def]
    """Return what a function chooses of a square window."""
    result = x[row, column]
    for dy in range(-radius, radius + 1):
        for dx in range(-radius, radius + 1):
            result = choose(result, at(x, row + dy, column + dx))
    return result


@gpu_kernel
def dilate(x: Array2[f32], y: Array2[f32], radius: i32) -> None:
    """Take the largest of each square window."""
    row, column = i32(global_id.y), i32(global_id.x)
    if row < i32(x.shape[0]) and column < i32(x.shape[1]):
        y[row, column] = window(larger, x, row, column, radius)


@gpu_kernel
def erode(x: Array2[f32], y: Array2[f32], radius: i32) -> None:
    """Take the smallest of each square window."""
    row, column = i32(global_id.y), i32(global_id.x)
    if row < i32(x.shape[0]) and column < i32(x.shape[1]):
        y[row, column] = window(smaller, x, row, column, radius)
