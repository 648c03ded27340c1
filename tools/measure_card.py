"""Measure on a card what is missing from the tables, each by its own command, in order of value.

    python -m tools.measure_card OUT [--only NAME[,NAME]] [--minutes 25] [--device cuda]

Writes what each prints to ``OUT/NAME.log``, and JSON beside it where a command makes that. A
command that takes longer than its limit is stopped, and one that may not end within ``--minutes``
is left out. The last lines tell the status, the seconds and the file of each. Models of full size
are made in a temporary folder (f16 with random weights: 7 GB for SDXL). Peers need PyTorch, CuPy or
Numba; without them their columns are empty.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Measurement:
    """A command, and the most seconds that it may take.

    ``{device}``, ``{json}`` and ``{folder}`` stand for the device, a file for results and a folder
    for models that all commands share.
    """

    name: str
    seconds: int
    command: str


MEASUREMENTS = (
    Measurement("lora", 90, "tools.full_size.lora --model sdxl --device {device}"),
    Measurement(
        "tests",
        200,
        "pytest -q -p no:benchmark --tb=short tests/gpucore/recording tests/gpucore/memory "
        "tests/gpustd/matmul tests/gpustd/forms tests/gpustd/nn",
    ),
    Measurement(
        "library",
        400,
        "bench arrays image nn random signal linalg --device {device} --limit 200 --json {json}",
    ),
    Measurement(
        "quantized-sdxl",
        180,
        "tools.full_size.quantized --model sdxl --device {device} --errors q4_k",
    ),
    Measurement(
        "folder-sd15",
        60,
        "tools.full_size.memory {folder}/sd15 --model sd15 --device {device} --keep",
    ),
    Measurement("shortcuts", 90, "bench.shortcuts {folder}/sd15 --size 512 --device {device}"),
    Measurement(
        "memory-sd15",
        180,
        "tools.memory_table {folder}/sd15 --weights f16,fp8,q8_0,q4_k --budgets 2G,1144M "
        "--measure --device {device} --json {json}",
    ),
    Measurement(
        "folder-sdxl",
        120,
        "tools.full_size.memory {folder}/sdxl --model sdxl --device {device} --keep",
    ),
    Measurement("load-times", 60, "tools.load_times {folder}/sdxl --device {device} --readers 1,4"),
    Measurement("load-times-4g", 60, "tools.load_times {folder}/sdxl --device {device} --vram 4G"),
    Measurement(
        "memory-sdxl",
        240,
        "tools.memory_table {folder}/sdxl --size 1024 --weights f16,q4_k --budgets 4G,1907M "
        "--measure --device {device} --json {json}",
    ),
    Measurement("ip-adapter", 90, "tools.full_size.image_prompts {folder}/ip --device {device}"),
    Measurement("quantized-sd15", 120, "tools.full_size.quantized --device {device} --errors q8_0"),
    Measurement("batching", 150, "tools.batching_load --device {device} --json {json}"),
    Measurement("sd15-peers", 240, "tools.full_size {folder}/sd15-peers --compile"),
    Measurement(
        "sd15", 120, "bench.full_size {folder}/sd15-peers --device {device} --cold --json {json}"
    ),
    Measurement("products", 120, "bench gemm conv attention --device {device} --json {json}"),
    Measurement("forms", 60, "bench forms --device {device} --json {json}"),
    Measurement("python-kernels", 120, "bench.python_kernels --device {device} --json {json}"),
    Measurement("control", 90, "tools.full_size.control --device {device}"),
)


@dataclass(frozen=True)
class Outcome:
    """The end of a command: its status, or why it was stopped or left out."""

    name: str
    status: str
    seconds: float


def measure(each: Measurement, out: Path, folder: Path, device: str) -> Outcome:
    """Run one command within its limit; what it prints goes to a file."""
    parts = {"device": device, "json": out / f"{each.name}.json", "folder": folder}
    arguments = [part.format(**parts) for part in each.command.split()]
    environment = os.environ | {"PYTHONUNBUFFERED": "1", "AVILA_TEST_ENGINES": device}
    begun = time.monotonic()
    with (out / f"{each.name}.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", *arguments],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=environment,
            start_new_session=True,
        )
        try:
            status = f"status {process.wait(each.seconds)}"
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            status = "stopped"
    return Outcome(each.name, status, time.monotonic() - begun)


def measure_all(
    chosen: Sequence[Measurement], out: Path, folder: Path, device: str, seconds: float
) -> list[Outcome]:
    """Run commands in order, as long as the time allows."""
    end = time.monotonic() + seconds
    found = []
    for each in chosen:
        if time.monotonic() + each.seconds > end:
            found.append(Outcome(each.name, "left out", 0))
            continue
        found.append(measure(each, out, folder, device))
        print(f"{each.name}: {found[-1].status}, {found[-1].seconds:.0f} s", flush=True)
    return found


def main() -> None:
    """Measure what was asked for, and print a table of how it ended."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--only", help="names, separated by commas (all)")
    parser.add_argument("--minutes", type=float, default=25.0)
    parser.add_argument("--device", default="cuda")
    options = parser.parse_args()
    names = [each.name for each in MEASUREMENTS]
    wanted = options.only.split(",") if options.only else names
    if unknown := [name for name in wanted if name not in names]:
        parser.error(f"--only must be among {', '.join(names)}, got {', '.join(unknown)}")
    out = options.out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    chosen = [each for each in MEASUREMENTS if each.name in wanted]
    with tempfile.TemporaryDirectory() as folder:
        place, seconds = Path(folder), options.minutes * 60
        found = measure_all(chosen, out, place, options.device, seconds)
    print()
    for each in found:
        print(f"{each.name:16} {each.status:10} {each.seconds:6.0f} s  {each.name}.log")


if __name__ == "__main__":
    main()
