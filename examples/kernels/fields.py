"""Fields on grids: heat, waves, light, fluids and chemicals, step by step."""

from __future__ import annotations

import math

import numpy as np

from gpucore import (
    Array2,
    Array3,
    Buffer,
    f32,
    global_id,
    gpu_function,
    gpu_kernel,
    i32,
    vec2f,
)

__all__ = ["fdtd", "fluid", "heat", "jacobi", "lattice_boltzmann", "reaction_diffusion", "wave"]


@gpu_function
def at(u: Array2[f32], row: i32, column: i32) -> f32:
    """Return an element; beyond the edge, the nearest one."""
    rows, columns = i32(u.shape[0]), i32(u.shape[1])
    return u[min(max(row, 0), rows - 1), min(max(column, 0), columns - 1)]


@gpu_function
def laplacian(u: Array2[f32], row: i32, column: i32) -> f32:
    """Return the sum of the four neighbours less four times the element."""
    across = at(u, row, column - 1) + at(u, row, column + 1)
    down = at(u, row - 1, column) + at(u, row + 1, column)
    return across + down - 4 * u[row, column]


@gpu_kernel
def heat_step(rate: f32, u: Array2[f32], after: Array2[f32]) -> None:
    """Let heat flow to neighbours."""
    row, column = i32(global_id.y), i32(global_id.x)
    if row < i32(u.shape[0]) and column < i32(u.shape[1]):
        after[row, column] = u[row, column] + rate * laplacian(u, row, column)


def heat(u: Buffer[f32], rate: float, steps: int) -> Buffer[f32]:
    """Return temperatures (rows, columns) after some explicit steps of the heat equation."""
    for _ in range(steps):
        after = u.device.buffer(f32, u.shape)
        heat_step(rate, u, after)
        u = after
    return u


@gpu_kernel
def wave_step(courant: f32, now: Array2[f32], before: Array2[f32]) -> None:
    """Replace the heights before by those after now."""
    row, column = i32(global_id.y), i32(global_id.x)
    if row < i32(now.shape[0]) and column < i32(now.shape[1]):
        moved = 2 * now[row, column] - before[row, column]
        before[row, column] = moved + courant * courant * laplacian(now, row, column)


def wave(now: Buffer[f32], before: Buffer[f32], courant: float, steps: int) -> Buffer[f32]:
    """Return heights after some steps of the wave equation; both buffers are overwritten."""
    for _ in range(steps):
        wave_step(courant, now, before)
        now, before = before, now
    return now


@gpu_kernel
def magnetic(step: f32, e: Array2[f32], hx: Array2[f32], hy: Array2[f32]) -> None:
    """Change the magnetic field by the curl of the electric one."""
    row, column = global_id.y, global_id.x
    if row + 1 < e.shape[0] and column + 1 < e.shape[1]:
        hx[row, column] -= step * (e[row + 1, column] - e[row, column])
        hy[row, column] += step * (e[row, column + 1] - e[row, column])


@gpu_kernel
def electric(step: f32, e: Array2[f32], hx: Array2[f32], hy: Array2[f32]) -> None:
    """Change the electric field by the curl of the magnetic one; metal is around."""
    row, column = global_id.y, global_id.x
    if 0 < row < e.shape[0] - 1 and 0 < column < e.shape[1] - 1:
        across = hy[row, column] - hy[row, column - 1]
        e[row, column] += step * (across - hx[row, column] + hx[row - 1, column])


def fdtd(e: Buffer[f32], hx: Buffer[f32], hy: Buffer[f32], step: float, steps: int) -> None:
    """Move light in a plane by Yee's scheme (1966), in place; ``step`` is c dt / dx."""
    for _ in range(steps):
        magnetic(step, e, hx, hy)
        electric(step, e, hx, hy)


@gpu_kernel
def react(
    feed: f32, kill: f32, u: Array2[f32], v: Array2[f32], next_u: Array2[f32], next_v: Array2[f32]
) -> None:
    """Let two chemicals diffuse and react once."""
    row, column = i32(global_id.y), i32(global_id.x)
    if row >= i32(u.shape[0]) or column >= i32(u.shape[1]):
        return
    a, b = u[row, column], v[row, column]
    reaction = a * b * b
    next_u[row, column] = a + 0.16 * laplacian(u, row, column) - reaction + feed * (1 - a)
    next_v[row, column] = b + 0.08 * laplacian(v, row, column) + reaction - (feed + kill) * b


def reaction_diffusion(
    u: Buffer[f32], v: Buffer[f32], feed: float, kill: float, steps: int
) -> tuple[Buffer[f32], Buffer[f32]]:
    """Return both chemicals after some steps of Gray and Scott's model."""
    for _ in range(steps):
        next_u, next_v = u.device.buffer(f32, u.shape), u.device.buffer(f32, u.shape)
        react(feed, kill, u, v, next_u, next_v)
        u, v = next_u, next_v
    return u, v


