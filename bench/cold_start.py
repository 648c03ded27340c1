"""Time from the start of a process to the end of its first step.

    python -m bench.cold_start FOLDER [--device NAME] [--size 512]

Prints one JSON object: ``load_s``, the seconds of reading and uploading the weights. Whoever
started the process has its clock: see `cold_starts`.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench.measure import open_device
from diffusion import Pipeline, Settings, Step
from gpucore import Device

__all__ = ["ColdStart", "cold_starts"]

# Where NVIDIA's driver, Mesa, and all that keeps to the XDG folders cache what they compiled.
_CACHES = ("__GL_SHADER_DISK_CACHE_PATH", "MESA_SHADER_CACHE_DIR", "XDG_CACHE_HOME")

ColdStart = tuple[float, float]


def cold_starts(folder: Path, device: str, size: int) -> dict[bool, ColdStart]:
    """Seconds to the first step in a fresh process, and those of the weights in them.

    By whether the pipelines were cached: the first process has empty caches, of the driver too,
    the second finds what the first left. Raises `RuntimeError` with what a process said.
    """
    arguments = [str(folder), "--device", device, "--size", str(size)]
    command = [sys.executable, "-m", "bench.cold_start", *arguments]
    with tempfile.TemporaryDirectory() as caches:
        environment = os.environ | dict.fromkeys(_CACHES, caches)
        return {cached: _timed(command, environment) for cached in (False, True)}


def _timed(command: list[str], environment: dict[str, str]) -> ColdStart:
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
