"""Work on pictures before the first step and after the last: fitting, masks, crops."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from diffusion.errors import SettingsError
from diffusion.tasks import InitImage, Inpaint, extend_image
from diffusion.tasks.inpaint import box_around_mask, fill_masked, latent_mask
from diffusion.tasks.resizing import drawn_size, fit_image


def ramp(width: int, height: int) -> Image.Image:
    """Red grows to the right, green downwards."""
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[..., 0] = np.linspace(0, 255, width).astype(np.uint8)[None, :]
    pixels[..., 1] = np.linspace(0, 255, height).astype(np.uint8)[:, None]
    return Image.fromarray(pixels)


def box_mask(size: tuple[int, int], left: int, top: int, right: int, bottom: int) -> Image.Image:
    mask = np.zeros((size[1], size[0]), np.uint8)
    mask[top:bottom, left:right] = 255
    return Image.fromarray(mask)


def pixels(image: Image.Image) -> NDArray[np.int64]:
    return np.asarray(image).astype(np.int64)


@pytest.mark.parametrize("mode", ["stretch", "Crop and resize", "fill"])
@pytest.mark.parametrize("size", [(64, 64), (96, 32), (32, 96), (40, 30), (8, 8)])
def test_every_mode_gives_the_size(mode: str, size: tuple[int, int]) -> None:
    assert fit_image(ramp(40, 30), size, mode).size == size
    assert fit_image(ramp(40, 30).convert("L"), size, mode).size == size


def test_modes_keep_or_scale_pixels() -> None:
    wide = ramp(80, 40)
    cropped = pixels(fit_image(wide, (40, 40), "crop"))
    np.testing.assert_array_equal(cropped, pixels(wide)[:, 20:60])
    padded = pixels(fit_image(wide, (80, 80), "fill"))
    np.testing.assert_array_equal(padded[20:60], pixels(wide))
    np.testing.assert_array_equal(padded[0], pixels(wide)[0])
    np.testing.assert_array_equal(padded[-1], pixels(wide)[-1])
    stretched = pixels(fit_image(wide, (40, 40), "stretch"))
    assert abs(stretched[20, 0, 0] - 0) < 8
    assert abs(stretched[20, -1, 0] - 255) < 8


def test_sizes_that_are_drawn() -> None:
    assert drawn_size(ramp(250, 3)) == (248, 8)
    assert InitImage(ramp(101, 52)).size() == (104, 48)
    inpaint = Inpaint(box_mask((101, 52), 1, 1, 5, 5), area="Only masked")
    assert InitImage(ramp(101, 52), inpaint=inpaint).size() is None


@given(st.data())
def test_the_box_holds_the_mask_and_lies_in_the_picture(data: st.DataObject) -> None:
    width, height = data.draw(st.integers(8, 90)), data.draw(st.integers(8, 90))
    left, top = data.draw(st.integers(0, width - 1)), data.draw(st.integers(0, height - 1))
    right = data.draw(st.integers(left + 1, width))
    bottom = data.draw(st.integers(top + 1, height))
    size = data.draw(st.sampled_from([(64, 64), (128, 64), (64, 192)]))
    mask = box_mask((width, height), left, top, right, bottom)
    box = box_around_mask(mask, data.draw(st.integers(0, 40)), size)
    assert 0 <= box[0] <= left < right <= box[2] <= width
    assert 0 <= box[1] <= top < bottom <= box[3] <= height


def test_the_box_takes_the_shape_drawn() -> None:
    mask = box_mask((200, 200), 90, 95, 110, 105)
    assert box_around_mask(mask, 10, (64, 64)) == (80, 80, 120, 120)
    assert box_around_mask(mask, 0, (128, 64)) == (90, 95, 110, 105)
    assert box_around_mask(box_mask((200, 200), 0, 0, 20, 10), 0, (64, 64)) == (0, 0, 20, 20)


def test_masks() -> None:
    mask = box_mask((32, 32), 8, 8, 24, 24)
    assert pixels(Inpaint(mask, blur=0).soft_mask((32, 32))).tolist() == pixels(mask).tolist()
    inverted = pixels(Inpaint(mask, blur=0, invert=True).soft_mask((32, 32)))
    np.testing.assert_array_equal(inverted, 255 - pixels(mask))
    soft = pixels(Inpaint(mask, blur=2).soft_mask((32, 32)))
    assert soft[16, 16] > 250
    assert 100 < soft[16, 8] < 160
    assert 0 < soft[16, 5] < 100
    grey = Image.fromarray(np.full((32, 32), 127, np.uint8))
    with pytest.raises(SettingsError, match="mask cannot be 'empty'"):
        Inpaint(grey).soft_mask((32, 32))
    with pytest.raises(SettingsError, match="mask cannot be '32x32'; give one as large"):
        Inpaint(mask).soft_mask((32, 40))


def test_the_latents_mask_is_zero_or_one() -> None:
    mask = Inpaint(box_mask((64, 64), 16, 8, 48, 64), blur=3).soft_mask((64, 64))
    small = latent_mask(mask, (8, 8))
    assert set(np.unique(small)) == {0.0, 1.0}
    expected = np.zeros((8, 8))
    expected[1:8, 2:6] = 1
    np.testing.assert_array_equal(small, expected)


def test_filling_takes_colours_from_around() -> None:
    picture = np.zeros((64, 64, 3), np.uint8)
    picture[:, :32], picture[:, 32:] = (200, 0, 0), (0, 0, 200)
    picture[24:40, 8:24] = (0, 255, 0)
    mask = box_mask((64, 64), 8, 24, 24, 40)
    done = pixels(fill_masked(Image.fromarray(picture), mask))
    outside = pixels(mask) == 0
    np.testing.assert_array_equal(done[outside], picture[outside])
    inside = done[32, 16]
    assert inside[0] > 100
    assert inside[1] < 10
    assert inside[2] < inside[0]


@pytest.mark.parametrize("area", ["whole", "masked"])
def test_outside_the_mask_pixels_stay(area: str) -> None:
    picture = ramp(128, 96)
    mask = box_mask((128, 96), 40, 30, 60, 50)
    init_image = InitImage(picture, inpaint=Inpaint(mask, blur=2, area=area, padding=8))
    prepared = init_image.prepare((128, 96) if area == "whole" else (64, 64))
    assert prepared.image.size == ((128, 96) if area == "whole" else (64, 64))
    done = prepared.compose(Image.new("RGB", prepared.image.size, (0, 0, 255)))
    assert done.size == picture.size
    far = np.ones((96, 128), bool)
    far[20:60, 30:70] = False
    np.testing.assert_array_equal(pixels(done)[far], pixels(picture)[far])
    np.testing.assert_array_equal(pixels(done)[38:42, 48:52], [[[0, 0, 255]] * 4] * 4)


@pytest.mark.parametrize("masked", [True, False])
def test_padding_keeps_every_pixel_and_the_size(masked: bool) -> None:
    picture = ramp(43, 29)
    mask = box_mask((43, 29), 10, 8, 20, 16)
    init_image = InitImage(picture, resize="pad", inpaint=Inpaint(mask, blur=0) if masked else None)
    assert init_image.size() == (48, 32)
    prepared = init_image.prepare((48, 32))
    assert prepared.image.size == (48, 32)
    np.testing.assert_array_equal(pixels(prepared.image)[:29, :43], pixels(picture))
    np.testing.assert_array_equal(pixels(prepared.image)[31, :43], pixels(picture)[28])
    done = prepared.compose(Image.new("RGB", (48, 32), (0, 0, 255)))
    assert done.size == (43, 29)
    drawn = (pixels(done) == [0, 0, 255]).all(axis=2)
    assert drawn.sum() == (80 if masked else 43 * 29)
    np.testing.assert_array_equal(pixels(done)[~drawn], pixels(picture)[~drawn])
    with pytest.raises(SettingsError, match="resize pad it follows from the picture's, 43x29"):
        init_image.prepare((64, 64))


def test_only_masked_draws_the_crop_at_full_size() -> None:
    picture = ramp(128, 128)
    mask = box_mask((128, 128), 56, 56, 72, 72)
    init_image = InitImage(picture, inpaint=Inpaint(mask, blur=0, area="masked", padding=8))
    prepared = init_image.prepare((64, 64))
    assert prepared.box == (48, 48, 80, 80)
    part = picture.crop(prepared.box).resize((64, 64), Image.Resampling.LANCZOS)
    np.testing.assert_array_equal(pixels(prepared.image), pixels(part))


def test_an_extended_picture_and_its_mask() -> None:
    picture = ramp(32, 24)
    larger, mask = extend_image(picture, (16, 0, 8, 4), overlap=2)
    assert larger.size == mask.size == (56, 28)
    np.testing.assert_array_equal(pixels(larger)[:24, 16:48], pixels(picture))
    np.testing.assert_array_equal(pixels(larger)[:24, :16], pixels(picture)[:, :1].repeat(16, 1))
    kept = pixels(mask) == 0
    assert kept[0:22, 18:46].all()
    assert kept.sum() == 22 * 28


@pytest.mark.parametrize(
    ("sides", "overlap"), [((0, 0, 0, 0), 4), ((-8, 0, 0, 0), 4), ((8, 0, 0, 0), 99)]
)
def test_wrong_extensions_are_refused(sides: tuple[int, int, int, int], overlap: int) -> None:
    with pytest.raises(SettingsError):
        extend_image(ramp(32, 24), sides, overlap)


@pytest.mark.parametrize(
    ("init_image", "field"),
    [
        (InitImage(ramp(8, 8), strength=1.5), "strength"),
        (InitImage(ramp(8, 8), strength=float("nan")), "strength"),
        (InitImage(ramp(8, 8), resize="shrink"), "resize"),
        (InitImage("apple.png"), "image"),  # type: ignore[arg-type]
        (InitImage(ramp(8, 8), inpaint=Inpaint(ramp(8, 8), blur=-1)), "blur"),
        (InitImage(ramp(8, 8), inpaint=Inpaint(ramp(8, 8), content="new")), "content"),
        (InitImage(ramp(8, 8), inpaint=Inpaint(ramp(8, 8), area="half")), "area"),
        (InitImage(ramp(8, 8), inpaint=Inpaint(ramp(8, 8), padding=-1)), "padding"),
        (InitImage(ramp(8, 8), inpaint=Inpaint(None)), "mask"),  # type: ignore[arg-type]
    ],
)
def test_wrong_settings_are_refused(init_image: InitImage, field: str) -> None:
    with pytest.raises(SettingsError, match=field):
        init_image.check()
