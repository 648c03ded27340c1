"""The machine of a measurement: card, engine, driver, clocks, versions, commit, date."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import time
from importlib import metadata
from pathlib import Path

from gpucore import Device

__all__ = ["clocks", "commit", "description"]

_ROOT = Path(__file__).resolve().parents[1]

_QUERY = (
    "name",
    "clocks.sm",
    "clocks.mem",
    "clocks.max.sm",
    "clocks.max.mem",
    "power.draw",
    "power.limit",
    "temperature.gpu",
    "memory.total",
)
_DISTRIBUTIONS = (
    "numpy",
    "wgpu",
    "wgpudawn",
    "torch",
    "cupy-cuda12x",
    "cupy-cuda13x",
    "cupy",
    "numba",
    "numba-cuda",
)


def description(device: Device) -> dict[str, object]:
    """Return the head of a result file; it has ``commit`` only in a checkout with git."""
    now = time.localtime()
    checkout = commit(_ROOT)
    return {
        "adapter": device.name,
        "backend": device.info.backend,
        "engine": device.info.engine,
        "driver": device.driver,
        "host": {"processor": _processor(), "cores": os.cpu_count(), "system": platform.system()},
        "versions": _versions(),
        **({"commit": checkout} if checkout else {}),
        "date": time.strftime("%Y-%m-%d", now),
        "time": time.strftime("%H:%M:%S", now),
    }


def commit(root: Path) -> str | None:
    """Return the short id of a checkout's commit, with "-dirty" where tracked files differ.

    Return None where ``root`` is no checkout, or git is not installed or fails.
    """
    program = shutil.which("git")
    if program is None or not (root / ".git").exists():
        return None
    command = [program, "-C", str(root), "describe", "--always", "--dirty", "--exclude=*"]
    return _output_of(command) or None


def clocks() -> list[dict[str, str]]:
    """Ask ``nvidia-smi`` for each card's present clocks (MHz), power (W) and memory (MiB).

    Return nothing where it is not installed or fails.
    """
    program = shutil.which("nvidia-smi")
    if program is None:
        return []
    command = [program, f"--query-gpu={','.join(_QUERY)}", "--format=csv,noheader,nounits"]
    return clocks_of(_output_of(command))


def clocks_of(text: str) -> list[dict[str, str]]:
    """Return the fields of each line that ``nvidia-smi`` printed."""
    lines = [line.split(", ") for line in text.splitlines() if line.strip()]
    return [dict(zip(_QUERY, values, strict=True)) for values in lines]


def _output_of(command: list[str]) -> str:
    """Run a program; return its output, empty where it fails."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()


def _versions() -> dict[str, str]:
    found = {"python": sys.version.split()[0]}
    for name in _DISTRIBUTIONS:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def _processor() -> str:
    """Return the CPU's name, from ``/proc/cpuinfo`` on Linux."""
    file = Path("/proc/cpuinfo")
    if file.is_file():
        for line in file.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
