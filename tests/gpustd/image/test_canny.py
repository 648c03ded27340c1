"""Canny's edges between two float64 computations of scikit-image's steps.

A pixel either is an edge or not, and rounding may turn it where a comparison is close. The
reference takes each step's worst error, and computes for each pixel whether it surely is a
candidate and whether it possibly is. More candidates never remove an edge in hysteresis. So the
result lies between that of the sure candidates and that of the possible ones.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.ndimage
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from gpucore import ArgumentError, Device, LimitError, ShapeError, f32, u8
from gpustd import image
from gpustd.image.filters.canny_edges import connect_edges
from gpustd.image.shapes import image_shape
from tests.draws import draws
from tests.gpustd.image.image_cases import EPS, MODES, draw, largest, pictures, upload

Array = NDArray[Any]


def connected_components(weak: Array, strong: Array) -> Array:
    """Return the components of ``weak`` with a ``strong`` pixel."""
    labels, count = scipy.ndimage.label(weak, np.ones((3, 3)))
    kept = np.zeros(count + 1, bool)
    kept[np.unique(labels[strong & weak])] = True
    kept[0] = False
    return np.asarray(kept[labels])


def smooth(x: Array, sigma: float, mode: str) -> Array:
    """Return the Gaussian of ``x``; with the mode constant, pixels beyond the edge do not count."""
    if mode != "constant":
        return np.asarray(scipy.ndimage.gaussian_filter(x, sigma, mode=mode))
    inside = scipy.ndimage.gaussian_filter(np.ones_like(x), sigma, mode=mode)
    return np.asarray(scipy.ndimage.gaussian_filter(x, sigma, mode=mode) / inside)


def neighbour_lengths(m: Array, i: Array, j: Array) -> tuple[Array, Array]:
    """Return the gradient's lengths at both neighbours along it, and their change by rounding."""
    same = (i >= 0) & (j >= 0) | (i <= 0) & (j <= 0)
    steep = np.where(same, abs(i) > abs(j), abs(i) >= abs(j))
    larger = np.maximum(np.maximum(abs(i), abs(j)), 1e-30)
    w = np.minimum(abs(i), abs(j)) / larger
    results = []
    for sign in (1, -1):
        down = sign * np.where(same, 1, -1)
        rows, columns = np.indices(m.shape)
        height, width = m.shape

        def at(r: Array, c: Array, height: int = height, width: int = width) -> Array:
            return np.asarray(m[np.clip(r, 0, height - 1), np.clip(c, 0, width - 1)])

        far = at(rows + down, columns + sign)
        near = np.where(steep, at(rows + down, columns), at(rows, columns + sign))
        results.append((far * w + near * (1 - w), abs(far - near) / larger))
    return np.stack([r[0] for r in results]), np.stack([r[1] for r in results])


def edge_bounds(x: Array, sigma: float, low: float, high: float, mode: str) -> tuple[Array, Array]:
    """Return edges that must be found, and those that may be."""
    s = smooth(x.astype(np.float64), sigma, mode)
    i, j = scipy.ndimage.sobel(s, 0), scipy.ndimage.sobel(s, 1)
    m = np.hypot(i, j)
    taps = 2 * int(4 * sigma + 0.5) + 1
    most = largest(x)
    error = 8 * (2 * (taps + 2) * EPS * most) + 6 * EPS * 8 * most
    near, tilt = neighbour_lengths(m, i, j)
    gap = m - near
    close = 2 * (2 * error) + 4 * error * tilt + 8 * EPS * m
    inner = np.zeros(x.shape, bool)
    inner[1:-1, 1:-1] = True
    sure = inner & (gap > close).all(0) & (m > low + 2 * error) & (m > 8 * error)
    may = inner & (gap > -close).all(0) & (m > low - 2 * error)
    return connected_components(sure, m > high + 2 * error), connected_components(
        may, m > high - 2 * error
    )


@given(
    x=pictures(channels=(1,)),
    sigma=st.sampled_from((0.0, 0.8, 1.0, 2.0)),
    thresholds=st.tuples(*[st.floats(0, 1.5)] * 2).map(sorted),
    mode=st.sampled_from(MODES),
)
@settings(max_examples=draws(30), deadline=None)
def test_any_picture_lies_between(
    device: Device, x: Array, sigma: float, thresholds: list[float], mode: str
) -> None:
    """Each image of a batch is checked alone; noise has edges everywhere."""
    low, high = (t * largest(x) for t in thresholds)
    result = image.canny(upload(device, x), sigma, low, high, mode).read()
    assert result.shape == x.shape
    assert result.dtype == np.uint8
    if x.size:
        shape = (x.shape[0] if x.ndim == 4 else 1, *x.shape[x.ndim == 4 :][:2])
        for one, found in zip(x.reshape(shape), result.reshape(shape), strict=True):
            least, most = edge_bounds(one, sigma, low, high, mode)
            assert set(np.unique(found)) <= {0, 1}
            assert not np.any(least & (found == 0))
            assert not np.any(~most & (found == 1))


