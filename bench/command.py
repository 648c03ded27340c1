"""Time of ``avila txt2img`` from the start of its process to its end, with loading."""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from bench.cold_start import empty_caches

__all__ = ["command_seconds"]

_RUNS = ((12, False), (12, True), (20, True))


def command_seconds(folder: Path, device: str, size: int) -> dict[tuple[int, bool], float]:
    """Return seconds of the command by its steps and by whether kernels were cached.

    Each number is the median of three rounds. In a round, a process of 12 steps starts with empty
    caches, also those of the driver. Then one of 12 and one of 20 steps use what it has cached.
    Raises `RuntimeError` with the error output of a process.
    """
    found: dict[tuple[int, bool], list[float]] = {run: [] for run in _RUNS}
    for environment in empty_caches():
        for run, seconds in found.items():
            seconds.append(_time_command(_arguments(folder, device, size, run[0]), environment))
    return {run: statistics.median(seconds) for run, seconds in found.items()}


def _arguments(folder: Path, device: str, size: int, steps: int) -> list[str]:
    """Return the arguments of the command without its output file."""
    model = ["--model", str(folder), "--size", f"{size}x{size}"]
    named = ["--device", device] if device else []
    return ["txt2img", "a red apple", *model, "--steps", str(steps), "--seed", "1", *named]


def _time_command(arguments: list[str], environment: Mapping[str, str]) -> float:
    with tempfile.TemporaryDirectory() as folder:
        output = ["--output", str(Path(folder) / "picture.png")]
        command = [sys.executable, "-m", "diffusion.cli", *arguments, *output]
        start = time.perf_counter()
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        seconds = time.perf_counter() - start
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()}")
    return seconds
