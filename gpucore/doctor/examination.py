"""The examination: what this machine offers for computing, what it lacks, and how to fix that.

`examine` returns a `Report` and prints nothing; ``python -m gpucore`` prints it as plain text. Each
engine and adapter is examined in a process of its own, with a time limit. A driver that crashes or
hangs thus becomes a line of the report.
"""

from __future__ import annotations

import ctypes.util
import dataclasses
import json
import os
import platform
import re
import subprocess
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from importlib import metadata
from pathlib import Path
from typing import Any

from gpucore.adapters import DEVICE_VARIABLE, find_by_name, install_hint
from gpucore.backends import AdapterInfo, null
from gpucore.doctor.report import AdapterReport, EngineReport, Machine, Problem, Report
from gpucore.doctor.selftest import Check
from gpucore.errors import ArgumentError
from gpucore.memory.pool import LIMIT_VARIABLE, memory_limit

__all__ = ["ENGINES", "examine", "problems"]

ENGINES = {
    "dawn": "wgpudawn>=0.32,<0.33",
    "wgpu": "wgpu>=0.32,<0.33",
    "cuda": "nvidia-cuda-nvrtc>=13.0",
    "hip": "",
}
"""What pip installs for each engine; empty for one that the system has."""

OPTIONAL = frozenset(("cuda", "hip"))
"""The engines that a report leaves out where they are not installed, or no card is there."""

TIME_LIMIT = 120.0
"""Seconds for each process; software adapters and first starts of a driver take a few."""

DEBIAN_12_MESA = (
    "echo 'deb http://deb.debian.org/debian bookworm-backports main' | "
    "sudo tee /etc/apt/sources.list.d/backports.list && sudo apt-get update && "
    "sudo apt-get install -t bookworm-backports mesa-vulkan-drivers"
)
MESA_THAT_RUNS_DAWN = 25
HARDWARE_DRIVER = (
    "if this machine has a graphics card, install its Vulkan driver (NVIDIA: the driver package "
    "and libvulkan1; AMD and Intel on Linux: mesa-vulkan-drivers)"
)
ROCM = (
    "install ROCm's HIP with hiprtc (Debian: sudo apt-get install libamdhip64-5 "
    "libhiprtc-builtins5 rocm-device-libs)"
)
NVIDIA_MOUNTED_DRIVER = "/usr/local/nvidia/share/vulkan/icd.d/nvidia_icd.json"

_FIELDS = tuple(field.name for field in dataclasses.fields(AdapterInfo))


def examine(time_limit: float = TIME_LIMIT) -> Report:
    """Examine every engine and adapter; it takes seconds.

    ``time_limit`` is in seconds, for each process.
    """
    machine = describe_machine()
    with ThreadPoolExecutor(4) as pool:
        examined = list(pool.map(lambda engine: _examine_engine(engine, time_limit), ENGINES))
        examined = [each for each in examined if _is_of_use(each[0], machine)]
        records = [record for _, found in examined for record in found]
        tested = list(pool.map(lambda record: _test_adapter(record, time_limit), records))
    engines = tuple(engine for engine, _ in examined)
    adapters = tuple(tested)
    return Report(machine, engines, adapters, tuple(problems(machine, engines, adapters)))


def describe_machine() -> Machine:
    """Describe the machine that this runs on."""
    drivers = "VK_ADD_DRIVER_FILES", "VK_DRIVER_FILES"
    shown = ("XDG_RUNTIME_DIR", DEVICE_VARIABLE, LIMIT_VARIABLE, *drivers)
    return Machine(
        system=platform.system(),
        release=_release(),
        python=platform.python_version(),
        processors=os.cpu_count() or 0,
        environment={name: os.environ[name] for name in shown if name in os.environ},
        has_vulkan_loader=ctypes.util.find_library("vulkan") is not None,
        has_nvidia_card=Path("/proc/driver/nvidia/version").exists(),
        has_mounted_nvidia_driver=Path(NVIDIA_MOUNTED_DRIVER).exists(),
        has_amd_card=Path("/dev/kfd").exists(),
    )


