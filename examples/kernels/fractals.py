"""Fractals: how fast points of the complex plane escape, or where they go."""

from __future__ import annotations

from dataclasses import dataclass

from gpucore import Array2, dot, f32, global_id, gpu_function, gpu_kernel, u32, vec2f

__all__ = ["julia", "mandelbrot", "newton"]


@dataclass
class View:
    """A part of the plane: its corner with the least coordinates, and the side of a pixel."""

    corner: vec2f
    pixel: f32


@gpu_function
def square(z: vec2f) -> vec2f:
    """Return z² of a complex number."""
    return vec2f(z.x * z.x - z.y * z.y, 2 * z.x * z.y)


@gpu_function
def escape(start: vec2f, c: vec2f, most: u32) -> u32:
    """Count the rounds of z² + c until z leaves the disk of radius 2, up to ``most``."""
    z = start
    count = 0
    while count < most and dot(z, z) <= 4:
        z = square(z) + c
        count += 1
    return u32(count)


@gpu_function
def point(view: View, column: u32, row: u32) -> vec2f:
    """Return the point of the plane at a pixel."""
    return view.corner + view.pixel * vec2f(f32(column), f32(row))


@gpu_kernel
def mandelbrot(view: View, most: u32, counts: Array2[u32]) -> None:
    """Count the rounds until each c escapes from z² + c, which begins at 0."""
    row, column = global_id.y, global_id.x
    if row < counts.shape[0] and column < counts.shape[1]:
        counts[row, column] = escape(vec2f(0), point(view, column, row), most)


@gpu_kernel
def julia(view: View, c: vec2f, most: u32, counts: Array2[u32]) -> None:
    """Count the rounds until each z escapes from z² + c, with one c for all."""
    row, column = global_id.y, global_id.x
    if row < counts.shape[0] and column < counts.shape[1]:
        counts[row, column] = escape(point(view, column, row), c, most)


@gpu_kernel
def newton(view: View, rounds: u32, roots: Array2[u32]) -> None:
    """Find the root of z³ = 1 that Newton's method reaches from each point: 0, 1 or 2."""
    row, column = global_id.y, global_id.x
    if row >= roots.shape[0] or column >= roots.shape[1]:
        return
    z = point(view, column, row)
    for _ in range(rounds):
        power = square(z)
        inverse = vec2f(power.x, -power.y) / max(dot(power, power), 1e-12)
        z = (2 * z + inverse) / 3
    roots[row, column] = 0 if z.x > 0 else (1 if z.y > 0 else 2)
