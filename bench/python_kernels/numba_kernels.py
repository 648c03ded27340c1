# mypy: ignore-errors
"""The twelve programs for Numba CUDA; an import needs Numba.

Literals are f32, since one of Python's would make f64 of what it meets.
"""

import math

from numba import cuda, float32, uint32

__all__ = ["KERNELS"]

ZERO, ONE, TWO, FOUR = float32(0), float32(1), float32(2), float32(4)
SOFTENING = float32(1e-2)
SCALE, SHARE = float32(0.2316419), float32(0.3989422804)
C1, C2, C3 = float32(0.319381530), float32(-0.356563782), float32(1.781477937)
C4, C5 = float32(-1.821255978), float32(1.330274429)
HALF = float32(0.5)


@cuda.jit
def mandelbrot(counts, left, top, height, most):
    """Count the rounds until points escape."""
    column, row = cuda.grid(2)
    if row >= counts.shape[0] or column >= counts.shape[1]:
        return
    side = height / float32(counts.shape[0])
    cx, cy = left + side * float32(column), top + side * float32(row)
    x, y, count = ZERO, ZERO, 0
    while count < most and x * x + y * y <= FOUR:
        x, y = x * x - y * y + cx, TWO * x * y + cy
        count += 1
    counts[row, column] = count


@cuda.jit
def accelerations(bodies, pulls):
    """Sum the pulls of all bodies on each."""
    tile = cuda.shared.array((128, 4), float32)
    lane = cuda.threadIdx.x
    i, n = cuda.grid(1), bodies.shape[0]
    x, y, z = ZERO, ZERO, ZERO
    if i < n:
        x, y, z = bodies[i, 0], bodies[i, 1], bodies[i, 2]
    px, py, pz = ZERO, ZERO, ZERO
    for first in range(0, n, 128):
        j = first + lane
        for k in range(4):
            tile[lane, k] = bodies[j, k] if j < n else ZERO
        cuda.syncthreads()
        for k in range(128):
            dx, dy, dz = tile[k, 0] - x, tile[k, 1] - y, tile[k, 2] - z
            square = dx * dx + dy * dy + dz * dz + SOFTENING
            weight = tile[k, 3] / (square * math.sqrt(square))
            px += dx * weight
            py += dy * weight
            pz += dz * weight
        cuda.syncthreads()
    if i < n:
        pulls[i, 0] = px
        pulls[i, 1] = py
        pulls[i, 2] = pz
        pulls[i, 3] = ZERO


@cuda.jit(device=True, inline=True)
def at(u, row, column):
    """Return an element; beyond the edge, the nearest one."""
    rows, columns = u.shape
    return u[min(max(row, 0), rows - 1), min(max(column, 0), columns - 1)]


@cuda.jit(device=True, inline=True)
def laplacian(u, row, column):
    """Return the sum of the four neighbours less four times the element."""
    across = at(u, row, column - 1) + at(u, row, column + 1)
    down = at(u, row - 1, column) + at(u, row + 1, column)
    return across + down - FOUR * u[row, column]


@cuda.jit
def heat_step(x, y, rate):
    """Let heat flow to neighbours."""
    column, row = cuda.grid(2)
    if row < x.shape[0] and column < x.shape[1]:
        y[row, column] = x[row, column] + rate * laplacian(x, row, column)


@cuda.jit
def wave_step(x, y, courant):
    """Replace the heights before by those after now."""
    column, row = cuda.grid(2)
    if row < x.shape[0] and column < x.shape[1]:
        moved = TWO * x[row, column] - y[row, column]
        y[row, column] = moved + courant * courant * laplacian(x, row, column)


@cuda.jit
def histogram(x, bins):
    """Count the lowest bytes, first in the block's own bins."""
    own = cuda.shared.array(256, uint32)
    lane, i = cuda.threadIdx.x, cuda.grid(1)
    own[lane] = 0
    cuda.syncthreads()
    if i < x.shape[0]:
        cuda.atomic.add(own, x[i] & uint32(255), uint32(1))
    cuda.syncthreads()
    cuda.atomic.add(bins, lane, own[lane])


@cuda.jit
def scan_tiles(x, sums, totals):
    """Add up each tile of the array from its start."""
    tile = cuda.shared.array(256, uint32)
    lane, i = cuda.threadIdx.x, cuda.grid(1)
    total = x[i] if i < x.shape[0] else uint32(0)
    tile[lane] = total
    cuda.syncthreads()
    reach = 1
    while reach < 256:
        if lane >= reach:
            total = uint32(total + tile[lane - reach])
        cuda.syncthreads()
        tile[lane] = total
        cuda.syncthreads()
        reach *= 2
    if i < x.shape[0]:
        sums[i] = total
    if lane == 255:
        totals[cuda.blockIdx.x] = total