def _release() -> str:
    """Return name and version of the operating system."""
    try:
        return platform.freedesktop_os_release().get("PRETTY_NAME", "")
    except OSError:
        return f"{platform.system()} {platform.release()}"


def _examine_engine(engine: str, time_limit: float) -> tuple[EngineReport, list[dict[str, Any]]]:
    """Return the report of an engine, and the records of its adapters."""
    version = _version(engine)
    if version is None:
        return EngineReport(engine, None), []
    records, fault = _run_selftest([engine], time_limit)
    return EngineReport(engine, version, fault, len(records)), records


def _is_of_use(engine: EngineReport, machine: Machine) -> bool:
    """Tell whether a report shows an engine."""
    if engine.name not in OPTIONAL:
        return True
    has_card = machine.has_amd_card if engine.name == "hip" else machine.has_nvidia_card
    return engine.version is not None and (engine.adapters > 0 or has_card)


def _version(engine: str) -> str | None:
    """Return the version of an engine's package or library; None where it is not installed."""
    if not ENGINES[engine]:
        name = ctypes.util.find_library(f"amd{engine}64")
        return name and name.rpartition(".so.")[2]
    try:
        return metadata.version(re.split("[<>=]", ENGINES[engine])[0])
    except metadata.PackageNotFoundError:
        return None


def _test_adapter(record: Mapping[str, Any], time_limit: float) -> AdapterReport:
    answers, fault = _run_selftest([record["engine"], str(record["index"])], time_limit)
    return AdapterReport(record, tuple(Check(**answer) for answer in answers), fault)


def _run_selftest(arguments: list[str], time_limit: float) -> tuple[list[dict[str, Any]], str]:
    """Run `gpucore.doctor.selftest`; return its answer, and how it failed, if it did."""
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-m", "gpucore.doctor.selftest", *arguments],
            env={**os.environ, "PYTHONPATH": _import_path()},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=time_limit,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return [], f"gave no answer within {time_limit:g} s"
    except OSError as error:
        return [], f"cannot be tested: {sys.executable}: {error.strerror}"
    if done.returncode < 0:
        return [], f"crashed (signal {-done.returncode})"
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1:] or ["without a message"]
        return [], f"failed: {last[0]}"
    try:
        answer: list[dict[str, Any]] = json.loads(done.stdout.strip().splitlines()[-1])
    except (IndexError, ValueError):
        return [], "failed: its self-test printed no result"
    return answer, ""


def _import_path() -> str:
    """Return ``PYTHONPATH`` for the self-test: this package's folder, then the caller's entries.

    The current folder is no part of it: that may be a download, and a ``numpy.py`` in it would run.
    Hence ``-P`` beside it, and no relative entry (an empty one is the current folder, too).
    """
    inherited = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    here = str(Path(__file__).parents[2])
    return os.pathsep.join([here, *(each for each in inherited if Path(each).is_absolute())])


def problems(
    machine: Machine, engines: tuple[EngineReport, ...], adapters: tuple[AdapterReport, ...]
) -> list[Problem]:
    """Return what is wrong, the gravest first, each with the line that fixes it."""
    limit_problems = _limit_problems(machine)
    return [
        *_missing_adapter_problems(machine, adapters),
        *(limit_problems or _failed_adapter_problems(adapters)),
        *_engine_problems(machine, engines, adapters),
        *_environment_problems(machine, adapters),
    ]


def _missing_adapter_problems(
    machine: Machine, adapters: tuple[AdapterReport, ...]
) -> list[Problem]:
    """Return a problem where there is no adapter, or software only."""
    hardware = [a for a in adapters if a.record["kind"] != "cpu"]
    if hardware:
        return []
    if machine.has_nvidia_card:
        return [Problem("the NVIDIA card is not seen through Vulkan", _nvidia_fix(machine))]
    if adapters:
        what = "only a software adapter: it computes on the processor, slowly"
        return [Problem(what, HARDWARE_DRIVER)]
    return [Problem("no adapter was found", install_hint())]


