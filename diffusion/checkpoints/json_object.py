"""Reading a small JSON file that nobody vouches for."""

import json
from pathlib import Path
from typing import Final

from diffusion.checkpoints.file_kinds import AGAIN, PROBE_BYTES, look_alike
from diffusion.errors import ModelFormatError, ModelNotFoundError, quoted

CONFIG_LIMIT: Final = 2**20
INDEX_LIMIT: Final = 8 * 2**20
MAX_DEPTH: Final = 16


def read_json_object(path: Path, *, limit: int = CONFIG_LIMIT) -> dict[str, object]:
    """The object that a JSON file holds.

    Refused with ``ModelFormatError``: more than ``limit`` bytes, bad UTF-8, a byte order mark,
    bad JSON, a key twice in an object, nesting deeper than ``MAX_DEPTH``, a top level that is no
    object. ``Infinity`` and ``NaN`` pass, since the tools of this layout write them into
    schedulers' configs; whoever reads a number checks that it is finite.
    """
    return parse_json_object(_read(path, limit), path)


def parse_json_object(text: bytes, path: Path) -> dict[str, object]:
    """The object that a JSON text out of a file holds; refused as ``read_json_object`` does."""
    try:
        tree = json.loads(text.decode("utf-8"), object_pairs_hook=_unique)
    except UnicodeDecodeError as error:
        raise _refused(path, "is not UTF-8 text", text) from error
    except RecursionError as error:
        raise _refused(path, f"is nested deeper than {MAX_DEPTH} levels", text) from error
    except ValueError as error:
        raise _refused(path, f"is not valid JSON: {error}", text) from error
    if not isinstance(tree, dict):
        raise _refused(path, "is not a JSON object", b"")
    if _deeper_than(tree, MAX_DEPTH):
        raise _refused(path, f"is nested deeper than {MAX_DEPTH} levels", b"")
    return tree


def _read(path: Path, limit: int) -> bytes:
    """The file's bytes, at most ``limit``."""
    try:
        if not path.exists():
            raise ModelNotFoundError(path, "there is no such file", AGAIN)
        if not path.is_file():
            raise _refused(path, "is no plain file", b"")
        with path.open("rb") as file:
            text = file.read(limit + 1)
    except OSError as error:
        raise _refused(path, f"cannot be read: {error.strerror}", b"") from error
    if len(text) > limit:
        raise _refused(path, f"is larger than {limit} bytes", text)
    return text


def _refused(path: Path, reason: str, text: bytes) -> ModelFormatError:
    """The error for a file as a whole; says what it is if its first bytes tell."""
    kind = None if text.lstrip()[:1] in (b"{", b"[") else look_alike(text[:PROBE_BYTES])
    return ModelFormatError(path, "file", *(kind or (reason, AGAIN)))


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """A dict of the pairs; a key that comes twice is an error, never a choice."""
    found: dict[str, object] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"the key {quoted(key)} stands twice in one object")
        found[key] = value
    return found


def _deeper_than(tree: object, levels: int) -> bool:
    """Whether arrays and objects nest in more than ``levels`` levels."""
    layer = [tree]
    for _ in range(levels + 1):
        layer = [item for node in layer for item in _children(node)]
        if not layer:
            return False
    return True


def _children(node: object) -> list[object]:
    if isinstance(node, dict):
        return list(node.values())
    return node if isinstance(node, list) else []