@gpu_kernel
def jacobi_step(right: Array2[f32], x: Array2[f32], after: Array2[f32]) -> None:
    """Solve each point's equation with its neighbours' old values; the edge stays."""
    row, column = global_id.y, global_id.x
    if row >= x.shape[0] or column >= x.shape[1]:
        return
    inside = 0 < row < x.shape[0] - 1 and 0 < column < x.shape[1] - 1
    value = x[row, column]
    if inside:
        across = x[row, column - 1] + x[row, column + 1]
        value = 0.25 * (across + x[row - 1, column] + x[row + 1, column] - right[row, column])
    after[row, column] = value


def jacobi(right: Buffer[f32], x: Buffer[f32], rounds: int) -> Buffer[f32]:
    """Return x after some rounds for Poisson's equation: the Laplacian of x is ``right``."""
    for _ in range(rounds):
        after = x.device.buffer(f32, x.shape)
        jacobi_step(right, x, after)
        x = after
    return x


@gpu_function
def weight(dy: int, dx: int) -> float:
    """Return the share of a direction at rest: 4/9 for none, 1/9 straight, 1/36 across."""
    far = dy * dy + dx * dx
    return 4 / 9 if far == 0 else (1 / 9 if far == 1 else 1 / 36)


@gpu_kernel
def stream_and_collide(relaxation: f32, f: Array3[f32], after: Array3[f32]) -> None:
    """Move each cell's nine flows one step, and let them relax to their equilibrium."""
    row, column = i32(global_id.y), i32(global_id.x)
    rows, columns = i32(f.shape[1]), i32(f.shape[2])
    if row >= rows or column >= columns:
        return
    density, momentum = 0.0, vec2f(0)
    for k in range(9):
        dy, dx = k // 3 - 1, k % 3 - 1
        flow = f[k, (row - dy + rows) % rows, (column - dx + columns) % columns]
        density += flow
        momentum += flow * vec2f(f32(dx), f32(dy))
    u = momentum / density
    still = 1.5 * (u.x * u.x + u.y * u.y)
    for k in range(9):
        dy, dx = k // 3 - 1, k % 3 - 1
        flow = f[k, (row - dy + rows) % rows, (column - dx + columns) % columns]
        along = 3 * (f32(dx) * u.x + f32(dy) * u.y)
        rest = weight(dy, dx) * density * (1 + along + 0.5 * along * along - still)
        after[k, row, column] = flow + (rest - flow) * relaxation


def lattice_boltzmann(f: Buffer[f32], relaxation: float, steps: int) -> Buffer[f32]:
    """Return flows (9, rows, columns) on a torus after some steps of D2Q9 with one relaxation."""
    for _ in range(steps):
        after = f.device.buffer(f32, f.shape)
        stream_and_collide(relaxation, f, after)
        f = after
    return f


@gpu_function
def sample(u: Array2[f32], y: f32, x: f32) -> f32:
    """Return a value between elements, linear in both directions."""
    row, column = math.floor(y), math.floor(x)
    v, h = y - row, x - column
    i, j = i32(row), i32(column)
    above = at(u, i, j) * (1 - h) + at(u, i, j + 1) * h
    return above * (1 - v) + (at(u, i + 1, j) * (1 - h) + at(u, i + 1, j + 1) * h) * v


@gpu_kernel
def advect(step: f32, vy: Array2[f32], vx: Array2[f32], u: Array2[f32], after: Array2[f32]) -> None:
    """Fetch each value from where the flow brings it from."""
    row, column = global_id.y, global_id.x
    if row < u.shape[0] and column < u.shape[1]:
        y = f32(row) - step * vy[row, column]
        x = f32(column) - step * vx[row, column]
        after[row, column] = sample(u, y, x)


@gpu_kernel
def divergence(vy: Array2[f32], vx: Array2[f32], out: Array2[f32]) -> None:
    """Return how much flows out of each cell."""
    row, column = i32(global_id.y), i32(global_id.x)
    if row < i32(vy.shape[0]) and column < i32(vy.shape[1]):
        down = at(vy, row + 1, column) - at(vy, row - 1, column)
        out[row, column] = 0.5 * (down + at(vx, row, column + 1) - at(vx, row, column - 1))


@gpu_kernel
def subtract_gradient(pressure: Array2[f32], vy: Array2[f32], vx: Array2[f32]) -> None:
    """Take the pressure's gradient off the flow."""
    row, column = i32(global_id.y), i32(global_id.x)
    if row < i32(vy.shape[0]) and column < i32(vy.shape[1]):
        vy[row, column] -= 0.5 * (at(pressure, row + 1, column) - at(pressure, row - 1, column))
        vx[row, column] -= 0.5 * (at(pressure, row, column + 1) - at(pressure, row, column - 1))


def fluid(
    vy: Buffer[f32], vx: Buffer[f32], ink: Buffer[f32], step: float, rounds: int
) -> tuple[Buffer[f32], Buffer[f32], Buffer[f32]]:
    """Return flow and ink after one step of Stam's stable fluids (1999)."""
    device = vy.device
    new = [device.buffer(f32, vy.shape) for _ in range(3)]
    for field, after in zip((vy, vx, ink), new, strict=True):
        advect(step, vy, vx, field, after)
    out = device.buffer(f32, vy.shape)
    divergence(new[0], new[1], out)
    still = device.buffer_from_array(np.zeros(vy.shape), f32)
    subtract_gradient(jacobi(out, still, rounds), new[0], new[1])
    return new[0], new[1], new[2]