def _nvidia_fix(machine: Machine) -> str:
    if not machine.has_vulkan_loader:
        return "sudo apt-get install libvulkan1"
    if machine.has_mounted_nvidia_driver and "VK_ADD_DRIVER_FILES" not in machine.environment:
        return f"export VK_ADD_DRIVER_FILES={NVIDIA_MOUNTED_DRIVER}"
    return (
        "install the driver's Vulkan part (Debian: sudo apt-get install nvidia-driver-libs; in a "
        "container: docker run --gpus all -e NVIDIA_DRIVER_CAPABILITIES=all)"
    )


def _limit_problems(machine: Machine) -> list[Problem]:
    """Return a problem where the memory limit is no size, so that no device opens."""
    try:
        memory_limit(machine.environment.get(LIMIT_VARIABLE, ""))
    except ArgumentError as error:
        return [Problem(f"no device opens: {error}", f"unset {LIMIT_VARIABLE}")]
    return []


def _failed_adapter_problems(adapters: tuple[AdapterReport, ...]) -> list[Problem]:
    """Return a problem for each adapter whose self-test failed."""
    healthy = [a.record["backend"] for a in adapters if a.works]
    way_out = f"; or avoid it: export {DEVICE_VARIABLE}={healthy[0]}" if healthy else ""
    return [
        Problem(
            f"{a.record['backend']}, {a.record['name']}: the self-test {_failure_text(a)}",
            f"update the driver ({a.record['driver']}){way_out}",
        )
        for a in adapters
        if not a.works
    ]


def _failure_text(adapter: AdapterReport) -> str:
    wrong = [f"{c.name}: {c.detail.splitlines()[0]}" for c in adapter.checks if not c.ok]
    return adapter.fault or f"found wrong numbers ({'; '.join(wrong)})"


def _engine_problems(
    machine: Machine, engines: tuple[EngineReport, ...], adapters: tuple[AdapterReport, ...]
) -> list[Problem]:
    """Return a problem for each engine that is missing, does not start, or sees no adapter."""
    found = []
    for engine in engines:
        named = ENGINES[engine.name]
        pip = f"pip install '{named}'" if named else ROCM
        if engine.version is None:
            found.append(Problem(f"the engine {engine.name} is not installed", pip))
        elif engine.fault:
            again = pip.replace("pip install", "pip install --force-reinstall")
            found.append(Problem(f"the engine {engine.name} {engine.fault}", again))
        elif not engine.adapters and adapters:
            what = f"the engine {engine.name} sees no adapter"
            found.append(Problem(what, _blind_engine_fix(machine, engine, adapters)))
    return found


def _blind_engine_fix(
    machine: Machine, engine: EngineReport, adapters: tuple[AdapterReport, ...]
) -> str:
    versions = [re.search(r"Mesa (\d+)\.", a.record["driver"]) for a in adapters]
    old = [match[1] for match in versions if match and int(match[1]) < MESA_THAT_RUNS_DAWN]
    if engine.name == "dawn" and old:
        if "bookworm" in machine.release:
            return f"Mesa {old[0]} is too old for it: {DEBIAN_12_MESA}"
        return f"Mesa {old[0]} is too old for it: install Mesa {MESA_THAT_RUNS_DAWN} or newer"
    return install_hint()


def _environment_problems(machine: Machine, adapters: tuple[AdapterReport, ...]) -> list[Problem]:
    """Return a problem for each environment variable that is missing or matches nothing."""
    found = []
    if machine.system == "Linux" and not machine.environment.get("XDG_RUNTIME_DIR"):
        what = "XDG_RUNTIME_DIR is not set: Mesa warns, and some drivers need it"
        found.append(Problem(what, 'export XDG_RUNTIME_DIR="$(mktemp -d)"'))
    name = machine.environment.get(DEVICE_VARIABLE, "").strip().lower()
    present = [AdapterInfo(**{field: a.record[field] for field in _FIELDS}) for a in adapters]
    if name.partition(":")[0] == "null":
        present = null.adapters()
    if name and find_by_name(name, present) is None:
        what = f"{DEVICE_VARIABLE} is {name!r}, which fits no adapter"
        found.append(Problem(what, f"unset {DEVICE_VARIABLE}"))
    return found