@pytest.mark.parametrize(
    ("dtype", "sigma", "mode"),
    [(np.uint8, 0.8, "constant"), (np.float32, 2.0, "nearest")],
    ids=str,
)
def test_lies_between_close_bounds(
    device: Device, dtype: type[Any], sigma: float, mode: str
) -> None:
    """Rounding may turn only few pixels of this picture."""
    x = scipy.ndimage.gaussian_filter(np.random.default_rng(5).random((61, 47)), 2)
    x = ((x - x.min()) / np.ptp(x) * 255).astype(dtype)
    low, high = 45.0, 120.0
    least, most = edge_bounds(x, sigma, low, high, mode)
    assert least.sum() > 30
    assert (least != most).mean() < 0.01
    assert (
        connected_components(least, least).sum()
        < connected_components(*[edge_bounds(x, sigma, low, low, mode)[0]] * 2).sum()
    )
    result = image.canny(upload(device, x), sigma, low, high, mode).read()
    assert set(np.unique(result)) <= {0, 1}
    assert not np.any(least & (result == 0))
    assert not np.any(~most & (result == 1))


def pack_cells(weak: Array, strong: Array) -> Array:
    """Return words of 4 by 4 pixels of (N, H, W), as `connect_edges` takes them."""
    images, height, width = weak.shape
    beyond = ((0, 0), (0, -height % 4), (0, -width % 4))
    kept, reached = (
        np.pad(a, beyond).reshape(images, -(-height // 4), 4, -(-width // 4), 4)
        for a in (weak, weak & strong)
    )
    words = np.zeros((images, kept.shape[1], kept.shape[3]), np.uint32)
    for r in range(4):
        for c in range(4):
            words |= kept[:, :, r, :, c].astype(np.uint32) << (4 * r + c)
            words |= reached[:, :, r, :, c].astype(np.uint32) << (16 + r // 2 * 2 + c // 2)
    return np.asarray(words)


def run_connect_edges(device: Device, weak: Array, strong: Array) -> Array:
    """Return the result of `connect_edges` of (N, H, W)."""
    edges = device.buffer(u8, (*weak.shape, 1))
    connect_edges(upload(device, pack_cells(weak, strong)), edges, image_shape("test", edges))
    return np.asarray(edges.read()[..., 0])


@given(
    shape=st.tuples(st.integers(1, 2), st.integers(1, 70), st.integers(1, 70)),
    density=st.sampled_from((0.3, 0.45, 0.6)),
    seed=st.integers(0, 99),
)
@settings(max_examples=draws(20), deadline=None)
def test_components(device: Device, shape: tuple[int, int, int], density: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    weak, strong = rng.random(shape) < density, rng.random(shape) < 0.01
    expected = np.stack([connected_components(*each) for each in zip(weak, strong, strict=True)])
    np.testing.assert_array_equal(run_connect_edges(device, weak, strong), expected)


def test_a_long_way(device: Device) -> None:
    """One component is as long as the image has room: rows joined at alternating ends."""
    weak = np.zeros((1, 133, 140), bool)
    weak[:, ::2] = True
    weak[:, 1::4, -1] = weak[:, 3::4, 0] = True
    strong = np.zeros_like(weak)
    np.testing.assert_array_equal(run_connect_edges(device, weak, strong), strong)
    strong[:, -1, -1] = True
    np.testing.assert_array_equal(run_connect_edges(device, weak, strong), weak)


def test_defaults_and_batches(device: Device) -> None:
    x = draw((2, 12, 17, 1), np.uint8)
    together = image.canny(upload(device, x)).read()
    assert together.any()
    for n in range(2):
        alone = image.canny(upload(device, x[n, ..., 0]), 1.0, 25.5, 51).read()
        np.testing.assert_array_equal(together[n, ..., 0], alone)
    floats = image.canny(upload(device, (x[0] / 8).astype(np.float32) * 8), 1.0, 25.5, 51).read()
    np.testing.assert_array_equal(floats, together[0])


def test_nothing_and_refusals(device: Device) -> None:
    assert image.canny(upload(device, draw((2, 2), np.uint8))).read().tolist() == [[0, 0]] * 2
    with pytest.raises(ShapeError, match="must have one channel"):
        image.canny(device.buffer(f32, (4, 5, 3)))
    with pytest.raises(ArgumentError, match="low_threshold 3"):
        image.canny(device.buffer(f32, (4, 5)), 1, 3, 2)
    with pytest.raises(LimitError, match="more than 65535 workgroups"):
        image.canny(device.buffer(u8, (65536, 2, 2, 1)))
