"""Time from the start of a process to the end of its first step.

    python -m bench.cold_start FOLDER [--device NAME] [--size 512]

Prints one JSON object: ``load_s``, the seconds of reading and uploading the weights. Whoever
started the process has its clock: see `cold_starts`.
"""

from __future__ import annotations

import argparse
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

from bench.measure import open_device
from diffusion import Pipeline, Settings, Step
from gpucore import Device

__all__ = ["ColdStart", "cold_starts", "empty_caches"]

# Where NVIDIA's driver, Mesa, and all that keeps to the XDG folders cache what they compiled.
_CACHES = ("__GL_SHADER_DISK_CACHE_PATH", "MESA_SHADER_CACHE_DIR", "XDG_CACHE_HOME")

_ROUNDS = 3


class ColdStart(NamedTuple):
    """Seconds to the first step in fresh processes, without those of the weights, and those."""

    first_step: float
    load: float


def cold_starts(folder: Path, device: str, size: int) -> dict[bool, ColdStart]:
    """What fresh processes take, by whether the pipelines were cached: medians of three.

    A process with empty caches, of the driver too, is followed by one that finds what it left,
    three times over, each time with other caches. What loading takes is taken off in each process.
    Raises `RuntimeError` with what a process said.
    """
    arguments = [str(folder), "--device", device, "--size", str(size)]
    command = [sys.executable, "-m", "bench.cold_start", *arguments]
    found: dict[bool, list[ColdStart]] = {False: [], True: []}
    for environment in empty_caches():
        for starts in found.values():
            seconds, load = _timed(command, environment)
            starts.append(ColdStart(seconds - load, load))
    return {
        cached: ColdStart(*map(statistics.median, zip(*starts, strict=True)))
        for cached, starts in found.items()
    }


def empty_caches() -> Iterator[dict[str, str]]:
    """Three environments for processes, one after the other, each with caches of its own."""
    for _ in range(_ROUNDS):
        with tempfile.TemporaryDirectory() as caches:
            yield os.environ | dict.fromkeys(_CACHES, caches)


def _timed(command: list[str], environment: dict[str, str]) -> tuple[float, float]:
    """Seconds until the process tells of its first step, and those of its loading."""
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


def first_step(folder: Path, device: Device, size: int) -> float:
    """Make the first step of an image; returns the seconds of loading."""
    start = time.perf_counter()
    pipeline = Pipeline.load(folder, device)
    device.synchronize()
    loaded = time.perf_counter() - start
    settings = Settings("a red apple", width=size, height=size, steps=20, seed=1)
    for event in pipeline.generate(settings):
        if isinstance(event, Step):
            event.wait()
            return loaded
    raise AssertionError("generate yields steps")


def main() -> None:
    """Run one process's part."""
    parser = argparse.ArgumentParser(prog="python -m bench.cold_start", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--device", default="")
    parser.add_argument("--size", type=int, default=512)
    chosen = parser.parse_args()
    device = open_device(chosen.device)
    print(json.dumps({"load_s": first_step(chosen.folder, device, chosen.size)}), flush=True)


if __name__ == "__main__":
    main()
