"""Sorting, reductions, matrices, learning and sequences, in NumPy."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import numpy as np
from scipy import sparse, special

from examples.kernels import learning, matrices, reductions, sequences, sorting
from gpucore import Buffer, Device, f32
from tests.kernel_programs.comparing import Comparison, given, poisoned, random


def words(count: int, most: int = 2**32) -> np.ndarray:
    return random().integers(0, most, count).astype(np.uint32)


def floats(*shape: int) -> np.ndarray:
    return random().uniform(-2, 2, shape).astype(np.float32)


# Sorting


def histogram(device: Device) -> Iterator[Comparison]:
    x, bins = words(5003), given(device, np.zeros(256), np.uint32)
    sorting.histogram(given(device, x, np.uint32), bins)
    yield Comparison(bins.read(), np.bincount(x & 255, minlength=256), 0, 0)


def prefix_sum(device: Device) -> Iterator[Comparison]:
    for size in (1, 257, 66_001):
        x = words(size, 1000)
        yield Comparison(sorting.prefix_sum(given(device, x, np.uint32)).read(), x.cumsum(), 0, 0)


def radix_sort(device: Device) -> Iterator[Comparison]:
    for size in (1, 3001):
        x = words(size)
        yield Comparison(sorting.radix_sort(given(device, x, np.uint32)).read(), np.sort(x), 0, 0)


def bitonic_sort(device: Device) -> Iterator[Comparison]:
    for size in (1, 1000):
        x = words(size)
        made = sorting.bitonic_sort(given(device, x, np.uint32)).read()[:size]
        yield Comparison(made, np.sort(x), 0, 0)


def compact(device: Device) -> Iterator[Comparison]:
    x = words(1501, 100)
    values, count = sorting.compact(given(device, x, np.uint32), 60)
    yield Comparison(values.read()[:count], x[x >= 60], 0, 0)


def run_lengths(device: Device) -> Iterator[Comparison]:
    x = words(2003, 2)
    values, lengths, count = sorting.run_lengths(given(device, x, np.uint32))
    runs = [(key, len(list(group))) for key, group in itertools.groupby(x.tolist())]
    made = np.stack([values.read()[:count], lengths.read()[:count]], 1)
    yield Comparison(made, runs, 0, 0)


# Reductions


def reduction(
    program: Callable[[Buffer[f32]], float], expected: Callable[[np.ndarray], float]
) -> Callable[[Device], Iterator[Comparison]]:
    def case(device: Device) -> Iterator[Comparison]:
        for size in (1, 255, 40_001):
            x = floats(size) + np.float32(0.25)
            yield Comparison(program(given(device, x)), expected(x.astype(float)), 1e-4, 1e-5)

    case.__name__ = program.__name__
    return case


def scalar_product(device: Device) -> Iterator[Comparison]:
    x, y = floats(10_007), floats(2, 10_007)[1]
    made = reductions.scalar_product(given(device, x), given(device, y))
    yield Comparison(made, x.astype(float) @ y, 1e-4, 1e-2)


# Matrices


def matmul(device: Device) -> Iterator[Comparison]:
    a, b, c = floats(35, 41), floats(41, 27), poisoned(device, (35, 27))
    matrices.matmul(given(device, a), given(device, b), c)
    yield Comparison(c.read(), a.astype(float) @ b, 1e-5, 1e-4)


def transpose(device: Device) -> Iterator[Comparison]:
    x, y = floats(35, 51), poisoned(device, (51, 35))
    matrices.transpose[4, 3](given(device, x), y)
    yield Comparison(y.read(), x.T, 0, 0)


def sparse_matrix(device: Device, side: int) -> tuple[sparse.csr_array, tuple[Buffer, ...]]:
    a = sparse.random_array((side, side), density=0.05, rng=random(), dtype=np.float32)
    a = sparse.csr_array(a @ a.T + 2 * sparse.eye_array(side, dtype=np.float32))
    parts = (a.indptr, np.uint32), (a.indices, np.uint32), (a.data, np.float32)
    return a, tuple(given(device, *each) for each in parts)


def sparse_product(device: Device) -> Iterator[Comparison]:
    a, parts = sparse_matrix(device, 301)
    x, y = floats(301), poisoned(device, 301)
    matrices.sparse_product(*parts, given(device, x), y)
    yield Comparison(y.read(), a.astype(float) @ x, 1e-5, 1e-4)


def distance_matrix(device: Device) -> Iterator[Comparison]:
    a, b, d = floats(33, 7), floats(45, 7), poisoned(device, (33, 45))
    matrices.distance_matrix(given(device, a), given(device, b), d)
    yield Comparison(d.read(), np.linalg.norm(a[:, None].astype(float) - b, axis=-1), 1e-5, 1e-5)


def floyd_warshall(device: Device) -> Iterator[Comparison]:
    d = random().uniform(0.1, 5, (37, 37)).astype(np.float32)
    np.fill_diagonal(d, 0)
    made = given(device, d)
    matrices.floyd_warshall(made)
    yield Comparison(made.read(), sparse.csgraph.floyd_warshall(d.astype(float)), 1e-5, 1e-6)


def cholesky(device: Device) -> Iterator[Comparison]:
    x = floats(5, 19, 25)
    a = (x @ x.transpose(0, 2, 1) + 0.1 * np.eye(19)).astype(np.float32)
    made = given(device, a)
    matrices.cholesky[5](made)
    yield Comparison(np.tril(made.read()), np.linalg.cholesky(a.astype(float)), 1e-3, 1e-3)


def conjugate_gradient(device: Device) -> Iterator[Comparison]:
    a, parts = sparse_matrix(device, 151)
    b = floats(151)
    made = matrices.conjugate_gradient(parts, given(device, b), 30)  # type: ignore[arg-type]
    expected = np.linalg.solve(a.toarray().astype(float), b.astype(float))
    yield Comparison(made.read(), expected, 1e-3, 1e-4)


# Learning


def black_scholes(device: Device) -> Iterator[Comparison]:
    share, strike = random().uniform(50, 150, (2, 999)).astype(np.float32)
    years = random().uniform(0.2, 3, 999).astype(np.float32)
    made = learning.black_scholes(*(given(device, x) for x in (share, strike, years)), 0.02, 0.3)
    s, k, t = (x.astype(float) for x in (share, strike, years))
    d = (np.log(s / k) + (0.02 + 0.045) * t) / (0.3 * np.sqrt(t))
    later = k * np.exp(-0.02 * t)
    expected = s * special.ndtr(d) - later * special.ndtr(d - 0.3 * np.sqrt(t))
    yield Comparison(made.read(), expected, 1e-4, 1e-3)


def softmax(device: Device) -> Iterator[Comparison]:
    x, y = 4 * floats(13, 203), poisoned(device, (13, 203))
    learning.softmax[13](given(device, x), y)
    yield Comparison(y.read(), special.softmax(x.astype(float), axis=1), 1e-4, 1e-6)


def layer_norm(device: Device) -> Iterator[Comparison]:
    x, y = floats(11, 131), poisoned(device, (11, 131))
    scale, shift = floats(2, 131)
    learning.layer_norm[11](given(device, x), given(device, scale), given(device, shift), y, 1e-5)
    wide = x.astype(float)
    normal = (wide - wide.mean(1, keepdims=True)) / np.sqrt(wide.var(1, keepdims=True) + 1e-5)
    yield Comparison(y.read(), normal * scale + shift, 1e-4, 1e-5)


def convolve(device: Device) -> Iterator[Comparison]:
    x, weights, y = floats(301), floats(17), poisoned(device, 317)
    learning.convolve(given(device, x), given(device, weights), y)
    yield Comparison(y.read(), np.convolve(x.astype(float), weights), 1e-5, 1e-4)


def convolve_2d(device: Device) -> Iterator[Comparison]:
    x, weights, y = floats(3, 19, 23), floats(5, 3, 3, 5), poisoned(device, (5, 17, 19))
    learning.convolve_2d(given(device, x), given(device, weights), y)
    windows = np.lib.stride_tricks.sliding_window_view(x.astype(float), (3, 5), (1, 2))
    yield Comparison(y.read(), np.einsum("cyxij,ocij->oyx", windows, weights), 1e-5, 1e-4)


def nearest_neighbours(device: Device) -> Iterator[Comparison]:
    points, queries, found = floats(301, 3), floats(2, 77, 3)[1], poisoned(device, (77, 5), "u4")
    learning.nearest_neighbours(given(device, points), given(device, queries), found)
    squares = ((queries[:, None].astype(float) - points) ** 2).sum(-1)
    yield Comparison(found.read(), squares.argsort(1)[:, :5], 0, 0)


def k_means(device: Device) -> Iterator[Comparison]:
    points = random().uniform(-1, 1, (501, 2)).astype(np.float32)
    centres = given(device, points[:7])
    labels = learning.k_means(given(device, points), centres, 5)
    wide, middle = points.astype(float), points[:7].astype(float)
    for _ in range(5):
        nearest = ((wide[:, None] - middle) ** 2).sum(-1).argmin(1)
        middle = np.stack([wide[nearest == k].mean(0) for k in range(7)])
    yield Comparison(labels.read(), nearest, 0, 0, differing=0.005)
    yield Comparison(centres.read(), middle, 1e-3, 1e-3)


# Sequences


def fft(device: Device) -> Iterator[Comparison]:
    x = floats(1024, 2)
    made = sequences.fft(given(device, x)).read()
    expected = np.fft.fft(x[:, 0] + 1j * x[:, 1].astype(float))
    # Ten rounds; WGSL's sin and cos are within 2^-11.
    size = np.abs(expected).max()
    yield Comparison(made, np.stack([expected.real, expected.imag], 1), 0, 2e-3 * size)


def find_text(device: Device) -> Iterator[Comparison]:
    text = words(3001, 3)
    pattern = text[1000:1005]
    places, count = poisoned(device, 3001, np.uint32), given(device, [0], np.uint32)
    operands = (given(device, each, np.uint32) for each in (text, pattern))
    sequences.find_text(*operands, places, count)
    windows = np.lib.stride_tricks.sliding_window_view(text, 5)
    found = np.sort(places.read()[: int(count.read()[0])])
    yield Comparison(found, np.flatnonzero((windows == pattern).all(1)), 0, 0)


def levenshtein(device: Device) -> Iterator[Comparison]:
    a, b = words(45, 4), words(97, 4)[:61][::-1].copy()
    made = sequences.levenshtein(given(device, a, np.uint32), given(device, b, np.uint32))
    costs = list(range(b.size + 1))
    for i, letter in enumerate(a, 1):
        before, costs = costs, [i]
        for j, other in enumerate(b, 1):
            change = before[j - 1] + int(letter != other)
            costs.append(min(change, before[j] + 1, costs[-1] + 1))
    yield Comparison(made, costs[-1], 0, 0)


CASES = (
    histogram,
    prefix_sum,
    radix_sort,
    bitonic_sort,
    compact,
    run_lengths,
    reduction(reductions.total, np.sum),
    reduction(reductions.minimum, np.min),
    reduction(reductions.maximum, np.max),
    reduction(reductions.argmax, np.argmax),
    reduction(reductions.norm, np.linalg.norm),
    reduction(reductions.variance, np.var),
    scalar_product,
    matmul,
    transpose,
    sparse_product,
    distance_matrix,
    floyd_warshall,
    cholesky,
    conjugate_gradient,
    black_scholes,
    softmax,
    layer_norm,
    convolve,
    convolve_2d,
    nearest_neighbours,
    k_means,
    fft,
    find_text,
    levenshtein,
)
