"""Compositing: Pillow's levels to the bit, and the formula in float64."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from gpucore import Device, DTypeError, ShapeError, f32, u8
from gpustd import image
from gpustd.launch.variants import force_variant
from tests.draws import draws
from tests.gpustd.image.image_cases import DTYPES, EPS, check, draw, pictures, upload

Array = NDArray[Any]


@st.composite
def pairs(pick: st.DrawFn) -> tuple[Array, Array]:
    """Draw two pictures in 0 .. 255 or 0 .. 1, many of whose pixels are clear or opaque."""
    below = pick(pictures(DTYPES, (4,), (3, 4)))
    above = draw(below.shape, below.dtype.type, 2)
    full = 255 if below.dtype == np.uint8 else 1
    for share, x in enumerate((below, above)):
        if x.dtype == np.float32:
            np.clip(x / 3 + 0.5, 0, 1, out=x)
        chance = np.random.default_rng(share).random(x.shape[:-1])
        x[chance < 0.25, 3], x[chance > 0.75, 3] = 0, full
    return below, above


def over(d: Array, s: Array) -> Array:
    """Return Porter and Duff's over, with straight alpha."""
    rest = d[..., 3:] * (1 - s[..., 3:])
    alpha = s[..., 3:] + rest
    mixed = (s * s[..., 3:] + d * rest) / np.where(alpha == 0, 1, alpha)
    return np.concatenate([np.where(alpha == 0, d, mixed)[..., :3], alpha], axis=-1)


@given(both=pairs(), premultiplied=st.booleans(), variant=st.sampled_from(("integers", "floats")))
@settings(max_examples=draws(30), deadline=None)
def test_over(device: Device, both: tuple[Array, Array], premultiplied: bool, variant: str) -> None:
    full = 255.0 if both[0].dtype == np.uint8 else 1.0
    d, s = (x.astype(np.float64) / full for x in both)
    exact = full * (s + d * (1 - s[..., 3:]) if premultiplied else over(d, s))
    with force_variant("composite", variant):
        result = image.alpha_composite(*(upload(device, x) for x in both), premultiplied).read()
    if full == 255.0 and not premultiplied:
        check_pillows(*both, result)
    else:
        # Each term within three roundings of a mean of values up to 1, or of a sum up to 2; WGSL's
        # division 2.5 ulp.
        check(device, "alpha_composite", result, exact, 16 * EPS * full)


def check_pillows(below: Array, above: Array, result: Array) -> None:
    if not below.size:
        assert result.shape == below.shape
        return
    each = (np.ascontiguousarray(a).reshape(-1, a.shape[-2], 4) for a in (below, above))
    expected = np.asarray(Image.alpha_composite(*map(Image.fromarray, each)))
    np.testing.assert_array_equal(result, expected.reshape(below.shape))


@pytest.mark.parametrize("variant", ["integers", "floats"])
def test_every_alpha_over_every_other_is_pillows(device: Device, variant: str) -> None:
    below, above = (draw((256, 256, 4), np.uint8, seed) for seed in (1, 2))
    below[..., 3], above[..., 3] = np.indices((256, 256))
    with force_variant("composite", variant):
        result = image.alpha_composite(upload(device, below), upload(device, above)).read()
    check_pillows(below, above, result)


def test_refuses_what_does_not_fit(device: Device) -> None:
    picture = device.buffer(u8, (4, 5, 4))
    with pytest.raises(ShapeError, match="must have 4 channels"):
        image.alpha_composite(device.buffer(u8, (4, 5, 3)), picture)
    with pytest.raises(ShapeError, match="must have one shape"):
        image.alpha_composite(picture, device.buffer(u8, (4, 4, 4)))
    with pytest.raises(DTypeError, match="must have one dtype"):
        image.alpha_composite(picture, device.buffer(f32, (4, 5, 4)))  # type: ignore[misc]
