"""Infotext: written and read back, from other tools, in picture files, and hostile texts."""

import contextlib
import io
import random
import struct
import time
import zlib
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from PIL import Image

from diffusion.errors import SettingsError
from diffusion.infotext.files import png_info, read_infotext
from diffusion.infotext.grammar import (
    LARGEST_TEXT,
    Infotext,
    parse_infotext,
    write_infotext,
)

SETTINGS: dict[str, str | int | float] = {
    "Version": "0.1.0",
    "Size": "512x768",
    "Seed": 2**64 - 1,
    "Sampler": "DPM++ 2M",
    "Schedule type": "Karras",
    "CFG scale": 7.0,
    "Steps": 20,
    "RNG": "NV",
    "Model": "emoji",
    "Model hash": "0123456789",
}
LINE = (
    "Steps: 20, Sampler: DPM++ 2M, Schedule type: Karras, CFG scale: 7, "
    "Seed: 18446744073709551615, Size: 512x768, Model hash: 0123456789, Model: emoji, RNG: NV, "
    "Version: 0.1.0"
)


def test_the_three_parts() -> None:
    text = write_infotext("a red apple,\non a table", "blurry\nugly", SETTINGS)
    assert text == f"a red apple,\non a table\nNegative prompt: blurry\nugly\n{LINE}"


@pytest.mark.parametrize(
    ("prompt", "negative", "text"),
    [
        ("a", "", f"a\n{LINE}"),
        ("", "b", f"Negative prompt: b\n{LINE}"),
        ("", "", LINE),
    ],
)
def test_empty_parts_leave_no_line(prompt: str, negative: str, text: str) -> None:
    assert write_infotext(prompt, negative, SETTINGS) == text
    info = parse_infotext(text)
    assert (info.prompt, info.negative, len(info.settings)) == (prompt, negative, 10)


def test_values_are_quoted_where_they_must_be() -> None:
    values = {
        "A1": "a, b",
        "B1": "a: b",
        "C1": "a\nb",
        "D1": '"a',
        "E1": " a",
        "F1": 'a"b',
        "G1": "é",
    }
    text = write_infotext("", "", values)
    assert text == ('A1: "a, b", B1: "a: b", C1: "a\\nb", D1: "\\"a", E1: " a", F1: a"b, G1: é')
    assert parse_infotext(text).settings == values


@pytest.mark.parametrize(
    ("value", "text"), [(7.0, "7"), (7.5, "7.5"), (0.1, "0.1"), (1e22, "1e+22"), (-2, "-2")]
)
def test_numbers(value: float, text: str) -> None:
    assert write_infotext("", "", {"A1": value, "B1": 1, "C1": 2}).startswith(f"A1: {text}, ")


plain = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r"), max_size=40)
names = st.from_regex(r"\A[A-Za-z][A-Za-z0-9 /-]{0,10}[A-Za-z0-9]\Z")


@given(plain, plain, st.dictionaries(names, plain, min_size=3, max_size=8))
def test_round_trip(prompt: str, negative: str, settings: dict[str, str]) -> None:
    assume(not any(line.startswith("Negative prompt:") for line in prompt.split("\n")))
    info = parse_infotext(write_infotext(prompt, negative, settings))
    assert info.prompt == prompt
    assert info.negative == negative
    assert info.settings == settings


def test_line_ends_are_normalised() -> None:
    info = parse_infotext(write_infotext("a\r\nb\rc\0d", "", SETTINGS))
    assert info.prompt == "a\nb\ncd"


def test_as_another_tool_writes_it() -> None:
    """A text in the form of A1111 1.10, with its extras, written by hand."""
    text = (
        "(masterpiece:1.2), cat <lora:thing:0.7>,\nwith a hat\n"
        "Negative prompt: bad, worse\nworst\n"
        "Steps: 25, Sampler: Euler a, Schedule type: Automatic, CFG scale: 7.5, Seed: 1234567890, "
        'Size: 640x512, Model hash: 6ce0161689, Model: v1-5, Lora hashes: "thing: 0123456789ab, '
        'other: ba9876543210", Hires prompt: "a \\"b\\"\\nc", Version: v1.10.1'
    )
    info = parse_infotext(text)
    assert info.prompt == "(masterpiece:1.2), cat <lora:thing:0.7>,\nwith a hat"
    assert info.negative == "bad, worse\nworst"
    assert info.settings["Lora hashes"] == "thing: 0123456789ab, other: ba9876543210"
    assert info.settings["Hires prompt"] == 'a "b"\nc'
    assert info.settings["Version"] == "v1.10.1"
    assert info.size == (640, 512)
    assert len(info.settings) == 11


