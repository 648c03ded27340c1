"""The programs in NumPy: each takes the arrays and the numbers, and returns the result."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "accelerations",
    "bilateral",
    "black_scholes",
    "heat_step",
    "histogram",
    "mandelbrot",
    "matmul",
    "scan_tiles",
    "sobel",
    "sparse_product",
    "transpose",
    "wave_step",
]

Given = Mapping[str, NDArray[Any]]
Numbers = tuple[float, ...]
Result = NDArray[Any]


def mandelbrot(arrays: Given, numbers: Numbers) -> Result:
    """Count the rounds until z² + c leaves the disk of radius 2."""
    left, top, height, most = numbers
    rows, columns = arrays["counts"].shape
    side = height / rows
    c = left + side * np.arange(columns) + 1j * (top + side * np.arange(rows))[:, None]
    z, counts = np.zeros_like(c), np.zeros(c.shape, np.uint32)
    for _ in range(int(most)):
        inside = np.abs(z) <= 2
        counts += inside
        z[inside] = z[inside] ** 2 + c[inside]
    return counts


def accelerations(arrays: Given, numbers: Numbers) -> Result:
    """Sum the pulls of all bodies on each."""
    places, masses = arrays["bodies"][:, :3].astype(float), arrays["bodies"][:, 3].astype(float)
    offsets = places[None] - places[:, None]
    squares = (offsets**2).sum(-1) + 1e-2
    pulls = (offsets * (masses / squares**1.5)[..., None]).sum(1)
    return np.pad(pulls, ((0, 0), (0, 1)))


def _laplacian(u: Result) -> Result:
    wide = np.pad(u.astype(float), 1, "edge")
    around = wide[:-2, 1:-1] + wide[2:, 1:-1] + wide[1:-1, :-2] + wide[1:-1, 2:]
    made: Result = around - 4 * wide[1:-1, 1:-1]
    return made


def heat_step(arrays: Given, numbers: Numbers) -> Result:
    """Let heat flow to neighbours."""
    made: Result = arrays["x"] + numbers[0] * _laplacian(arrays["x"])
    return made


def wave_step(arrays: Given, numbers: Numbers) -> Result:
    """Return the heights after now."""
    now = arrays["x"].astype(float)
    made: Result = 2 * now - arrays["y"] + numbers[0] ** 2 * _laplacian(now)
    return made


def histogram(arrays: Given, numbers: Numbers) -> Result:
    """Count the lowest bytes."""
    return np.bincount(arrays["x"] & 255, minlength=256)


def scan_tiles(arrays: Given, numbers: Numbers) -> Result:
    """Add up each 256 numbers from their start."""
    x = arrays["x"]
    parts = [np.cumsum(x[first : first + 256]) for first in range(0, x.size, 256)]
    return np.concatenate(parts)


def matmul(arrays: Given, numbers: Numbers) -> Result:
    """Multiply matrices."""
    made: Result = arrays["a"].astype(float) @ arrays["b"].astype(float)
    return made


def transpose(arrays: Given, numbers: Numbers) -> Result:
    """Turn rows into columns."""
    return arrays["x"].T


def sobel(arrays: Given, numbers: Numbers) -> Result:
    """Compute the length of the gradient by windows of 3 x 3."""
    wide = np.pad(arrays["x"].astype(float), 1, "edge")
    smooth_down = wide[:-2] + 2 * wide[1:-1] + wide[2:]
    smooth_across = wide[:, :-2] + 2 * wide[:, 1:-1] + wide[:, 2:]
    across = smooth_down[:, 2:] - smooth_down[:, :-2]
    made: Result = np.hypot(across, smooth_across[2:] - smooth_across[:-2])
    return made


def bilateral(arrays: Given, numbers: Numbers) -> Result:
    """Blur with weights that fall with distance and difference."""
    radius, far, other = numbers
    reach, x = int(radius), arrays["x"].astype(float)
    wide, (rows, columns) = np.pad(x, reach, "edge"), x.shape
    total, weights = np.zeros_like(x), np.zeros_like(x)
    for dy, dx in itertools.product(range(2 * reach + 1), repeat=2):
        value = wide[dy : dy + rows, dx : dx + columns]
        square = (dy - reach) ** 2 + (dx - reach) ** 2
        weight = np.exp(-square / (2 * far**2) - (value - x) ** 2 / (2 * other**2))
        total, weights = total + weight * value, weights + weight
    made: Result = total / weights
    return made


def _normal_share(x: Result) -> Result:
    """Return the share of normal numbers below x (Abramowitz and Stegun 26.2.17)."""
    t = 1 / (1 + 0.2316419 * np.abs(x))
    series = np.polyval([1.330274429, -1.821255978, 1.781477937, -0.356563782, 0.31938153, 0], t)
    tail = series * np.exp(-0.5 * x**2) * 0.3989422804
    return np.where(x > 0, 1 - tail, tail)


def black_scholes(arrays: Given, numbers: Numbers) -> Result:
    """Price European calls."""
    rate, volatility = numbers
    share, strike, years = (arrays[name].astype(float) for name in ("share", "strike", "years"))
    spread = volatility * np.sqrt(years)
    d = (np.log(share / strike) + (rate + 0.5 * volatility**2) * years) / spread
    later = strike * np.exp(-rate * years)
    made: Result = share * _normal_share(d) - later * _normal_share(d - spread)
    return made


def sparse_product(arrays: Given, numbers: Numbers) -> Result:
    """Multiply a sparse matrix and a vector."""
    products = arrays["values"].astype(float) * arrays["x"][arrays["columns"]]
    return np.add.reduceat(products, arrays["starts"][:-1].astype(np.intp))
