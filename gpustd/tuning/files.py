"""Tables of timed tiles on disk: where they lie, reading what may be hostile, writing whole.

A table is one JSON object: ``schema``, ``adapter``, ``driver``, ``engine``, ``date``, ``kernels``
(a hash of each variant's templates) and ``tiles``, from the key of a product to bm, bn, bk, wm, wn,
then teams where there are several, and loaders. Tiles of a variant whose templates changed since
are left out on reading. A user's table counts for the engine and driver that it was timed with, a
shipped one for all.
"""

from __future__ import annotations

import datetime as dt
import functools
import hashlib
import json
import os
import re
import tempfile
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import platformdirs

from gpucore import AdapterInfo
from gpustd.launch.template import SHADERS

__all__ = [
    "TUNING_VARIABLE",
    "TileSize",
    "kernel_hash",
    "load_tiles",
    "read_tiles",
    "shipped_file",
    "user_file",
    "write_tiles",
]

TileSize = tuple[int, ...]

TUNING_VARIABLE = "GPUCORE_TUNING"
"""Names the file to use and to write in the user's file's place; ``off`` uses none at all."""

_SHIPPED = Path(__file__).parent / "tables"
_SCHEMA = 1
_MOST_BYTES = 4 << 20
_MOST_EXTENT = 4096
_TILE_NUMBERS = (5, 6, 7)
_VARIANTS = {
    "matrix": (
        "matmul/gemm/matrix.wgsl",
        "matmul/gemm/matrix_tile.wgsl",
        "matmul/gemm/matrix_results.wgsl",
        "matmul/gemm/loaders.wgsl",
        "matmul/gemm/reduce.wgsl",
    ),
    "tiled": ("matmul/gemm/tiled.wgsl", "matmul/gemm/reduce.wgsl"),
}
_SHARED = (
    "matmul/gemm/operands.wgsl",
    "matmul/gemm/block.wgsl",
    "matmul/gemm/rows.wgsl",
    "matmul/conv/pixels.wgsl",
    "nn/activation/activations.wgsl",
)
_COMMENT = re.compile(r"//(?!%).*")

_told: set[Path] = set()


def load_tiles(info: AdapterInfo) -> dict[str, TileSize]:
    """Tiles for an adapter: the user's, then those shipped for its name, whatever the driver.

    A file that cannot be used is told of once, as a warning.
    """
    if os.environ.get(TUNING_VARIABLE) == "off":
        return {}
    tiles: dict[str, TileSize] = {}
    shipped = shipped_file(info)
    for path in filter(None, (shipped, user_file(info))):
        try:
            tiles |= read_tiles(path, info, shipped=path == shipped)
        except FileNotFoundError:
            continue
        except (OSError, ValueError, RecursionError) as error:
            if path not in _told:
                _told.add(path)
                warnings.warn(f"{path}: tuning table ignored: {error}", stacklevel=2)
    return tiles


def user_file(info: AdapterInfo) -> Path | None:
    """Where the user's tiles for this adapter, engine and driver lie; None if they have no place.

    The environment variable `TUNING_VARIABLE` names another place.
    """
    chosen = os.environ.get(TUNING_VARIABLE, "")
    if chosen:
        return None if chosen == "off" else Path(chosen)
    folder = platformdirs.user_cache_path("avila", appauthor=False)
    name = "-".join(map(_slug, (info.name, info.engine, info.driver)))
    # Of a user without a home it is relative.
    return folder / "tuning" / f"{name}.json" if folder.is_absolute() else None


def shipped_file(info: AdapterInfo) -> Path:
    """Where tiles for an adapter of this name lie in the package, if there are any."""
    return _SHIPPED / f"{_slug(info.name)}.json"


def read_tiles(path: Path, info: AdapterInfo, *, shipped: bool = False) -> dict[str, TileSize]:
    """Tiles in a file, for kernels as they are now.

    Raises OSError, or ValueError (RecursionError for JSON that is nested too deep) for a file that
    is no table, or one of another adapter, engine or driver (but for what is ``shipped``).
    """
    with path.open("rb") as file:
        data = file.read(_MOST_BYTES + 1)
    if len(data) > _MOST_BYTES:
        raise ValueError(f"over {_MOST_BYTES} bytes")
    table = _mapping(json.loads(data), "the file")
    if table.get("schema") != _SCHEMA:
        raise ValueError(f"schema is not {_SCHEMA}")
    if _slug(str(table.get("adapter"))) != _slug(info.name):
        raise ValueError(f"not for {info.name}")
    if not shipped and (table.get("engine"), table.get("driver")) != (info.engine, info.driver):
        raise ValueError(f"not for {info.engine} with the driver {info.driver or 'unknown'}")
    hashes = _mapping(table.get("kernels"), "kernels")
    valid = {variant for variant in _VARIANTS if hashes.get(variant) == kernel_hash(variant)}
    tiles = {key: _size(value) for key, value in _mapping(table.get("tiles"), "tiles").items()}
    return {key: size for key, size in tiles.items() if key.split(" ")[0] in valid}


def write_tiles(path: Path, info: AdapterInfo, tiles: Mapping[str, TileSize]) -> None:
    """Write a table; the file is replaced as a whole. Makes missing folders. Raises OSError."""
    table = {
        "schema": _SCHEMA,
        "adapter": info.name,
        "driver": info.driver,
        "engine": info.engine,
        "date": dt.datetime.now(dt.UTC).date().isoformat(),
        "kernels": {variant: kernel_hash(variant) for variant in _VARIANTS},
    }
    lines = [f"  {json.dumps(name)}: {json.dumps(value)}" for name, value in table.items()]
    rows = [f"    {json.dumps(key)}: {json.dumps(tiles[key])}" for key in sorted(tiles)]
    listed = "{\n" + ",\n".join(rows) + "\n  }" if rows else "{}"
    text = "{\n" + ",\n".join([*lines, f'  "tiles": {listed}']) + "\n}\n"
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(
        "w", encoding="utf-8", newline="\n", dir=path.parent, suffix=".tmp", delete=False
    ) as file:
        written = Path(file.name)
        try:
            file.write(text)
            file.close()
            written.chmod(0o644)
            written.replace(path)
        except BaseException:
            written.unlink(missing_ok=True)
            raise


@functools.cache
def kernel_hash(variant: str) -> str:
    """16 hexadecimal digits of the SHA-256 of a variant's templates, their comments left out."""
    digest = hashlib.sha256()
    for name in (*_VARIANTS[variant], *_SHARED):
        text = _COMMENT.sub("", (SHADERS / name).read_text(encoding="utf-8"))
        lines = [line.rstrip() for line in text.splitlines()]
        digest.update("\n".join([name, *filter(None, lines)]).encode())
    return digest.hexdigest()[:16]


def _mapping(value: object, name: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"{name} is not an object")
    return value


def _size(value: object) -> TileSize:
    whole = isinstance(value, list) and all(type(n) is int for n in value)
    if not isinstance(value, list) or not whole or len(value) not in _TILE_NUMBERS:
        raise ValueError("a tile is not a list of 5 to 7 whole numbers")
    if not all(0 < n <= _MOST_EXTENT for n in value):
        raise ValueError(f"a tile has an extent that is not from 1 to {_MOST_EXTENT}")
    return tuple(value)


def _slug(text: str) -> str:
    """Text as part of a file's name; a remark in brackets (LLVM's version, say) left out."""
    plain = re.sub(r"\(.*\)", "", text).lower()
    return re.sub(r"[^a-z0-9.]+", "-", plain).strip("-.")[:80] or "unknown"
