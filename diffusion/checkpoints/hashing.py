"""Hashes of weights, by which other programs know a model."""

from __future__ import annotations

import hashlib
from pathlib import Path

from diffusion.checkpoints.file_errors import reading
from diffusion.checkpoints.json_files import INDEX_LIMIT, read_json_object

__all__ = ["short_weights_hash", "weights_hash"]


def short_weights_hash(path: Path) -> str:
    """Return ten hexadecimal digits of a file's SHA-256; for an index, of all files it names."""
    return weights_hash(path)[:10]


def weights_hash(path: Path) -> str:
    """Return a file's SHA-256 as hexadecimal digits; for an index, that of all files it names."""
    digest = hashlib.sha256()
    files = [path]
    if path.suffix == ".json":
        places = read_json_object(path, limit=INDEX_LIMIT)["weight_map"]
        assert isinstance(places, dict)
        files = [path.parent / name for name in sorted(set(map(str, places.values())))]
    for each in files:
        with reading(each), each.open("rb") as file:
            hashlib.file_digest(file, lambda: digest)
    return digest.hexdigest()
