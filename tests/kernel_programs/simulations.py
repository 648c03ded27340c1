"""Particles, fields and automata, in NumPy."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np

from examples.kernels import automata, fields, particles
from gpucore import Device
from tests.kernel_programs.comparing import Comparison, given, poisoned, random


def n_body(device: Device) -> Iterator[Comparison]:
    rng = random()
    bodies = rng.uniform(-1, 1, (301, 4)).astype(np.float32)
    bodies[:, 3] = rng.uniform(0.01, 0.1, 301)
    speeds = rng.uniform(-0.1, 0.1, (301, 4)).astype(np.float32)
    speeds[:, 3] = 0
    made, moved = given(device, bodies), given(device, speeds)
    particles.n_body(made, moved, 0.01, 2)
    p, v = bodies.astype(float), speeds.astype(float)
    for _ in range(2):
        offset = p[None, :, :3] - p[:, None, :3]
        square = (offset**2).sum(-1) + particles.SOFTENING
        v[:, :3] += 0.01 * (offset * (p[:, 3] / square**1.5)[..., None]).sum(1)
        p += 0.01 * v
    yield Comparison(made.read(), p, 1e-4, 1e-5)
    yield Comparison(moved.read(), v, 1e-3, 1e-4)


def sph(device: Device) -> Iterator[Comparison]:
    points = random().random((203, 2)).astype(np.float32)
    density, forces = particles.sph(given(device, points), 0.2, 150.0)
    offset = points[:, None].astype(float) - points[None]
    r = np.sqrt((offset**2).sum(-1))
    expected = 4 / (np.pi * 0.2**8) * ((0.04 - r**2).clip(0) ** 3).sum(1)
    yield Comparison(density.read(), expected, 1e-4, 0)
    pressure = expected - 150
    near = np.where((r > 0) & (r < 0.2), (0.2 - r) ** 2 * 30 / (np.pi * 0.2**5), 0)
    push = (pressure[:, None] + pressure) / (2 * expected) * near / np.where(r > 0, r, 1)
    total = (offset * push[..., None]).sum(1)
    yield Comparison(forces.read(), total, 1e-3, 1e-3 * np.abs(total).max())


def boids(device: Device) -> Iterator[Comparison]:
    birds = random().uniform(-1, 1, (157, 4)).astype(np.float32)
    after = poisoned(device, (157, 4))
    particles.boids(0.4, 0.1, given(device, birds), after)
    b = birds.astype(float)
    offset, speed = b[None, :, :2] - b[:, None, :2], b[None, :, 2:] - b[:, None, 2:]
    square = (offset**2).sum(-1)
    seen = (square < np.float32(0.4) ** 2) & ~np.eye(157, dtype=bool)
    count = seen.sum(1)
    centre, follow = ((seen[..., None] * each).sum(1) for each in (offset, speed))
    away = -(seen[..., None] * offset / (square + 1e-3)[..., None]).sum(1)
    change = (0.05 * centre + 0.1 * follow) / count.clip(1)[:, None] + 0.002 * away
    v = b[:, 2:] + np.where(count > 0, 1, 0)[:, None] * change
    v *= np.minimum(1, 0.5 / np.linalg.norm(v, axis=1, keepdims=True))
    assert (count > 0).any()
    yield Comparison(after.read(), np.hstack([b[:, :2] + 0.1 * v, v]), 1e-4, 1e-5)


def cloth(device: Device) -> Iterator[Comparison]:
    rows, columns = 13, 17
    row, column = np.mgrid[:rows, :columns]
    knots = np.stack([0.1 * column, -0.1 * row, 0 * row, 0 * row], -1).astype(np.float32)
    knots[..., :3] += random().uniform(-0.02, 0.02, (rows, columns, 3))
    made = particles.cloth(given(device, knots), 0.1, 0.1, 5)
    now = before = knots[..., :3].astype(float)
    for _ in range(5):
        padded = np.pad(now, ((1, 1), (1, 1), (0, 0)), constant_values=np.nan)
        force = np.zeros_like(now) + [0, -0.002, 0]
        for dy in (-1, 0, 1):
            for dx in (-1, 0, 1):
                if dy or dx:
                    other = padded[1 + dy :][:rows, 1 + dx :][:, :columns]
                    offset = other - now
                    length = np.linalg.norm(offset, axis=-1, keepdims=True)
                    force += np.nan_to_num(0.1 * offset * (1 - 0.1 * np.hypot(dy, dx) / length))
        after = now + 0.98 * (now - before) + force
        after[0] = now[0]
        now, before = after, now
    yield Comparison(made.read()[..., :3], now, 1e-4, 1e-5)


def laplacian(u: np.ndarray) -> np.ndarray:
    p = np.pad(u, 1, "edge")
    return p[1:-1, :-2] + p[1:-1, 2:] + p[:-2, 1:-1] + p[2:, 1:-1] - 4 * u


def heat(device: Device) -> Iterator[Comparison]:
    u = random().random((35, 51)).astype(np.float32)
    made = fields.heat(given(device, u), 0.2, 8)
    expected = u.astype(float)
    for _ in range(8):
        expected = expected + 0.2 * laplacian(expected)
    yield Comparison(made.read(), expected)


def wave(device: Device) -> Iterator[Comparison]:
    u = random().random((29, 43)).astype(np.float32)
    made = fields.wave(given(device, u), given(device, u), 0.5, 7)
    now = before = u.astype(float)
    for _ in range(7):
        now, before = 2 * now - before + 0.25 * laplacian(now), now
    yield Comparison(made.read(), now, 1e-4, 1e-4)


def fdtd(device: Device) -> Iterator[Comparison]:
    fields_of_light = random().uniform(-1, 1, (3, 31, 37)).astype(np.float32)
    buffers = [given(device, each) for each in fields_of_light]
    fields.fdtd(*buffers, 0.5, 6)
    e, hx, hy = fields_of_light.astype(float)
    for _ in range(6):
        hx[:-1, :-1] -= 0.5 * (e[1:, :-1] - e[:-1, :-1])
        hy[:-1, :-1] += 0.5 * (e[:-1, 1:] - e[:-1, :-1])
        curl = hy[1:-1, 1:-1] - hy[1:-1, :-2] - hx[1:-1, 1:-1] + hx[:-2, 1:-1]
        e[1:-1, 1:-1] += 0.5 * curl
    for made, expected in zip(buffers, (e, hx, hy), strict=True):
        yield Comparison(made.read(), expected, 1e-4, 1e-4)


def reaction_diffusion(device: Device) -> Iterator[Comparison]:
    u, v = random().random((2, 27, 33)).astype(np.float32)
    made = fields.reaction_diffusion(given(device, u), given(device, v), 0.04, 0.06, 6)
    a, b = u.astype(float), v.astype(float)
    for _ in range(6):
        reaction = a * b * b
        a, b = (
            a + 0.16 * laplacian(a) - reaction + 0.04 * (1 - a),
            b + 0.08 * laplacian(b) + reaction - 0.1 * b,
        )
    yield Comparison(made[0].read(), a, 1e-4, 1e-5)
    yield Comparison(made[1].read(), b, 1e-4, 1e-5)


def jacobi_in_numpy(right: np.ndarray, x: np.ndarray, rounds: int) -> np.ndarray:
    for _ in range(rounds):
        after = x.copy()
        around = x[1:-1, :-2] + x[1:-1, 2:] + x[:-2, 1:-1] + x[2:, 1:-1]
        after[1:-1, 1:-1] = 0.25 * (around - right[1:-1, 1:-1])
        x = after
    return x


def jacobi(device: Device) -> Iterator[Comparison]:
    right, x = random().random((2, 23, 41)).astype(np.float32)
    made = fields.jacobi(given(device, right), given(device, x), 9)
    yield Comparison(made.read(), jacobi_in_numpy(right.astype(float), x.astype(float), 9))


def lattice_boltzmann(device: Device) -> Iterator[Comparison]:
    f = random().uniform(0.05, 0.2, (9, 21, 35)).astype(np.float32)
    made = fields.lattice_boltzmann(given(device, f), 0.8, 5)
    velocity = np.array([(k // 3 - 1, k % 3 - 1) for k in range(9)])
    weights = np.array([4 / 9, 1 / 9, 1 / 36])[(velocity**2).sum(1)][:, None, None]
    g = f.astype(float)
    for _ in range(5):
        g = np.stack([np.roll(each, v, (0, 1)) for each, v in zip(g, velocity, strict=True)])
        density = g.sum(0)
        u = np.einsum("kyx,kd->dyx", g, velocity) / density
        along = 3 * np.einsum("kd,dyx->kyx", velocity, u)
        rest = weights * density * (1 + along + along**2 / 2 - 1.5 * (u**2).sum(0))
        g += 0.8 * (rest - g)
    yield Comparison(made.read(), g, 1e-4, 1e-5)


def sampled(u: np.ndarray, y: np.ndarray, x: np.ndarray) -> np.ndarray:
    def at(i: np.ndarray, j: np.ndarray) -> np.ndarray:
        return u[i.clip(0, u.shape[0] - 1), j.clip(0, u.shape[1] - 1)]

    i, j = np.floor(y).astype(int), np.floor(x).astype(int)
    v, h = y - i, x - j
    above = at(i, j) * (1 - h) + at(i, j + 1) * h
    return above * (1 - v) + (at(i + 1, j) * (1 - h) + at(i + 1, j + 1) * h) * v


def fluid(device: Device) -> Iterator[Comparison]:
    vy, vx, ink = random().uniform(-1, 1, (3, 25, 39)).astype(np.float32)
    made = fields.fluid(given(device, vy), given(device, vx), given(device, ink), 1.5, 10)
    row, column = np.mgrid[:25, :39]
    y, x = row - 1.5 * vy.astype(float), column - 1.5 * vx.astype(float)
    v, h, colour = (sampled(each.astype(float), y, x) for each in (vy, vx, ink))

    def differences(u: np.ndarray, axis: int) -> np.ndarray:
        p = np.pad(u, 1, "edge")
        return (p[2:, 1:-1] - p[:-2, 1:-1]) / 2 if axis == 0 else (p[1:-1, 2:] - p[1:-1, :-2]) / 2

    out = differences(v, 0) + differences(h, 1)
    pressure = jacobi_in_numpy(out, np.zeros_like(out), 10)
    v, h = v - differences(pressure, 0), h - differences(pressure, 1)
    for one, expected in zip(made, (v, h, colour), strict=True):
        yield Comparison(one.read(), expected, 1e-4, 1e-4)


def life(device: Device) -> Iterator[Comparison]:
    cells = (random().random((37, 53)) < 0.3).astype(np.uint32)
    made = automata.life(given(device, cells, np.uint32), 5)
    for _ in range(5):
        living = sum(np.roll(cells, (dy, dx), (0, 1)) for dy in (-1, 0, 1) for dx in (-1, 0, 1))
        cells = np.asarray((living == 3) | ((living == 4) & (cells == 1)), np.uint32)
    yield Comparison(made.read(), cells, 0, 0)


def elementary_automaton(device: Device) -> Iterator[Comparison]:
    cells = np.zeros((30, 61), np.uint32)
    cells[0] = random().integers(0, 2, 61)
    made = given(device, cells, np.uint32)
    automata.elementary_automaton(made, 110)
    for before, after in itertools.pairwise(cells):
        after[:] = 110 >> (4 * np.roll(before, 1) + 2 * before + np.roll(before, -1)) & 1
    yield Comparison(made.read(), cells, 0, 0)


def sandpile(device: Device) -> Iterator[Comparison]:
    grains = random().integers(0, 9, (11, 15)).astype(np.uint32)
    made = automata.sandpile(given(device, grains, np.uint32))
    while (grains >= 4).any():
        p = np.pad(grains // 4, 1)
        grains = grains % 4 + p[:-2, 1:-1] + p[2:, 1:-1] + p[1:-1, :-2] + p[1:-1, 2:]
    yield Comparison(made.read(), grains, 0, 0)


CASES = (
    n_body,
    sph,
    boids,
    cloth,
    heat,
    wave,
    fdtd,
    reaction_diffusion,
    jacobi,
    lattice_boltzmann,
    fluid,
    life,
    elementary_automaton,
    sandpile,
)
