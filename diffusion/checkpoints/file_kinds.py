"""Kinds of files that are often found in place of a model file, recognised by their first bytes.

A file's kind is looked up only after the file could not be read as it should: a valid safetensors
file may begin with any eight bytes.
"""

import re
from pathlib import Path
from typing import NamedTuple

PROBE_BYTES = 512
"""How many of a file's first bytes are looked at."""

DOWNLOAD_AGAIN = "download the file again"
CONVERT = "convert it to safetensors: avila convert FILE -o NAME.safetensors"


class FileKind(NamedTuple):
    """A kind of file: ``reason`` says what it is, ``hint`` what to do about it."""

    reason: str
    hint: str


SAFETENSORS = FileKind("this is a safetensors file", "give it a name that ends in .safetensors")
GGUF = FileKind("this is a GGUF file", "give it a name that ends in .gguf")
_PICKLE = FileKind(
    "this is a Python pickle (an old PyTorch checkpoint); it can run code when it is loaded, "
    "so it was not opened",
    CONVERT,
)
_ZIP = FileKind(
    "this is a zip archive (a PyTorch checkpoint holds pickles in one); it can run code when it "
    "is loaded, so it was not opened",
    CONVERT + "; a plain zip: unpack it first",
)
_PAGE = FileKind(
    "this is a web page, so the download failed (a login or error page was saved)",
    DOWNLOAD_AGAIN + ", signed in where the site asks for it",
)
_POINTER = FileKind(
    "this is a git-LFS pointer, so the download failed: the model itself is not in it",
    "run `git lfs pull` where it was cloned, or " + DOWNLOAD_AGAIN,
)

_ARCHIVE = "unpack it first, and name the model in it"
_NAME_MODEL = "name a model: a folder or a .safetensors file"
_AS_SAFETENSORS = "get the model as safetensors"


def _picture(name: str) -> FileKind:
    hint = f"{_NAME_MODEL}; `avila info` shows a picture's settings"
    return FileKind(f"this is a picture ({name}), not a model", hint)


def _archive(name: str) -> FileKind:
    return FileKind(f"this is a {name} archive", _ARCHIVE)


def _foreign(name: str) -> FileKind:
    return FileKind(f"this is {name}, which is not supported", _AS_SAFETENSORS)


def _no_model(name: str) -> FileKind:
    return FileKind(f"this is {name}, not a model", _NAME_MODEL)


_SIGNS: tuple[tuple[re.Pattern[bytes], FileKind], ...] = (
    (re.compile(rb"version https://git-lfs"), _POINTER),
    (re.compile(rb"\s*<(?:!doctype|html|head|\?xml|!--)", re.IGNORECASE), _PAGE),
    (re.compile(rb"\x80[\x02-\x05]"), _PICKLE),
    (re.compile(rb"c[a-z_][\w.]*\n[\w.]+\n|\([dl]p\d+\n|[\]}]q\x00"), _PICKLE),
    (re.compile(rb"PK(?:\x03\x04|\x05\x06)"), _ZIP),
    (re.compile(rb"\x1f\x8b"), FileKind("this is a gzip archive", "unpack it first (`gunzip`)")),
    (re.compile(rb"\x89PNG\r\n"), _picture("PNG")),
    (re.compile(rb"\xff\xd8\xff"), _picture("JPEG")),
    (re.compile(rb"RIFF....WEBP", re.DOTALL), _picture("WebP")),
    (re.compile(rb"GIF8[79]a"), _picture("GIF")),
    (re.compile(rb"II\*\0|MM\0\*"), _picture("TIFF")),
    (re.compile(rb"....ftypavi[fs]", re.DOTALL), _picture("AVIF")),
    (re.compile(rb"....ftyp(?:hei|mif)", re.DOTALL), _picture("HEIC")),
    (re.compile(rb"....ftyp", re.DOTALL), _no_model("a video")),
    (re.compile(rb"7z\xbc\xaf\x27\x1c"), _archive("7z")),
    (re.compile(rb"Rar!\x1a\x07"), _archive("RAR")),
    (re.compile(rb"\xfd7zXZ\0"), _archive("xz")),
    (re.compile(rb"\x28\xb5\x2f\xfd"), _archive("Zstandard")),
    (re.compile(rb"BZh[1-9]1AY"), _archive("bzip2")),
    (re.compile(rb".{257}ustar", re.DOTALL), _archive("tar")),
    (re.compile(rb"GGUF"), GGUF),
    (re.compile(rb"(?:lmgg|fmgg|tjgg|algg)"), _foreign("an old file of ggml")),
    (re.compile(rb"\x08[\x01-\x20](?:\x12[\x01-\x40][\w. -]{2}|:)"), _foreign("an ONNX model")),
    (re.compile(rb"....TFL3", re.DOTALL), _foreign("a TensorFlow Lite model")),
    (re.compile(rb"\x89HDF\r\n"), _foreign("an HDF5 file (as of Keras)")),
    (re.compile(rb"\x93NUMPY"), _foreign("an array of NumPy")),
    (re.compile(rb"%PDF-"), _no_model("a PDF document")),
    (re.compile(rb"\x7fELF|MZ.{58}", re.DOTALL), _no_model("a program")),
    (re.compile(rb"SQLite format 3\0"), _no_model("a database")),
    (re.compile(rb".{3,7}\0\{\"", re.DOTALL), SAFETENSORS),
    (
        re.compile(rb"\s*[{\[]"),
        FileKind("this is a JSON text, not a model's weights", "name the .safetensors file"),
    ),
)


def recognise_file(start: bytes) -> FileKind | None:
    """Return the kind of a file that begins with ``start``, or ``None`` if it is not known."""
    return next((kind for sign, kind in _SIGNS if sign.match(start)), None)


def kind_of_file(path: Path) -> FileKind | None:
    """Return the kind of the file at ``path``; None where it is not known or cannot be read."""
    try:
        with path.open("rb") as file:
            return recognise_file(file.read(PROBE_BYTES))
    except OSError:
        return None
