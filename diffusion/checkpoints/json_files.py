"""Reading small JSON files that may be damaged or hostile."""

import json
from pathlib import Path
from typing import Final

from diffusion.checkpoints.file_kinds import DOWNLOAD_AGAIN, PROBE_BYTES, recognise_file
from diffusion.errors import ModelFormatError, ModelNotFoundError, quote

CONFIG_LIMIT: Final = 2**20
INDEX_LIMIT: Final = 8 * 2**20
MAX_DEPTH: Final = 16


def read_json_object(path: Path, *, limit: int = CONFIG_LIMIT) -> dict[str, object]:
    """Read the object that a JSON file holds.

    Raises ``ModelFormatError`` for more than ``limit`` bytes, bad UTF-8, a byte order mark or bad
    JSON. Also refused are a key twice in an object, nesting deeper than ``MAX_DEPTH``, and a top
    level that is no object. ``Infinity`` and ``NaN`` pass, since the tools of this layout write
    them into schedulers' configs; whoever reads a number checks that it is finite.
    """
    return parse_json_object(read_bounded(path, limit), path)


def parse_json_object(text: bytes, path: Path) -> dict[str, object]:
    """Read the object in a JSON text that came out of a file. Raises as ``read_json_object``."""
    try:
        tree = json.loads(text.decode("utf-8"), object_pairs_hook=_check_unique)
    except UnicodeDecodeError as error:
        raise _format_error(path, "must be UTF-8 text", text) from error
    except RecursionError as error:
        raise _format_error(path, f"must nest at most {MAX_DEPTH} levels deep", text) from error
    except ValueError as error:
        raise _format_error(path, f"must be valid JSON: {error}", text) from error
    if not isinstance(tree, dict):
        raise _format_error(path, "must be a JSON object", b"")
    if _deeper_than(tree, MAX_DEPTH):
        raise _format_error(path, f"must nest at most {MAX_DEPTH} levels deep", b"")
    return tree


def read_bounded(path: Path, limit: int) -> bytes:
    """Return a plain file's bytes. Raises ``ModelFormatError`` for more than ``limit``."""
    try:
        if not path.exists():
            raise ModelNotFoundError(path, "there is no such file", DOWNLOAD_AGAIN)
        if not path.is_file():
            raise _format_error(path, "must be a plain file", b"")
        with path.open("rb") as file:
            text = file.read(limit + 1)
    except OSError as error:
        raise _format_error(path, f"cannot be read: {error.strerror}", b"") from error
    if len(text) > limit:
        raise _format_error(path, f"must be at most {limit} bytes, got more", text)
    return text


def _format_error(path: Path, reason: str, text: bytes) -> ModelFormatError:
    """Return the error for a file, which says its kind if its first bytes tell it."""
    kind = None if text.lstrip()[:1] in (b"{", b"[") else recognise_file(text[:PROBE_BYTES])
    return ModelFormatError(path, "file", *(kind or (reason, DOWNLOAD_AGAIN)))


def _check_unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """Return the pairs as a dict. Raises ``ValueError`` for a key that comes twice."""
    found: dict[str, object] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"the key {quote(key)} must be unique, got it twice in one object")
        found[key] = value
    return found


def _deeper_than(tree: object, levels: int) -> bool:
    """Tell whether arrays and objects nest in more than ``levels`` levels."""
    layer = [tree]
    for _ in range(levels + 1):
        layer = [item for node in layer for item in _children(node)]
        if not layer:
            return False
    return True


def _children(node: object) -> list[object]:
    """Return the values of an object or an array; nothing for other values."""
    if isinstance(node, dict):
        return list(node.values())
    return node if isinstance(node, list) else []
