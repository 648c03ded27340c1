"""Compiled kernels on disk, so that a process neither prints nor compiles them again.

A file has the name of a hash of all that the kernel is made from. It begins with a line of JSON,
which says how the kernel is launched; machine code follows. Nothing is deleted by itself.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple

from gpucore.backends.drivers.compiler import Compiler, Toolchain
from gpucore.caching import user_folder, write_whole

__all__ = ["Compiled", "cache_folder", "compile_text", "compile_wgsl"]

_WGSL: Final = Path(__file__).parents[2] / "wgsl"


class Compiled(NamedTuple):
    """Machine code, and the workgroup's size and bytes of memory that a launch must ask for."""

    code: bytes
    workgroup_size: tuple[int, int, int]
    launch_memory: int


def compile_text(toolchain: Toolchain, text: str) -> bytes:
    """Return the machine code of a text in C++. Raises `DriverError` with the compiler's words."""
    compiler, architecture, _ = toolchain
    file = _file(compiler, "text", text, compiler.identity, architecture)
    found = _load(file)
    if found is None:
        found = Compiled(compiler.compile(text, architecture), (0, 0, 0), 0)
        _store(file, found)
    return found.code


def compile_wgsl(
    toolchain: Toolchain,
    source: str,
    entry: str,
    constants: Mapping[str, float],
    *,
    checks: bool,
) -> Compiled:
    """Return the kernel of a WGSL entry point. Raises `WgslError`, `DriverError`."""
    values = repr(sorted(constants.items()))
    compiler, architecture, target = toolchain
    made_by = _printer_hash(), compiler.identity, architecture, repr(target)
    file = _file(compiler, "wgsl", source, entry, values, str(checks), *made_by)
    found = _load(file)
    if found is None:
        from gpucore.wgsl.c_family.module import print_kernel  # takes time to load

        printed = print_kernel(source, entry, constants, checks=checks, target=target)
        code = compiler.compile_kernel(printed, architecture)
        found = Compiled(code, printed.workgroup_size, printed.launch_memory)
        _store(file, found)
    return found


def cache_folder(compiler: Compiler) -> Path:
    """Return the folder of compiled kernels: ``GPUCORE_…_CACHE``, else the user's cache."""
    if given := os.environ.get(f"GPUCORE_{compiler.cache_name.upper()}_CACHE", ""):
        return Path(given)
    return user_folder(compiler.cache_name)


def _file(compiler: Compiler, *parts: str) -> Path:
    key = hashlib.sha256("\0".join(parts).encode()).hexdigest()
    return cache_folder(compiler) / f"{key}.kernel"


@functools.cache
def _printer_hash() -> str:
    """Return a hash of the code that prints WGSL."""
    found = hashlib.sha256()
    for file in sorted(_WGSL.rglob("*")):
        if file.suffix in (".py", ".cuh"):
            found.update(file.read_bytes())
    return found.hexdigest()


def _load(file: Path) -> Compiled | None:
    """Read a file of the cache; None where there is none, or no whole one."""
    try:
        head, _, code = file.read_bytes().partition(b"\n")
        x, y, z, memory, nbytes = json.loads(head)
    except (OSError, ValueError, TypeError):
        return None
    return Compiled(code, (x, y, z), memory) if len(code) == nbytes else None


def _store(file: Path, kernel: Compiled) -> None:
    head = json.dumps([*kernel.workgroup_size, kernel.launch_memory, len(kernel.code)])
    write_whole(file, head.encode() + b"\n" + kernel.code)