@pytest.mark.parametrize(
    "text", ["", "a cat", "a cat\nthe time: 10:30", "one: 1, two: 2", "Negative prompts: a"]
)
def test_without_settings_all_is_prompt(text: str) -> None:
    assert parse_infotext(text) == Infotext(text, "", {})


@pytest.mark.parametrize(
    ("line", "settings"),
    [
        # An unclosed quote is text like any other.
        ('Aa: "x, Bb: 2, Cc: 3', {"Aa": '"x', "Bb": "2", "Cc": "3"}),
        ("Aa: , Bb:2,Cc :3,", {"Aa": "", "Bb": "2", "Cc": "3"}),
        ("junk, Aa: 1, ???: 2, Bb: 2, Cc: 3", {"Aa": "1", "Bb": "2", "Cc": "3"}),
        ('Aa: "1" junk, Bb: 2, Cc: 3', {"Aa": "1", "Bb": "2", "Cc": "3"}),
    ],
)
def test_careless_lines(line: str, settings: dict[str, str]) -> None:
    assert parse_infotext(f"a cat\n{line}") == Infotext("a cat", "", settings)


@given(st.text(max_size=200))
def test_any_text_is_read(text: str) -> None:
    parse_infotext(text)


@given(st.text('ab1:,"\\ \n', max_size=300))
def test_any_punctuation_is_read(text: str) -> None:
    parse_infotext(text)


@pytest.mark.parametrize("piece", ["aa:", 'aa:"', '"', ",", "\\", "aa: 1, ", 'aa: "1", ', ' "'])
def test_long_lines_take_linear_time(piece: str) -> None:
    """A line of a million characters would never end in quadratic time."""
    parse_infotext(piece * (LARGEST_TEXT // len(piece)))


def test_a_distant_colon_is_searched_once() -> None:
    line = "," * (LARGEST_TEXT - 1) + ":"
    start = time.process_time()
    assert parse_infotext(line).prompt == line
    assert time.process_time() - start < 8


def test_longer_text_is_refused() -> None:
    with pytest.raises(SettingsError, match="infotext"):
        parse_infotext("a" * (LARGEST_TEXT + 1))


@pytest.mark.parametrize("size", ["", "512", "axb", "512x", "512x512x3", "1234567x1", "-1x5"])
def test_malformed_sizes(size: str) -> None:
    assert parse_infotext(f"Aa: 1, Bb: 2, Size: {size}").size is None


@pytest.mark.parametrize("name", ["", "a:b", "a,b", "a\nb", " a", "ab ", "a", '"ab"'])
def test_keys_that_cannot_be_read_back(name: str) -> None:
    with pytest.raises(SettingsError, match="settings"):
        write_infotext("", "", {name: 1, "B1": 2, "C1": 3})


def test_too_few_settings() -> None:
    with pytest.raises(SettingsError, match="three or more"):
        write_infotext("a", "b", {"Steps": 1, "Seed": 2})


@pytest.mark.parametrize(
    ("text", "kind"),
    [("a café\nSteps: 1", b"tEXt"), ("ein Apfel 🍎 と", b"iTXt"), ("a", b"tEXt")],
)
def test_png(tmp_path: Path, text: str, kind: bytes) -> None:
    path = tmp_path / "a.png"
    Image.new("RGB", (3, 2)).save(path, pnginfo=png_info(text))
    assert kind + b"parameters\0" in path.read_bytes()
    assert read_infotext(path) == text
    assert read_infotext(str(path)) == text


def test_lone_surrogates_do_not_stop_a_picture(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.new("RGB", (3, 2)).save(path, pnginfo=png_info("a\udcffb"))
    assert read_infotext(path) == "a?b"


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_a_picture_without_text(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "picture"
    Image.new("RGB", (8, 8)).save(path, kind)
    assert read_infotext(path) is None


def with_comment(kind: str, comment: bytes) -> bytes:
    """Return a picture with this EXIF UserComment."""
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0x9286] = comment
    file = io.BytesIO()
    Image.new("RGB", (8, 8)).save(file, kind, exif=exif.tobytes())
    return file.getvalue()


@pytest.mark.parametrize("kind", ["JPEG", "WEBP"])
@pytest.mark.parametrize(
    ("code", "encoding"),
    [
        (b"UNICODE\0", "utf-16-be"),
        (b"UNICODE\0", "utf-16-le"),
        (b"ASCII\0\0\0", "utf-8"),
        (b"\0" * 8, "utf-8"),
    ],
)
def test_user_comments(tmp_path: Path, kind: str, code: bytes, encoding: str) -> None:
    text = write_infotext("リンゴ 🍎", "", SETTINGS)
    path = tmp_path / "picture"
    path.write_bytes(with_comment(kind, code + text.encode(encoding)))
    assert read_infotext(path) == text


def chunk(kind: bytes, body: bytes) -> bytes:
    checksum = struct.pack(">I", zlib.crc32(kind + body))
    return struct.pack(">I", len(body)) + kind + body + checksum


def png(*chunks: bytes, size: tuple[int, int] = (1, 1)) -> bytes:
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", *size, 8, 2, 0, 0, 0))
    pixels = chunk(b"IDAT", zlib.compress(b"\0" * 4))
    return b"\x89PNG\r\n\x1a\n" + head + b"".join(chunks) + pixels + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"GIF89a" + b"\0" * 100, id="gif"),
        pytest.param(b"\x89PNG\r\n\x1a\n", id="cut"),
        pytest.param(b"<svg/>", id="svg"),
        pytest.param(
            png(chunk(b"zTXt", b"parameters\0\0" + zlib.compress(b"a" * (64 << 20)))), id="zip bomb"
        ),
        pytest.param(
            png(chunk(b"iTXt", b"parameters\0\1\0\0\0" + zlib.compress(b"a" * (64 << 20)))),
            id="zip bomb in iTXt",
        ),
        pytest.param(png(size=(2**31 - 1, 2**31 - 1)), id="pixel bomb"),
    ],
)
def test_files_that_are_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "picture.png"
    path.write_bytes(content)
    with pytest.raises(SettingsError) as caught:
        read_infotext(path)
    assert caught.value.field == "image"


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="image cannot be"):
        read_infotext(tmp_path / "none.png")
    with pytest.raises(SettingsError, match="image cannot be"):
        read_infotext(tmp_path)


