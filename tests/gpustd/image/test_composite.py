"""Compositing: Pillow's levels to the bit, and the formula in float64."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from gpucore import Device, DTypeError, ShapeError, f32, u8
from gpustd import image
from gpustd.rungs import forced_rung
from tests.gpustd.image.pictures import EPS, check, draw, upload


@pytest.mark.parametrize("rung", ["integers", "floats"])
@pytest.mark.parametrize("shape", [(1, 1, 4), (13, 17, 4), (2, 64, 40, 4), (256, 256, 4)], ids=str)
def test_u8_is_pillows(device: Device, shape: tuple[int, ...], rung: str) -> None:
    below, above = draw(shape, np.uint8, 1), draw(shape, np.uint8, 2)
    below.reshape(-1, 4)[::3, 3] = 0
    above.reshape(-1, 4)[::5, 3] = 0
    above.reshape(-1, 4)[1::5, 3] = 255
    if shape == (256, 256, 4):
        below[..., 3], above[..., 3] = np.indices((256, 256))
    pictures = (Image.fromarray(a.reshape(-1, shape[-2], 4), "RGBA") for a in (below, above))
    expected = np.asarray(Image.alpha_composite(*pictures)).reshape(shape)
    with forced_rung("composite", rung):
        result = image.alpha_composite(upload(device, below), upload(device, above)).read()
    np.testing.assert_array_equal(result, expected)


@pytest.mark.parametrize("shape", [(1, 1, 4), (7, 11, 4)], ids=str)
def test_f32(device: Device, shape: tuple[int, ...]) -> None:
    below, above = (np.random.default_rng(seed).random(shape, np.float32) for seed in (1, 2))
    below[0, 0, 3] = above[0, 0, 3] = 0
    d, s = below.astype(np.float64), above.astype(np.float64)
    rest = d[..., 3:] * (1 - s[..., 3:])
    alpha = s[..., 3:] + rest
    with np.errstate(invalid="ignore"):
        mixed = (s * s[..., 3:] + d * rest) / alpha
    exact = np.concatenate([np.where(alpha == 0, d, mixed)[..., :3], alpha], axis=-1)
    result = image.alpha_composite(upload(device, below), upload(device, above)).read()
    # Each term within three roundings of a mean of values up to 1; WGSL's division 2.5 ulp.
    check(device, "alpha_composite", result, exact, 16 * EPS)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_premultiplied(device: Device, dtype: type[np.generic]) -> None:
    below, above = draw((7, 11, 4), np.uint8, 1), draw((7, 11, 4), np.uint8, 2)
    for each in (below, above):
        each[..., :3] = np.minimum(each[..., :3], each[..., 3:])
    full = 255.0 if dtype is np.uint8 else 1.0
    d, s = (a if dtype is np.uint8 else a.astype(np.float32) / 255 for a in (below, above))
    exact = s.astype(np.float64) + d.astype(np.float64) * (1 - s[..., 3:].astype(np.float64) / full)
    result = image.alpha_composite(upload(device, d), upload(device, s), premultiplied=True).read()
    check(device, "alpha_composite", result, exact, 8 * EPS * full)


def test_nothing_and_refusals(device: Device) -> None:
    empty = device.buffer(u8, (0, 5, 4))
    assert image.alpha_composite(empty, empty).read().shape == (0, 5, 4)
    picture = device.buffer(u8, (4, 5, 4))
    with pytest.raises(ShapeError, match="wants 4 channels"):
        image.alpha_composite(device.buffer(u8, (4, 5, 3)), picture)
    with pytest.raises(ShapeError, match="differ in shape"):
        image.alpha_composite(picture, device.buffer(u8, (4, 4, 4)))
    with pytest.raises(DTypeError, match="differ in dtype"):
        image.alpha_composite(picture, device.buffer(f32, (4, 5, 4)))  # type: ignore[misc]
