"""Compiled kernels on disk: a second process reads what the first one compiled.

A file's name is a hash of the function's text, of what it depends on, of the variant, and of the
compiler. ``GPUCORE_KERNEL_CACHE`` names the folder; where it is empty, nothing is kept.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from gpucore.caching import user_folder, write_whole
from gpucore.compiler import CompiledKernel, Place
from gpucore.compiler.compiled import (
    ArrayBinding,
    Covered,
    Field,
    PrintPiece,
    PrintSite,
    Signature,
)

__all__ = [
    "CACHE_VARIABLE",
    "compiler_stamp",
    "load_choice",
    "load_kernel",
    "store_choice",
    "store_kernel",
]

CACHE_VARIABLE: Final = "GPUCORE_KERNEL_CACHE"
_PARTS: Final = ("compiler", "wgsl")


@functools.cache
def compiler_stamp() -> str:
    """Return a hash of the compiler's own files, as their sizes and times tell them."""
    digest = hashlib.sha256()
    folder = Path(__file__).parents[1]
    for file in sorted(each for part in _PARTS for each in (folder / part).rglob("*.py")):
        status = file.stat()
        digest.update(f"{file.name} {status.st_size} {status.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def _file(key: str) -> Path | None:
    given = os.environ.get(CACHE_VARIABLE)
    if given is not None:
        return Path(given) / f"{key}.json" if given else None
    return user_folder("kernels") / f"{key}.json"


def load_kernel(key: str) -> CompiledKernel | None:
    """Return a kernel that was kept; None where there is none, or its file is damaged."""
    file = _file(key)
    if file is None:
        return None
    try:
        return _kernel(json.loads(file.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError, KeyError):
        return None


def store_kernel(key: str, kernel: CompiledKernel) -> None:
    """Keep a kernel; a folder that cannot be written is left as it is."""
    file = _file(key)
    if file is None:
        return
    content = asdict(kernel)
    content["features"] = sorted(kernel.features)
    content["positions"] = [[offset, *place] for offset, place in kernel.positions.items()]
    write_whole(file, json.dumps(content).encode())


def load_choice(key: str) -> object:
    """Return the values that `store_choice` kept; None where there are none."""
    file = _file(f"tuned-{key}")
    try:
        return None if file is None else json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def store_choice(key: str, values: Mapping[str, float]) -> None:
    """Keep the best values of a kernel's known numbers, as `store_kernel` does."""
    file = _file(f"tuned-{key}")
    if file is not None:
        write_whole(file, json.dumps(dict(values)).encode())


def _kernel(content: dict[str, Any]) -> CompiledKernel:
    """Return a kernel of a file's content. Raises `TypeError`, `KeyError`, `ValueError`."""
    signature = content["signature"]
    result = signature["result"]
    x, y, z = map(int, content["workgroup"])
    return CompiledKernel(
        str(content["name"]),
        str(content["entry"]),
        str(content["wgsl"]),
        Signature(
            tuple(map(str, signature["parameters"])),
            _arrays(signature["arrays"]),
            None if result is None else ArrayBinding(**result),
        ),
        _arrays(content["arrays"]),
        tuple(Field(**each) for each in content["fields"]),
        (x, y, z),
        tuple(Covered(**each) for each in content["covered"]),
        int(content["axes"]),
        frozenset(map(str, content["features"])),
        tuple((int(axis), int(extent)) for axis, extent in content["least"]),
        tuple(
            PrintSite(tuple(PrintPiece(**piece) for piece in site["pieces"]))
            for site in content["prints"]
        ),
        {
            int(offset): Place(str(file), int(line), int(column), str(text))
            for offset, file, line, column, text in content["positions"]
        },
        bool(content["fits_several"]),
    )


def _arrays(content: list[dict[str, Any]]) -> tuple[ArrayBinding, ...]:
    return tuple(ArrayBinding(**each) for each in content)