def test_a_file_too_large_is_not_opened(tmp_path: Path) -> None:
    path = tmp_path / "large.png"
    with path.open("wb") as file:
        file.truncate((256 << 20) + 1)
    with pytest.raises(SettingsError, match="bytes"):
        read_infotext(path)


def test_large_pictures_have_text_too(tmp_path: Path) -> None:
    """Pixels are not decoded: a size that Pillow warns of is no error."""
    path = tmp_path / "picture.png"
    path.write_bytes(png(chunk(b"tEXt", b"parameters\0a"), size=(12000, 12000)))
    assert read_infotext(path) == "a"
    path.write_bytes(png(size=(20000, 20000)))
    with pytest.raises(SettingsError, match="too many pixels"):
        read_infotext(path)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_damaged_files_give_text_or_one_error(tmp_path: Path, kind: str) -> None:
    """300 files, each with a few bytes changed or its end cut off."""
    comment = b"UNICODE\0" + LINE.encode("utf-16-be")
    good = png(chunk(b"tEXt", b"parameters\0" + LINE.encode())) if kind == "PNG" else b""
    good = good or with_comment(kind, comment)
    rng = random.Random(3)
    path = tmp_path / "picture"
    for _ in range(300):
        bad = bytearray(good[: rng.choice([len(good), rng.randrange(len(good))])])
        for _ in range(rng.randrange(1, 6) if bad else 0):
            bad[rng.randrange(len(bad))] = rng.randrange(256)
        path.write_bytes(bad)
        try:
            text = read_infotext(path)
        except SettingsError:
            continue
        assert text is None or isinstance(text, str)


@pytest.mark.parametrize("kind", range(1, 20))
@pytest.mark.parametrize("value", [2**63, 2**64 - 1, 0, 26])
def test_an_exif_pointer_of_any_type(kind: int, value: int, tmp_path: Path) -> None:
    """TIFF knows more types than EXIF may use for its pointer; LONG8 holds numbers past 2**63."""
    entry = struct.pack("<HHII", 0x8769, kind, 1, 26)
    exif = b"Exif\0\0II*\0" + struct.pack("<IH", 8, 1) + entry + bytes(4) + struct.pack("<Q", value)
    picture = tmp_path / "a.jpg"
    Image.new("RGB", (8, 8)).save(picture, exif=exif)
    with contextlib.suppress(SettingsError):  # an answer for a damaged file
        assert read_infotext(picture) is None
