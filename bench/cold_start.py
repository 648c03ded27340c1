"""Time from the start of a process to the end of its first step, which `bench.first_step` makes."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

__all__ = ["ColdStart", "cold_starts", "empty_caches"]

# Folders where NVIDIA's driver, Mesa and programs that follow XDG cache compiled kernels, and
# Python its modules.
_CACHES = (
    "__GL_SHADER_DISK_CACHE_PATH",
    "MESA_SHADER_CACHE_DIR",
    "XDG_CACHE_HOME",
    "PYTHONPYCACHEPREFIX",
)
# What is installed has its modules compiled, whatever this variable says.
_NO_MODULES = "PYTHONDONTWRITEBYTECODE"

_ROUNDS = 3


class ColdStart(NamedTuple):
    """Seconds to the first step of a fresh process, without loading, and seconds of loading."""

    first_step: float
    load: float


def cold_starts(folder: Path, device: str, size: int) -> dict[bool, ColdStart]:
    """Measure the start of fresh processes, without cached pipelines and with them.

    Return medians of three, by whether pipelines were cached. In each round a first process has
    empty caches, also those of the driver, and a second one uses what the first has cached. The
    time of loading is subtracted. Raises `RuntimeError` with the error output of a process.
    """
    arguments = [str(folder), "--device", device, "--size", str(size)]
    command = [sys.executable, "-m", "bench.first_step", *arguments]
    found: dict[bool, list[ColdStart]] = {False: [], True: []}
    for environment in empty_caches():
        for starts in found.values():
            seconds, load = _time_process(command, environment)
            starts.append(ColdStart(seconds - load, load))
    return {
        cached: ColdStart(*map(statistics.median, zip(*starts, strict=True)))
        for cached, starts in found.items()
    }


def empty_caches() -> Iterator[dict[str, str]]:
    """Yield three environments for processes, each with empty caches of its own."""
    for _ in range(_ROUNDS):
        with tempfile.TemporaryDirectory() as caches:
            kept = {name: value for name, value in os.environ.items() if name != _NO_MODULES}
            yield kept | dict.fromkeys(_CACHES, caches)


def _time_process(command: list[str], environment: dict[str, str]) -> tuple[float, float]:
    """Return the seconds until a process reports its first step, and its seconds of loading."""
    start = time.perf_counter()
    process = subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    first = process.stdout.readline()
    seconds = time.perf_counter() - start
    _, errors = process.communicate()
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)}: {errors.strip()}")
    return seconds, float(json.loads(first)["load_s"])
