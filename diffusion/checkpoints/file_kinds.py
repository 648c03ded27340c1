"""Kinds of files that are often found in place of a model file, recognised by their first bytes.

A file's kind is looked up only after the file could not be read as it should: a valid safetensors
file may begin with any eight bytes.
"""

import re
from typing import NamedTuple

PROBE_BYTES = 512
"""How many of a file's first bytes are looked at."""

DOWNLOAD_AGAIN = "download the file again"
CONVERT = "convert it to safetensors: avila convert FILE -o NAME.safetensors"


class FileKind(NamedTuple):
    """A kind of file: ``reason`` says what it is, ``hint`` what to do about it."""

    reason: str
    hint: str


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

_SIGNS: tuple[tuple[re.Pattern[bytes], FileKind], ...] = (
    (re.compile(rb"version https://git-lfs"), _POINTER),
    (re.compile(rb"\s*<(?:!doctype|html|head|\?xml|!--)", re.IGNORECASE), _PAGE),
    (re.compile(rb"\x80[\x02-\x05]"), _PICKLE),
    (re.compile(rb"c[a-z_][\w.]*\n[\w.]+\n|\([dl]p\d+\n|[\]}]q\x00"), _PICKLE),
    (re.compile(rb"PK(?:\x03\x04|\x05\x06)"), _ZIP),
    (re.compile(rb"\x1f\x8b"), FileKind("this is a gzip archive", "unpack it first (`gunzip`)")),
    (
        re.compile(rb"GGUF"),
        FileKind("this is a GGUF file, which is not supported", "get the model as safetensors"),
    ),
    (
        re.compile(rb"\s*[{\[]"),
        FileKind("this is a JSON text, not a model's weights", "name the .safetensors file"),
    ),
)


def recognise_file(start: bytes) -> FileKind | None:
    """Return the kind of a file that begins with ``start``, or ``None`` if it is not known."""
    return next((kind for sign, kind in _SIGNS if sign.match(start)), None)
