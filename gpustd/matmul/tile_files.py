"""Files of timed tiles: their places, reading them with suspicion, and replacing them whole.

A table is one JSON object: ``schema``, ``adapter``, ``driver``, ``engine``, ``date``, ``kernels``
(a hash of each variant's templates) and ``tiles``. The latter maps the key of a matrix product to
bm, bn, bk, wm, wn, then teams where there are several, and loaders. Reading leaves out the tiles of
a variant whose templates have changed since. A user's table counts for the engine and driver that
it was timed with, a shipped one for all.
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
"""Environment variable: a file to use in place of the user's table, or ``off`` for no tables."""

_SHIPPED = Path(__file__).parent / "tile_tables"
_SCHEMA = 1
_MOST_BYTES = 4 << 20
_MOST_EXTENT = 4096
_TILE_LENGTHS = (5, 6, 7)
_VARIANTS = {
    "matrix": (
        "matmul/gemm/matrix.wgsl",
        "matmul/gemm/matrix_tile.wgsl",
        "matmul/gemm/matrix_results.wgsl",
        "matmul/gemm/matrix_update.wgsl",
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

_reported: set[Path] = set()


def load_tiles(info: AdapterInfo) -> dict[str, TileSize]:
    """Return the tiles for an adapter: those shipped for its name, replaced by the user's.

    A file that cannot be used is ignored with one warning.
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
            if path not in _reported:
                _reported.add(path)
                warnings.warn(f"{path}: tuning table ignored: {error}", stacklevel=2)
    return tiles


def user_file(info: AdapterInfo) -> Path | None:
    """Return the path of the user's tiles for an adapter, engine and driver, or None.

    The environment variable `TUNING_VARIABLE` names another path, or none.
    """
    path = os.environ.get(TUNING_VARIABLE, "")
    if path:
        return None if path == "off" else Path(path)
    folder = platformdirs.user_cache_path("avila", appauthor=False)
    name = "-".join(map(_slug, (info.name, info.engine, info.driver)))
    # It is relative for a user without a home.
    return folder / "tuning" / f"{name}.json" if folder.is_absolute() else None


def shipped_file(info: AdapterInfo) -> Path:
    """Return the path of the tiles shipped for an adapter of this name; it may not exist."""
    return _SHIPPED / f"{_slug(info.name)}.json"


def read_tiles(path: Path, info: AdapterInfo, *, shipped: bool = False) -> dict[str, TileSize]:
    """Return the tiles in a file for today's kernels.

    Raises OSError, or ValueError (RecursionError for JSON that is nested too deep) for a file that
    is no table of this adapter. Engine and driver must match too, unless the file is ``shipped``.
    """
    with path.open("rb") as file:
        data = file.read(_MOST_BYTES + 1)
    if len(data) > _MOST_BYTES:
        raise ValueError(f"a table must have at most {_MOST_BYTES} bytes")
    table = _mapping(json.loads(data), "the file")
    if table.get("schema") != _SCHEMA:
        raise ValueError(f"schema must be {_SCHEMA}")
    if _slug(str(table.get("adapter"))) != _slug(info.name):
        raise ValueError(f"adapter must be {info.name}")
    if not shipped and (table.get("engine"), table.get("driver")) != (info.engine, info.driver):
        raise ValueError(f"engine and driver must be {info.engine} and {info.driver or 'unknown'}")
    hashes = _mapping(table.get("kernels"), "kernels")
    valid = {variant for variant in _VARIANTS if hashes.get(variant) == kernel_hash(variant)}
    tiles = {key: _tile_size(value) for key, value in _mapping(table.get("tiles"), "tiles").items()}
    return {key: size for key, size in tiles.items() if key.split(" ")[0] in valid}


def write_tiles(path: Path, info: AdapterInfo, tiles: Mapping[str, TileSize]) -> None:
    """Write a table. Replace the file as a whole and make missing folders. Raises OSError."""
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
        part = Path(file.name)
        try:
            file.write(text)
            file.close()
            part.chmod(0o644)
            part.replace(path)
        except BaseException:
            part.unlink(missing_ok=True)
            raise


@functools.cache
def kernel_hash(variant: str) -> str:
    """Return 16 hexadecimal digits of the SHA-256 of a variant's templates without comments."""
    digest = hashlib.sha256()
    for name in (*_VARIANTS[variant], *_SHARED):
        text = _COMMENT.sub("", (SHADERS / name).read_text(encoding="utf-8"))
        lines = [line.rstrip() for line in text.splitlines()]
        digest.update("\n".join([name, *filter(None, lines)]).encode())
    return digest.hexdigest()[:16]


def _mapping(value: object, name: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"{name} must be an object, got {type(value).__name__}")
    return value


def _tile_size(value: object) -> TileSize:
    if (
        not isinstance(value, list)
        or len(value) not in _TILE_LENGTHS
        or any(type(n) is not int for n in value)
    ):
        raise ValueError("a tile must be a list of 5 to 7 whole numbers")
    if not all(0 < n <= _MOST_EXTENT for n in value):
        raise ValueError(f"extents of a tile must be from 1 to {_MOST_EXTENT}")
    return tuple(value)


def _slug(text: str) -> str:
    """Return text as part of a file's name, without remarks in brackets such as a version."""
    plain = re.sub(r"\(.*\)", "", text).lower()
    return re.sub(r"[^a-z0-9.]+", "-", plain).strip("-.")[:80] or "unknown"