@cuda.jit
def matmul(a, b, c):
    """Multiply matrices by tiles in shared memory."""
    left = cuda.shared.array((16, 16), float32)
    right = cuda.shared.array((16, 16), float32)
    x, y = cuda.threadIdx.x, cuda.threadIdx.y
    column, row = cuda.grid(2)
    depth = a.shape[1]
    total = ZERO
    for first in range(0, depth, 16):
        inside = row < a.shape[0] and first + x < depth
        left[y, x] = a[row, first + x] if inside else ZERO
        inside = first + y < depth and column < b.shape[1]
        right[y, x] = b[first + y, column] if inside else ZERO
        cuda.syncthreads()
        for k in range(16):
            total += left[y, k] * right[k, x]
        cuda.syncthreads()
    if row < c.shape[0] and column < c.shape[1]:
        c[row, column] = total


@cuda.jit
def transpose(x, y):
    """Turn rows into columns by tiles."""
    tile = cuda.shared.array((16, 17), float32)
    across, down = cuda.threadIdx.x, cuda.threadIdx.y
    column, row = cuda.grid(2)
    if row < x.shape[0] and column < x.shape[1]:
        tile[down, across] = x[row, column]
    cuda.syncthreads()
    row = cuda.blockIdx.x * 16 + down
    column = cuda.blockIdx.y * 16 + across
    if row < y.shape[0] and column < y.shape[1]:
        y[row, column] = tile[across, down]


@cuda.jit
def sobel(x, edges):
    """Compute the length of the gradient by windows of 3 x 3."""
    column, row = cuda.grid(2)
    if row >= x.shape[0] or column >= x.shape[1]:
        return
    across, down = ZERO, ZERO
    for k in range(-1, 2):
        weight = TWO if k == 0 else ONE
        across += weight * (at(x, row + k, column + 1) - at(x, row + k, column - 1))
        down += weight * (at(x, row + 1, column + k) - at(x, row - 1, column + k))
    edges[row, column] = math.sqrt(across * across + down * down)


@cuda.jit
def bilateral(x, smooth, radius, far, other):
    """Blur with weights that fall with distance and difference."""
    column, row = cuda.grid(2)
    if row >= x.shape[0] or column >= x.shape[1]:
        return
    own = x[row, column]
    total, weights = ZERO, ZERO
    for dy in range(-radius, radius + 1):
        for dx in range(-radius, radius + 1):
            value = at(x, row + dy, column + dx)
            distance = float32(dy * dy + dx * dx) / (TWO * far * far)
            difference = (value - own) * (value - own) / (TWO * other * other)
            weight = math.exp(-distance - difference)
            total += weight * value
            weights += weight
    smooth[row, column] = total / weights


@cuda.jit(device=True, inline=True)
def normal_share(x):
    """Return the share of normal numbers below x (Abramowitz and Stegun 26.2.17)."""
    t = ONE / (ONE + SCALE * abs(x))
    series = t * (C3 + t * (C4 + t * C5))
    tail = t * (C1 + t * (C2 + series)) * math.exp(-HALF * x * x) * SHARE
    return ONE - tail if x > ZERO else tail


@cuda.jit
def black_scholes(share, strike, years, price, rate, volatility):
    """Price European calls."""
    i = cuda.grid(1)
    if i < price.shape[0]:
        spread = volatility * math.sqrt(years[i])
        growth = (rate + HALF * volatility * volatility) * years[i]
        d = (math.log(share[i] / strike[i]) + growth) / spread
        later = strike[i] * math.exp(-rate * years[i])
        price[i] = share[i] * normal_share(d) - later * normal_share(d - spread)


@cuda.jit
def sparse_product(starts, columns, values, x, y):
    """Multiply a sparse matrix and a vector."""
    row = cuda.grid(1)
    if row < y.shape[0]:
        total = ZERO
        for k in range(starts[row], starts[row + 1]):
            total += values[k] * x[columns[k]]
        y[row] = total


KERNELS = {
    "mandelbrot": mandelbrot,
    "accelerations": accelerations,
    "heat_step": heat_step,
    "wave_step": wave_step,
    "histogram": histogram,
    "scan_tiles": scan_tiles,
    "matmul": matmul,
    "transpose": transpose,
    "sobel": sobel,
    "bilateral": bilateral,
    "black_scholes": black_scholes,
    "sparse_product": sparse_product,
}
