"""Files that are often found where a model file should be, told by their first bytes.

Only asked once a file has failed to be what it should be: a sound safetensors file may begin
with any eight bytes.
"""

import re
from typing import NamedTuple

PROBE_BYTES = 512
"""So many of a file's first bytes are looked at."""

AGAIN = "download the file again"
CONVERT = "convert it to safetensors: avila convert FILE -o NAME.safetensors"


class LookAlike(NamedTuple):
    """``reason``: what the file is; ``hint``: what to do about it."""

    reason: str
    hint: str


_PICKLE = LookAlike(
    "this is a Python pickle (an old PyTorch checkpoint); it can run code when it is loaded, "
    "so it was not opened",
    CONVERT,
)
_ZIP = LookAlike(
    "this is a zip archive (a PyTorch checkpoint holds pickles in one); it can run code when it "
    "is loaded, so it was not opened",
    CONVERT + "; a plain zip: unpack it first",
)
_PAGE = LookAlike(
    "this is a web page, so the download failed (a login or error page was saved)",
    AGAIN + ", signed in where the site asks for it",
)
_POINTER = LookAlike(
    "this is a git-LFS pointer, so the download failed: the model itself is not in it",
    "run `git lfs pull` where it was cloned, or " + AGAIN,
)

_SIGNS: tuple[tuple[re.Pattern[bytes], LookAlike], ...] = (
    (re.compile(rb"version https://git-lfs"), _POINTER),
    (re.compile(rb"\s*<(?:!doctype|html|head|\?xml|!--)", re.IGNORECASE), _PAGE),
    (re.compile(rb"\x80[\x02-\x05]"), _PICKLE),
    (re.compile(rb"c[a-z_][\w.]*\n[\w.]+\n|\([dl]p\d+\n|[\]}]q\x00"), _PICKLE),
    (re.compile(rb"PK(?:\x03\x04|\x05\x06)"), _ZIP),
    (re.compile(rb"\x1f\x8b"), LookAlike("this is a gzip archive", "unpack it first (`gunzip`)")),
    (
        re.compile(rb"GGUF"),
        LookAlike("this is a GGUF file, which is not read", "get the model as safetensors"),
    ),
    (
        re.compile(rb"\s*[{\[]"),
        LookAlike("this is a JSON text, not a model's weights", "name the .safetensors file"),
    ),
)


def look_alike(start: bytes) -> LookAlike | None:
    """What a file is that begins with ``start``, or ``None`` for a kind not known."""
    return next((kind for sign, kind in _SIGNS if sign.match(start)), None)
