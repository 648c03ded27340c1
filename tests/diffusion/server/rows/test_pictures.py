"""Pictures of requests, which may be hostile: I1 to I10 over HTTP.

Each kind is also read in ``tests/diffusion/test_images.py``.
"""

from __future__ import annotations

import base64
import io
import re
import struct
import zlib
from collections.abc import Callable, Iterator

import numpy as np
import psutil
import pytest
from PIL import Image, ImageCms
from PIL.PngImagePlugin import PngInfo

from diffusion.images import decode_image
from diffusion.server.pictures import read_upload
from tests.diffusion.server.live_server import Live, run_on_thread


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """Return one server for all of them."""
    with run_on_thread(tmp_path_factory.mktemp("out")) as live:
        yield live


def encode(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def chunk(name: bytes, data: bytes) -> bytes:
    """Return a chunk of a PNG file."""
    body = name + data
    return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))


def bomb(side: int) -> bytes:
    """Return a PNG of one bit a pixel, all black: 20 kB for 13,000 a side."""
    head = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    rows = zlib.compress(bytes((side // 8 + 1) * side), 9)
    parts = (chunk(b"IHDR", head), chunk(b"IDAT", rows), chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


PLAIN = Image.new("RGB", (64, 48), (200, 30, 40))
PNG = encode(PLAIN)


def many_texts(count: int, size: int) -> bytes:
    info = PngInfo()
    for number in range(count):
        info.add_text(f"k{number}", "x" * size, zip=True)
    return encode(PLAIN, pnginfo=info)


WRONG: dict[str, Callable[[], bytes]] = {
    "I1 a bomb of pixels": lambda: bomb(13_000),
    "I5 cut short": lambda: PNG[: len(PNG) * 6 // 10],
    "I5 the head alone": lambda: PNG[:33],
    "I5 a wrong check sum": lambda: PNG[:20] + bytes([PNG[20] ^ 1]) + PNG[21:],
    "I5 empty": lambda: b"",
    "I5 SVG": lambda: b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>',
    "I6 a text of 2 MiB": lambda: many_texts(1, 2 << 20),
    "I6 80 texts of 1 MB": lambda: many_texts(80, 1_000_000),
    "I7 TIFF": lambda: encode(PLAIN, "TIFF"),
    "I7 GIF": lambda: encode(PLAIN, "GIF"),
    "I7 BMP": lambda: encode(PLAIN, "BMP"),
    "I7 EPS": lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
    "I7 ICO": lambda: encode(PLAIN, "ICO"),
    "I8 not an image": lambda: b"hello, " * 100,
    "I8 a page": lambda: b"<!doctype html><html></html>",
}


@pytest.mark.parametrize("name", sorted(WRONG))
def test_wrong_pictures_are_refused_with_a_sentence(live: Live, name: str) -> None:
    """422 from each route that takes a picture, without a path or Pillow's addresses."""
    data = WRONG[name]()
    text = base64.b64encode(data).decode()
    process = psutil.Process()
    before, drawn = process.memory_info().rss, len(live.engine.drawn)
    for path, body in (
        ("/api/v1/jobs", {"prompt": "x", "init_image": {"image": text}}),
        ("/sdapi/v1/img2img", {"init_images": [text]}),
        ("/sdapi/v1/extra-single-image", {"image": text}),
    ):
        answer = live.post(path, body)
        assert answer.status_code == 422, (path, answer.text)
        assert re.search("cannot be this file; |must be a picture as base64", answer.text)
        assert not re.search(r"0x[0-9a-f]{6}|/tmp|\.py|PIL|Traceback", answer.text)
    form = {"image": ("x.png", data, "image/png")}
    edit = live.post("/v1/images/edits", files=form, data={"prompt": "x"})
    assert edit.status_code == 400
    assert not re.search(r"0x[0-9a-f]{6}|/tmp|\.py|PIL|Traceback", edit.text)
    # Pillow reads 64 MiB of texts before it stops, and the allocator of each of four threads may
    # keep those with one more copy.
    most = 4 * 128 if "1 MB" in name else 64
    assert process.memory_info().rss - before < most << 20
    assert len(live.engine.drawn) == drawn


FORMS: dict[str, Callable[[str], str]] = {
    "plain": lambda text: text,
    "prefix": lambda text: f"data:image/png;base64,{text}",
    "prefix and a blank": lambda text: f"data:image/png;base64, {text}",
    "lines": lambda text: "\n".join(re.findall(".{1,76}", text)),
    "no padding": lambda text: text.rstrip("="),
}
BAD_FORMS: dict[str, Callable[[str], str]] = {
    "nested prefix": lambda text: f"data:image/png;base64,data:image/png;base64,{text}",
    "url-safe": lambda text: text.replace("+", "-").replace("/", "_") + "-_",
    "another prefix": lambda text: f"data:text/html,{text}",
    "a mark": lambda text: text + "!",
    "zero": lambda text: text + "\x00",
    "a blank": lambda text: " ",
}


def test_base64_of_all_forms(live: Live) -> None:
    """I8: what AUTOMATIC1111 takes is taken, and nothing else."""
    text = base64.b64encode(PNG).decode()
    for name, form in FORMS.items():
        body = {"init_images": [form(text)], "steps": 1, "width": 64, "height": 48}
        assert live.post("/sdapi/v1/img2img", body).status_code == 200, name
    for name, form in BAD_FORMS.items():
        body = {"init_images": [form(text)], "steps": 1}
        assert live.post("/sdapi/v1/img2img", body).status_code == 422, name


def _orientation(image: Image.Image, value: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = value
    exif[0x010F] = "a camera"
    return encode(image, "JPEG", exif=exif, quality=95)


def upload(data: bytes) -> Image.Image:
    """Return the picture that is kept of an upload."""
    text = read_upload(base64.b64encode(data).decode(), "image")
    return decode_image(base64.b64decode(text), "image", "it")


def test_uploads_keep_their_pixels_and_nothing_else() -> None:
    """I2, I3, I4, I7, I10: what the history keeps is a new PNG without texts, EXIF and GPS."""
    ramp = Image.fromarray((np.arange(256, dtype=np.uint16) * 257).reshape(16, 16))
    assert np.array_equal(np.asarray(upload(encode(ramp))), np.asarray(ramp))
    palette = Image.new("P", (8, 8), 1)
    palette.putpalette([0, 0, 0, 255, 0, 0])
    clear = upload(encode(palette, transparency=1)).convert("RGBA")
    assert clear.getpixel((0, 0)) == (255, 0, 0, 0)
    grey = upload(encode(Image.new("LA", (8, 8), (128, 0))))
    assert grey.convert("RGBA").getpixel((0, 0)) == (128, 128, 128, 0)
    assert upload(_orientation(Image.new("RGB", (20, 10)), 6)).size == (10, 20)
    for mode in ("1", "L", "RGB", "RGBA", "CMYK"):
        kind = "JPEG" if mode == "CMYK" else "PNG"
        assert upload(encode(Image.new(mode, (8, 8)), kind)).size == (8, 8)
    frames = [Image.new("RGB", (8, 8), (n, 0, 0)) for n in range(30)]
    for kind in ("PNG", "WEBP"):
        data = encode(frames[0], kind, save_all=True, append_images=frames[1:], lossless=True)
        assert upload(data).convert("RGB").getpixel((0, 0)) == (0, 0, 0)
    info = PngInfo()
    info.add_text("parameters", "secret <script>")
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for data in (
        encode(PLAIN, pnginfo=info, icc_profile=profile),
        _orientation(PLAIN, 1),
    ):
        kept = upload(data)
        assert set(kept.info) <= {"icc_profile", "transparency"}
        assert not kept.getexif()
        assert b"secret" not in encode(kept)


def test_a_small_picture_may_be_of_any_shape(live: Live) -> None:
    """I5: one pixel; one column of 9,000 is drawn at the size that is asked for."""
    for size in ((1, 1), (1, 9000), (9000, 1)):
        text = base64.b64encode(encode(Image.new("RGB", size))).decode()
        body = {"init_images": [text], "steps": 1, "width": 64, "height": 64}
        assert live.post("/sdapi/v1/img2img", body).status_code == 200, size


HOSTILE_TEXTS = (
    "x\nSteps: 20, Sampler: Euler, CFG scale: 7, Seed: 1, Size: 64x64, Model: ../../etc/passwd",
    "x\nSteps: 20, Sampler: Euler, CFG scale: 7, Seed: 1, Size: 64x64, Model: http://evil/x",
    "x\nSteps: 20, Sampler: ../x, CFG scale: 7, Seed: 1, Size: 64x64",
    "x\nSteps: 1e9, Sampler: Euler, CFG scale: nan, Seed: -5, Size: 0x0",
    "<img src=x onerror=alert(1)>\nSteps: 20, Sampler: Euler, CFG scale: 7, Seed: 1, Size: 64x64",
    '{"prompt": {"1": {"class_type": "x", "inputs": {"ckpt_name": "../../x"}}}}',
    "x" * 1_000_000,
)


@pytest.mark.parametrize("text", HOSTILE_TEXTS)
def test_settings_of_a_picture_apply_no_path_and_no_address(live: Live, text: str) -> None:
    """I10: they are shown or refused; a model that is not here is left out."""
    info = PngInfo()
    info.add_text("parameters", text)
    data = base64.b64encode(encode(PLAIN, pnginfo=info)).decode()
    drawn = len(live.engine.drawn)
    for body in ({"image": data}, {"text": text}):
        answer = live.post("/api/v1/gallery/read", body)
        assert answer.status_code in (200, 422), answer.text
        if answer.ok:
            settings = answer.json()["settings"]
            assert settings.get("model") is None
            assert "../" not in str({k: v for k, v in settings.items() if k != "prompt"})
        shown = live.post("/sdapi/v1/png-info", {"image": data})
        assert shown.status_code in (200, 422)
        assert shown.headers["content-type"] == "application/json"
    assert len(live.engine.drawn) == drawn
