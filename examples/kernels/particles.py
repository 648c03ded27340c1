"""Particles: what each feels from the others."""

from __future__ import annotations

import math
from typing import Any

from gpucore import (
    Array,
    Array2,
    Buffer,
    barrier,
    dot,
    f32,
    global_id,
    gpu_function,
    gpu_kernel,
    i32,
    length,
    local_index,
    shared,
    vec2f,
    vec3f,
    vec4f,
)

__all__ = ["boids", "cloth", "n_body", "sph"]

TILE = 128
SOFTENING = 1e-2


@gpu_kernel(workgroup_size=TILE)
def accelerations(bodies: Array[vec4f], pulls: Array[vec4f]) -> None:
    """Sum the pulls of all bodies (x, y, z, mass) on each, a tile in shared memory at a time."""
    tile = shared(vec4f, TILE)
    i = global_id.x
    own = vec3f(0)
    if i < len(bodies):
        own = bodies[i].xyz
    pull = vec3f(0)
    for first in range(0, len(bodies), TILE):
        j = first + local_index
        tile[local_index] = bodies[j] if j < len(bodies) else vec4f(0)
        barrier()
        for k in range(TILE):
            offset = tile[k].xyz - own
            square = dot(offset, offset) + SOFTENING
            pull += offset * (tile[k].w / (square * math.sqrt(square)))
        barrier()
    if i < len(pulls):
        pulls[i] = vec4f(pull, 0)


@gpu_kernel
def drift(step: f32, pulls: Array[vec4f], speeds: Array[vec4f], bodies: Array[vec4f]) -> None:
    """Change speeds by pulls, and places by speeds."""
    i = global_id.x
    if i < len(bodies):
        speeds[i] += step * pulls[i]
        bodies[i] += step * speeds[i]


def n_body(bodies: Buffer[Any], speeds: Buffer[Any], step: float, steps: int) -> None:
    """Move bodies (n, 4) of x, y, z and mass by gravity, with their speeds (n, 4), in place."""
    pulls: Buffer[Any] = bodies.device.buffer(f32, bodies.shape)
    for _ in range(steps):
        accelerations(bodies, pulls)
        drift(step, pulls, speeds, bodies)


@gpu_kernel
def densities(radius: f32, points: Array[vec2f], density: Array[f32]) -> None:
    """Sum the kernel 4 (h² - r²)³ / πh⁸ (Müller et al. 2003, in a plane) over neighbours."""
    i = global_id.x
    if i >= len(points):
        return
    square = radius * radius
    total = 0.0
    for j in range(len(points)):
        offset = points[j] - points[i]
        total += max(square - dot(offset, offset), 0.0) ** 3
    density[i] = 4 / (math.pi * square**4) * total


@gpu_kernel
def pressures(
    radius: f32, rest: f32, points: Array[vec2f], density: Array[f32], forces: Array[vec2f]
) -> None:
    """Sum the push of neighbours: pressures are density less ``rest``; kernel 30 (h - r)² / πh⁵."""
    i = global_id.x
    if i >= len(points):
        return
    total = vec2f(0)
    own = density[i] - rest
    for j in range(len(points)):
        offset = points[i] - points[j]
        r = length(offset)
        if 0 < r < radius:
            near = (radius - r) * (radius - r) * 30 / (math.pi * radius**5)
            total += offset * ((own + density[j] - rest) / (2 * density[j]) * near / r)
    forces[i] = total


def sph(points: Buffer[Any], radius: float, rest: float) -> tuple[Buffer[f32], Buffer[Any]]:
    """Return densities (n,) and pressure forces (n, 2) of smoothed particles at points (n, 2)."""
    density = points.device.buffer(f32, len(points))
    forces: Buffer[Any] = points.device.buffer(f32, points.shape)
    densities(radius, points, density)
    pressures(radius, rest, points, density, forces)
    return density, forces


@gpu_kernel
def boids(sight: f32, step: f32, before: Array[vec4f], after: Array[vec4f]) -> None:
    """Move birds (x, y and speed): they avoid the near, follow the speed and centre of the seen."""
    i = global_id.x
    if i >= len(before):
        return
    own = before[i]
    centre, speed, away = vec2f(0), vec2f(0), vec2f(0)
    seen = 0
    for j in range(len(before)):
        other = before[j]
        offset = other.xy - own.xy
        square = dot(offset, offset)
        if j != i and square < sight * sight:
            seen += 1
            centre += offset
            speed += other.zw - own.zw
            away -= offset / (square + 1e-3)
    velocity = own.zw
    if seen > 0:
        velocity += (0.05 * centre + 0.1 * speed) / f32(seen) + 0.002 * away
    velocity *= min(1.0, 0.5 / max(length(velocity), 1e-6))
    after[i] = vec4f(own.xy + step * velocity, velocity)


@gpu_function
def spring(at: vec3f, other: vec3f, rest: f32) -> vec3f:
    """Return the pull of a spring toward another point."""
    offset = other - at
    return offset * (1 - rest / max(length(offset), 1e-6))


@gpu_kernel
def pull_cloth(
    stiffness: f32, rest: f32, now: Array2[vec4f], before: Array2[vec4f], after: Array2[vec4f]
) -> None:
    """Move the knots of a cloth by Verlet's rule; its upper row hangs fast."""
    row, column = i32(global_id.y), i32(global_id.x)
    rows, columns = i32(now.shape[0]), i32(now.shape[1])
    if row >= rows or column >= columns:
        return
    at = now[row, column].xyz
    force = vec3f(0, -0.002, 0)
    for dy in range(-1, 2):
        for dx in range(-1, 2):
            y, x = row + dy, column + dx
            inside = 0 <= y < rows and 0 <= x < columns
            if inside and (dy != 0 or dx != 0):
                far = rest * math.sqrt(f32(dy * dy + dx * dx))
                force += stiffness * spring(at, now[y, x].xyz, far)
    moved = at + 0.98 * (at - before[row, column].xyz) + force
    after[row, column] = vec4f(at if row == 0 else moved, 0)


def cloth(knots: Buffer[Any], stiffness: float, rest: float, steps: int) -> Buffer[Any]:
    """Return where the knots (rows, columns, 4) of a cloth are after some steps."""
    now, before = knots, knots
    for _ in range(steps):
        after: Buffer[Any] = knots.device.buffer(f32, knots.shape)
        pull_cloth(stiffness, rest, now, before, after)
        now, before = after, now
    return now
