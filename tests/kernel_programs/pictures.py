"""Fractals, scenes and noise, in NumPy."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np

from examples.kernels import fractals, random_numbers, rendering
from gpucore import Device
from tests.kernel_programs.comparing import Comparison, given, poisoned, random

Points = np.ndarray
LIGHT = np.array([rendering.LIGHT_X, rendering.LIGHT_Y, rendering.LIGHT_Z])


def view_of(x: float, y: float, pixel: float) -> fractals.View:
    return fractals.View((x, y), pixel)  # type: ignore[arg-type]


def plane(x: float, y: float, pixel: float, rows: int, columns: int) -> Points:
    row, column = np.mgrid[:rows, :columns]
    return np.float32(x) + np.float32(pixel) * column + 1j * (y + np.float32(pixel) * row)


def escape(z: Points, c: Points | complex, most: int) -> Points:
    z, count = z.copy(), np.zeros(z.shape, int)
    for _ in range(most):
        inside = np.abs(z) <= 2
        count += inside
        z = np.where(inside, z * z + c, z)
    return count


def mandelbrot(device: Device) -> Iterator[Comparison]:
    counts = poisoned(device, (61, 83), np.uint32)
    fractals.mandelbrot(view_of(-2.1, -1.2, 0.04), 50, counts)
    c = plane(-2.1, -1.2, 0.04, 61, 83)
    yield Comparison(counts.read(), escape(0 * c, c, 50), differing=0.01)


def julia(device: Device) -> Iterator[Comparison]:
    counts = poisoned(device, (50, 71), np.uint32)
    fractals.julia(view_of(-1.5, -1, 0.041), (-0.8, 0.156), 60, counts)
    expected = escape(plane(-1.5, -1, 0.041, 50, 71), -0.8 + 0.156j, 60)
    yield Comparison(counts.read(), expected, differing=0.02)


def newton(device: Device) -> Iterator[Comparison]:
    roots = poisoned(device, (45, 67), np.uint32)
    fractals.newton(view_of(-1.511, -1.013, 0.0457), 30, roots)
    z = plane(-1.511, -1.013, 0.0457, 45, 67)
    for _ in range(30):
        z = (2 * z + 1 / z**2) / 3
    expected = np.where(z.real > 0, 0, np.where(z.imag > 0, 1, 2))
    yield Comparison(roots.read(), expected, differing=0.02)


def directions(rows: int, columns: int) -> Points:
    row, column = np.mgrid[:rows, :columns]
    x, y = (column + 0.5 - columns / 2) / rows, (rows / 2 - row - 0.5) / rows
    return unit(np.stack([x, y, np.ones_like(x)], -1))


def unit(v: Points) -> Points:
    return np.asarray(v / np.linalg.norm(v, axis=-1, keepdims=True))


def scene(p: Points) -> Points:
    ball = np.linalg.norm(p - [-0.5, 0.1, 3], axis=-1) - 0.6
    q = np.abs(p - [0.5, -0.1, 3]) - 0.35
    box = np.linalg.norm(q.clip(0), axis=-1) + q.max(-1).clip(max=0) - 0.05
    h = (0.5 + (box - ball) / 0.4).clip(0, 1)
    return np.minimum(box * (1 - h) + ball * h - 0.2 * h * (1 - h), p[..., 1] + 0.5)


def ray_march(device: Device) -> Iterator[Comparison]:
    image = poisoned(device, (37, 51))
    rendering.ray_march(image)
    ray, along = directions(37, 51), np.zeros((37, 51))
    for _ in range(96):
        near = scene(along[..., None] * ray)
        along += np.where((near < 1e-3) | (along > rendering.FAR), 0, near)
    at = along[..., None] * ray
    steps = 1e-2 * np.eye(3)
    normal = unit(np.stack([scene(at + e) - scene(at - e) for e in steps], -1))
    expected = np.where(along < rendering.FAR, (normal @ LIGHT).clip(0.05), 0)
    yield Comparison(image.read(), expected, atol=2e-3, differing=0.02)


SPHERE = np.dtype([("centre", "f4", 3), ("radius", "f4"), ("colour", "f4", 3), ("mirror", "f4")])


def ray_trace(device: Device) -> Iterator[Comparison]:
    rng = random()
    spheres = np.zeros(6, SPHERE)
    spheres["centre"] = rng.uniform((-1.5, -1, 3), (1.5, 1, 6), (6, 3))
    spheres["radius"], spheres["mirror"] = rng.uniform(0.3, 0.8, 6), rng.uniform(0.2, 0.7, 6)
    spheres["colour"] = rng.random((6, 3))
    image = poisoned(device, (33, 45, 4))
    rendering.ray_trace(device.buffer_from_array(spheres), 4, image)
    expected = np.concatenate([traced(spheres), np.ones((33, 45, 1))], -1)
    yield Comparison(image.read(), expected, atol=2e-3, differing=0.02)


def traced(spheres: np.ndarray) -> Points:
    image = np.zeros((33, 45, 3))
    rays = directions(33, 45)
    for place in itertools.product(range(33), range(45)):
        origin, ray, weight = np.zeros(3), rays[place], 1.0
        for _ in range(4):
            offset = origin - spheres["centre"]
            b = offset @ ray
            under = b * b - (offset**2).sum(1) + spheres["radius"].astype(float) ** 2
            along = -b - np.sqrt(under.clip(0))
            along = np.where((under > 0) & (along > 1e-3), along, rendering.FAR)
            ball = spheres[along.argmin()]
            if along.min() >= rendering.FAR:
                sky = 0.5 + 0.5 * ray[1]
                image[place] += weight * (1 - sky + np.array([0.3, 0.5, 1]) * sky)
                break
            origin = origin + along.min() * ray
            normal = (origin - ball["centre"]) / ball["radius"]
            shade = max(normal @ LIGHT, 0.1)
            image[place] += weight * (1 - ball["mirror"]) * shade * ball["colour"]
            weight *= ball["mirror"]
            ray = ray - 2 * (ray @ normal) * normal
    return image


def black_hole(device: Device) -> Iterator[Comparison]:
    image = poisoned(device, (41, 57))
    rendering.black_hole(12.0, 300, image)
    velocity = unit(directions(41, 57) - [0, 0.16, 0])
    p = np.broadcast_to([0, 0.16 * 12, -12.0], velocity.shape).copy()
    h2 = (np.cross(p, velocity) ** 2).sum(-1)
    light, free = np.zeros((41, 57)), np.ones((41, 57), bool)
    for _ in range(300):
        r = np.linalg.norm(p, axis=-1)
        free &= r >= 1
        step = 0.08 * r
        velocity = velocity - (1.5 * step * h2 / r**5)[..., None] * p
        after = p + step[..., None] * velocity
        height = p[..., 1] - after[..., 1]
        height = np.where(height == 0, 1, height)
        at = p + (p[..., 1] / height)[..., None] * (after - p)
        radius = np.linalg.norm(at, axis=-1)
        seen = free & (p[..., 1] * after[..., 1] < 0) & (radius > 3) & (radius < 8)
        light += seen * 0.7 * (8 - radius) / 5 * (1 + 0.4 * at[..., 0] / radius)
        p = np.where(free[..., None], after, p)
    yield Comparison(image.read(), light.clip(max=1), atol=1e-2, differing=0.04)


def shapes(device: Device) -> Iterator[Comparison]:
    rings = random().uniform((0, 0, 5, 1), (60, 40, 20, 4), (7, 4)).astype(np.float32)
    image = poisoned(device, (43, 61))
    rendering.shapes(given(device, rings), image)
    row, column = np.mgrid[:43, :61]
    x, y, radius, width = rings.astype(float).T[..., None, None]
    expected = (np.abs(np.hypot(column - x, row - y) - radius) - width).min(0)
    yield Comparison(image.read(), expected, atol=1e-4)


def bezier(device: Device) -> Iterator[Comparison]:
    controls = random().uniform(-1, 1, (5, 4, 2)).astype(np.float32)
    points = poisoned(device, (5 * 33, 2))
    rendering.bezier(given(device, controls.reshape(20, 2)), points)
    t = np.linspace(0, 1, 33)
    basis = [(1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t**2 * (1 - t), t**3]
    expected = np.einsum("kt,ckx->ctx", basis, controls.astype(float))
    yield Comparison(points.read(), expected.reshape(-1, 2))


def philox(counters: np.ndarray, seed: tuple[int, int]) -> list[np.ndarray]:
    """Return four words for each counter, in 64 bits (Salmon et al. 2011)."""
    mask = np.uint64(0xFFFFFFFF)
    c = [counters[:, k].astype(np.uint64) for k in range(4)]
    key = [int(each) for each in seed]
    for _ in range(10):
        p, q = c[0] * np.uint64(0xD2511F53), c[2] * np.uint64(0xCD9E8D57)
        c = [
            (q >> np.uint64(32)) ^ c[1] ^ np.uint64(key[0]),
            q & mask,
            (p >> np.uint64(32)) ^ c[3] ^ np.uint64(key[1]),
            p & mask,
        ]
        key = [(key[0] + 0x9E3779B9) % 2**32, (key[1] + 0xBB67AE85) % 2**32]
    return c


SEED = (0x12345678, 0x9ABCDEF0)


def counters(first: int, second: int = 0) -> np.ndarray:
    made = np.zeros((first, 4), np.uint64)
    made[:, 0], made[:, 1] = np.arange(first), second
    return made


def random_words(device: Device) -> Iterator[Comparison]:
    words = poisoned(device, (1001, 4), np.uint32)
    random_numbers.random_words(SEED, words)
    yield Comparison(words.read(), np.stack(philox(counters(1001), SEED), 1), 0, 0)


def monte_carlo_pi(device: Device) -> Iterator[Comparison]:
    inside = given(device, [0], np.uint32)
    random_numbers.monte_carlo_pi[7](SEED, 30, inside)
    count = 0
    for i in range(30):
        x, y, z, w = (word >> np.uint64(17) for word in philox(counters(7 * 256, i), SEED))
        count += int((x * x + y * y < 2**30).sum() + (z * z + w * w < 2**30).sum())
    yield Comparison(inside.read(), [count], 0, 0)
    yield Comparison(4 * count / (7 * 256 * 60), np.pi, 0, 0.02)  # four deviations


def monte_carlo_option(device: Device) -> Iterator[Comparison]:
    option = random_numbers.Option(100, 105, 0.03, 0.2, 1.5)  # type: ignore[arg-type]
    payoffs = poisoned(device, 5003)
    random_numbers.monte_carlo_option(option, SEED, payoffs)
    words = philox(counters(5003), SEED)
    u, v = ((words[0] >> np.uint64(9)) + 0.5) / 2**23, (words[1] >> np.uint64(9)) / 2**23
    normal = np.sqrt(-2 * np.log(u)) * np.cos(2 * np.pi * v)
    end = 100 * np.exp((0.03 - 0.02) * 1.5 + 0.2 * np.sqrt(1.5) * normal)
    expected = np.exp(-0.045) * (end - 105).clip(0)
    # WGSL's cos is within 2^-11, which the volatility and a root of -2 log u up to 5.6 multiply.
    yield Comparison(payoffs.read(), expected, 2e-3, 0.2)
    yield Comparison(payoffs.read().mean(dtype=float), expected.mean(), 1e-3, 0)


def gradients(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    h = x.astype(np.uint32) * np.uint32(0x27D4EB2F) ^ y.astype(np.uint32) * np.uint32(0x165667B1)
    h = (h ^ (h >> np.uint32(15))) * np.uint32(0x85EBCA77)
    angle = ((h >> np.uint32(13)) & np.uint32(7)) * (np.pi / 4)
    return np.stack([np.cos(angle), np.sin(angle)])


def perlin(device: Device) -> Iterator[Comparison]:
    image = poisoned(device, (47, 39))
    random_numbers.perlin(0.0703125, 4, image)
    row, column = np.mgrid[:47, :39]
    expected = np.zeros((47, 39))
    for octave in range(4):
        at = 0.0703125 * 2**octave * np.stack([column, row])
        cell = np.floor(at).astype(int)
        fade = (at - cell) ** 3 * ((at - cell) * ((at - cell) * 6 - 15) + 10)
        for dx, dy in itertools.product((0, 1), (0, 1)):
            x, y = cell[0] + dx, cell[1] + dy
            weight = (fade[0] if dx else 1 - fade[0]) * (fade[1] if dy else 1 - fade[1])
            expected += 0.5**octave * weight * (gradients(x, y) * (at - [x, y])).sum(0)
    yield Comparison(image.read(), expected, atol=3e-3)  # sin and cos are within 2^-11


CASES = (
    mandelbrot,
    julia,
    newton,
    ray_march,
    ray_trace,
    black_hole,
    shapes,
    bezier,
    random_words,
    monte_carlo_pi,
    monte_carlo_option,
    perlin,
)
