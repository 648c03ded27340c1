"""Pictures of scenes: rays that march, bounce and bend, and curves."""

from __future__ import annotations

import math
from dataclasses import dataclass

from gpucore import (
    Array,
    Array2,
    cross,
    dot,
    f32,
    global_id,
    gpu_function,
    gpu_kernel,
    i32,
    length,
    normalize,
    reflect,
    u32,
    vec2f,
    vec3f,
    vec4f,
)

__all__ = ["bezier", "black_hole", "ray_march", "ray_trace", "shapes"]

FAR = 20.0
LIGHT_X, LIGHT_Y, LIGHT_Z = 0.48, 0.8, -0.36


@gpu_function
def direction_of(row: u32, column: u32, rows: u32, columns: u32) -> vec3f:
    """Return the direction of a pixel's ray: the camera looks along z, up is y."""
    height = f32(rows)
    x = (f32(column) + 0.5 - 0.5 * f32(columns)) / height
    y = (0.5 * height - f32(row) - 0.5) / height
    return normalize(vec3f(x, y, 1))


@gpu_function
def scene(p: vec3f) -> float:
    """Return the distance to the scene: a floor, a ball and a rounded box that melt together."""
    ball = length(p - vec3f(-0.5, 0.1, 3)) - 0.6
    q = abs(p - vec3f(0.5, -0.1, 3)) - 0.35
    box = length(max(q, vec3f(0))) + min(max(q.x, q.y, q.z), 0.0) - 0.05
    h = unit(0.5 + (box - ball) / 0.4)
    melted = box * (1 - h) + ball * h - 0.2 * h * (1 - h)
    return f32(min(melted, p.y + 0.5))


@gpu_function
def unit(x: float) -> float:
    """Return x, at least 0 and at most 1."""
    return min(max(x, 0.0), 1.0)


@gpu_function
def normal_of(p: vec3f) -> vec3f:
    """Return the direction in which the distance to the scene grows."""
    e = 1e-2
    x, y, z = vec3f(e, 0, 0), vec3f(0, e, 0), vec3f(0, 0, e)
    return normalize(
        vec3f(
            scene(p + x) - scene(p - x),
            scene(p + y) - scene(p - y),
            scene(p + z) - scene(p - z),
        )
    )


@gpu_kernel
def ray_march(image: Array2[f32]) -> None:
    """Draw a scene of signed distances: rays go as far as nothing is near; Lambert's light."""
    row, column = global_id.y, global_id.x
    if row >= image.shape[0] or column >= image.shape[1]:
        return
    direction = direction_of(row, column, u32(image.shape[0]), u32(image.shape[1]))
    along = 0.0
    for _ in range(96):
        near = scene(along * direction)
        if near < 1e-3 or along > FAR:
            break
        along += near
    light = 0.0
    if along < FAR:
        normal = normal_of(along * direction)
        light = max(dot(normal, vec3f(LIGHT_X, LIGHT_Y, LIGHT_Z)), 0.05)
    image[row, column] = light


@dataclass
class Sphere:
    """A mirror: its centre, its radius, and how much it reflects (four numbers and more)."""

    centre: vec3f
    radius: f32
    colour: vec3f
    mirror: f32


@gpu_function
def hit(sphere: Sphere, origin: vec3f, direction: vec3f) -> float:
    """Return how far along a ray a sphere is; `FAR` where the ray misses it."""
    offset = origin - sphere.centre
    b = dot(offset, direction)
    c = dot(offset, offset) - sphere.radius * sphere.radius
    under = b * b - c
    if under <= 0:
        return FAR
    root = math.sqrt(under)
    near = -b - root
    return near if near > 1e-3 else FAR


@gpu_kernel
def ray_trace(spheres: Array[Sphere], bounces: u32, image: Array2[vec4f]) -> None:
    """Draw mirror balls under a sky by rays that bounce."""
    row, column = global_id.y, global_id.x
    if row >= image.shape[0] or column >= image.shape[1]:
        return
    origin = vec3f(0)
    direction = direction_of(row, column, u32(image.shape[0]), u32(image.shape[1]))
    light, weight = vec3f(0), 1.0
    for _ in range(bounces):
        nearest, which = FAR, 0
        for i in range(len(spheres)):
            along = hit(spheres[i], origin, direction)
            if along < nearest:
                nearest, which = along, i
        if nearest >= FAR:
            sky = 0.5 + 0.5 * direction.y
            light += weight * (vec3f(1) * (1 - sky) + vec3f(0.3, 0.5, 1) * sky)
            break
        ball = spheres[which]
        origin += nearest * direction
        normal = (origin - ball.centre) / ball.radius
        shade = max(dot(normal, vec3f(LIGHT_X, LIGHT_Y, LIGHT_Z)), 0.1)
        light += weight * (1 - ball.mirror) * shade * ball.colour
        weight *= ball.mirror
        direction = reflect(direction, normal)
    image[row, column] = vec4f(light, 1)


@gpu_kernel
def black_hole(distance: f32, steps: u32, image: Array2[f32]) -> None:
    """Draw a black hole of radius 1 and its disk: light bends by -3/2 h² r / |r|⁵."""
    row, column = global_id.y, global_id.x
    if row >= image.shape[0] or column >= image.shape[1]:
        return
    p = vec3f(0, 0.16 * distance, -distance)
    ahead = direction_of(row, column, u32(image.shape[0]), u32(image.shape[1]))
    velocity = normalize(ahead - vec3f(0, 0.16, 0))
    turning = cross(p, velocity)
    h2 = dot(turning, turning)
    light = 0.0
    for _ in range(steps):
        r2 = dot(p, p)
        if r2 < 1:
            break
        step = 0.08 * math.sqrt(r2)
        velocity -= (1.5 * step * h2 / (r2 * r2 * math.sqrt(r2))) * p
        after = p + step * velocity
        if p.y * after.y < 0:
            at = p + (p.y / (p.y - after.y)) * (after - p)
            radius = length(at)
            if 3 < radius < 8:
                light += 0.7 * (8 - radius) / 5 * (1 + 0.4 * at.x / radius)
        p = after
    image[row, column] = min(light, 1.0)


@gpu_kernel
def shapes(circles: Array[vec4f], image: Array2[f32]) -> None:
    """Draw the signed distance in pixels to a union of rings (x, y, radius, width)."""
    row, column = global_id.y, global_id.x
    if row >= image.shape[0] or column >= image.shape[1]:
        return
    at = vec2f(f32(column), f32(row))
    nearest = 1e9
    for i in range(len(circles)):
        ring = circles[i]
        nearest = min(nearest, abs(length(at - ring.xy) - ring.z) - ring.w)
    image[row, column] = nearest


@gpu_kernel
def bezier(controls: Array[vec2f], points: Array[vec2f]) -> None:
    """Evaluate cubic Bézier curves, four control points each, by de Casteljau's lines."""
    i = global_id.x
    count = u32(len(points)) // (u32(len(controls)) // 4)
    if i >= len(points):
        return
    t = f32(i % count) / f32(count - 1)
    first = i32(4 * (i // count))
    a, b = controls[first], controls[first + 1]
    c, d = controls[first + 2], controls[first + 3]
    ab, bc, cd = a + t * (b - a), b + t * (c - b), c + t * (d - c)
    abc, bcd = ab + t * (bc - ab), bc + t * (cd - bc)
    points[i] = abc + t * (bcd - abc)
