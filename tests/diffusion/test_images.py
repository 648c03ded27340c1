"""Reading pictures from files: right pixels, and errors of one line."""

from __future__ import annotations

import contextlib
import io
import re
import struct
import zlib
from pathlib import Path

import numpy as np
import psutil
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms

from diffusion import images
from diffusion.errors import SettingsError
from diffusion.images import from_pixels, read_image, to_mask, to_pixels, to_rgb


def save(path: Path, image: Image.Image, **options: object) -> Path:
    image.save(path, **options)  # type: ignore[arg-type]
    return path


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def bomb(width: int, height: int) -> bytes:
    """Return a one-bit PNG of many black pixels in a few bytes."""
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0))
    rows = zlib.compress(bytes((width + 7) // 8 + 1) * height, 9)
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp"])
def test_three_formats(tmp_path: Path, suffix: str) -> None:
    image = Image.new("RGB", (20, 10), (200, 30, 60))
    found = to_rgb(read_image(save(tmp_path / f"a.{suffix}", image)))
    assert (found.mode, found.size) == ("RGB", (20, 10))
    assert np.abs(np.asarray(found).astype(int) - (200, 30, 60)).max() < 6


def test_transparency_shows_white() -> None:
    clear = Image.new("RGBA", (2, 1), (255, 0, 0, 0))
    clear.putpixel((1, 0), (255, 0, 0, 128))
    assert np.asarray(to_rgb(clear))[0].tolist() == [[255, 255, 255], [255, 127, 127]]
    grey = Image.new("LA", (1, 1), (0, 0))
    assert to_rgb(grey).getpixel((0, 0)) == (255, 255, 255)


def test_a_palettes_transparency_too(tmp_path: Path) -> None:
    image = Image.new("P", (2, 1), 0)
    image.putpalette([255, 0, 0, 0, 0, 255])
    image.putpixel((1, 0), 1)
    found = to_rgb(read_image(save(tmp_path / "a.png", image, transparency=0)))
    assert np.asarray(found)[0].tolist() == [[255, 255, 255], [0, 0, 255]]


def test_sixteen_bits_are_scaled(tmp_path: Path) -> None:
    levels = np.arange(256, dtype=np.uint16)[None] * 257
    path = save(tmp_path / "a.png", Image.fromarray(levels))
    assert np.asarray(to_rgb(read_image(path)))[0, :, 0].tolist() == list(range(256))


def test_exif_turns_the_picture(tmp_path: Path) -> None:
    image = Image.new("RGB", (20, 10))
    exif = Image.Exif()
    exif[0x0112] = 6
    found = read_image(save(tmp_path / "a.jpg", image, exif=exif))
    assert found.size == (10, 20)


def test_other_modes() -> None:
    assert to_rgb(Image.new("CMYK", (1, 1), (0, 255, 255, 0))).getpixel((0, 0)) == (255, 0, 0)
    assert to_rgb(Image.new("1", (1, 1), 1)).getpixel((0, 0)) == (255, 255, 255)
    with pytest.raises(SettingsError, match="mode F"):
        to_rgb(Image.new("F", (1, 1)))


def test_profiles_become_srgb_and_broken_ones_count_as_none() -> None:
    image = Image.new("RGB", (4, 4), (200, 100, 50))
    image.info["icc_profile"] = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    found = np.asarray(to_rgb(image)).astype(int)
    assert np.abs(found - (200, 100, 50)).max() <= 1
    for broken in (b"", b"no profile", b"\0" * 200, "text", b"x" * (images.LARGEST_PROFILE + 1)):
        image.info["icc_profile"] = broken
        assert to_rgb(image).getpixel((0, 0)) == (200, 100, 50)


def test_masks() -> None:
    grey = Image.fromarray(np.array([[0, 127, 128, 255]], np.uint8))
    assert np.asarray(to_mask(grey)).tolist() == [[0, 0, 255, 255]]
    opaque = Image.merge("RGBA", (grey, grey, grey, Image.new("L", grey.size, 255)))
    assert np.asarray(to_mask(opaque)).tolist() == [[0, 0, 255, 255]]
    black = Image.new("L", grey.size, 0)
    drawn = Image.merge("RGBA", (black, black, black, grey))
    assert np.asarray(to_mask(drawn)).tolist() == [[0, 0, 255, 255]]


def test_pixels_and_back() -> None:
    image = Image.fromarray(np.arange(768, dtype=np.uint8).reshape(16, 16, 3))
    pixels = to_pixels(image)
    assert (pixels.shape, pixels.dtype) == ((1, 16, 16, 3), np.float32)
    assert pixels.min() == -1.0
    assert pixels.max() == 1.0
    np.testing.assert_array_equal(np.asarray(from_pixels(pixels[0])), np.asarray(image))
    over = np.array([[[-3, 0, 3]]], np.float32)
    assert from_pixels(over).getpixel((0, 0)) == (0, 128, 255)


def write_broken(tmp_path: Path, kind: str) -> Path:
    path = tmp_path / "a.png"
    whole = io.BytesIO()
    noise = np.random.default_rng(1).integers(0, 256, (64, 64, 3), np.uint8)
    Image.fromarray(noise).save(whole, "PNG")
    data = whole.getvalue()
    flipped = bytearray(data)
    flipped[len(data) // 2] ^= 255
    contents = {
        "empty": b"",
        "cut": data[: len(data) * 6 // 10],
        "head": data[:33],
        "checksum": bytes(flipped),
        "svg": b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        "page": b"<!doctype html><title>Sign in</title>",
        "gif": gif(),
        "bomb": bomb(13000, 13000),
        "wide": bomb(1 << 24, 2),
    }
    path.write_bytes(contents[kind])
    return path


def gif() -> bytes:
    data = io.BytesIO()
    Image.new("P", (4, 4)).save(data, "GIF")
    return data.getvalue()


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("empty", "give a PNG, JPEG or WebP file"),
        ("cut", "damaged or cut short"),
        ("head", "give a PNG, JPEG or WebP file"),
        ("checksum", "damaged or cut short"),
        ("svg", "give a PNG, JPEG or WebP file"),
        ("page", "give a PNG, JPEG or WebP file"),
        ("gif", "give a PNG, JPEG or WebP file"),
        ("bomb", "pixels"),
        ("wide", "pixels"),
    ],
)
def test_hostile_files(tmp_path: Path, kind: str, message: str) -> None:
    path = write_broken(tmp_path, kind)
    before = psutil.Process().memory_info().rss
    with pytest.raises(SettingsError) as caught:
        read_image(path, "mask")
    text = str(caught.value)
    assert text.startswith("mask cannot be")
    assert message in text
    assert not re.search(r"0x[0-9a-f]{6}", text)
    assert "\n" not in text
    assert psutil.Process().memory_info().rss - before < 50 << 20


def test_a_palette_with_more_clear_colours_than_it_can_have(tmp_path: Path) -> None:
    image = Image.new("P", (4, 4), 1)
    image.putpalette([255, 0, 0, 0, 0, 255])
    whole = save(tmp_path / "a.png", image).read_bytes()
    start = whole.index(b"IDAT") - 4
    clear = chunk(b"tRNS", b"\0\1" * 300)
    (tmp_path / "b.png").write_bytes(whole[:start] + clear + whole[start:])
    with pytest.raises(SettingsError, match="damaged"):
        read_image(tmp_path / "b.png")


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_exif_of_other_types(tmp_path: Path, kind: str) -> None:
    """Pillow reads a maker that is a fraction, and fails to write it when it turns the picture."""
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "maker of the camera"
    body = bytearray(exif.tobytes())
    place = body.index(b"\x01\x0f") + 2
    body[place : place + 6] = struct.pack(">HI", 5, 1)
    path = tmp_path / "a.img"
    Image.new("RGB", (4, 2)).save(path, kind, exif=bytes(body))
    with pytest.raises(SettingsError, match="damaged"):
        read_image(path)


def test_paths_that_cannot_be_read(tmp_path: Path) -> None:
    for place in (tmp_path / "none.png", tmp_path, Path("a\0b")):
        with pytest.raises(SettingsError, match="it cannot be read"):
            read_image(place)


def test_large_files_are_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "LARGEST_FILE", 100)
    path = save(tmp_path / "a.png", Image.new("RGB", (200, 200)))
    monkeypatch.setattr(Path, "read_bytes", lambda _: pytest.fail("it was read"))
    with pytest.raises(SettingsError, match="MiB"):
        read_image(path)


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_changed_bytes_never_crash(tmp_path: Path, data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from(["PNG", "JPEG", "WEBP"]))
    whole = io.BytesIO()
    Image.linear_gradient("L").resize((24, 16)).save(whole, kind)
    content = bytearray(whole.getvalue())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path / "a"
    path.write_bytes(content)
    with contextlib.suppress(SettingsError):
        assert to_rgb(read_image(path)).mode == "RGB"
