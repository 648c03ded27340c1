"""Finding adapters over all engines, and choosing one by preference or by name."""

from __future__ import annotations

import os
import platform
import re
import threading
from collections.abc import Sequence

from gpucore.backends import AdapterInfo, Backend, null
from gpucore.backends.webgpu import dawn, wgpu_native
from gpucore.errors import ArgumentError, DeviceNotFoundError

__all__ = [
    "DEVICE_VARIABLE",
    "all_adapters",
    "choose",
    "engine_adapters",
    "install_hint",
    "named_among",
    "open_backend",
    "preferred",
]

DEVICE_VARIABLE = "GPUCORE_DEVICE"

_KIND_RANK = {"discrete": 0, "integrated": 1, "virtual": 2, "unknown": 3, "cpu": 4, "null": 9}
_BACKEND_RANK = {"dawn": 0, "wgpu": 1}
_BEST_RANK = (0, False, False, False, 0)

# Engines do not start in two threads at once.
_STARTING = threading.RLock()


def all_adapters() -> list[AdapterInfo]:
    """Every adapter of every engine, best first; the null adapter is not among them."""
    with _STARTING:
        return sorted([*dawn.adapters(), *wgpu_native.adapters()], key=_rank)


def engine_adapters(engine: str) -> list[AdapterInfo]:
    """Adapters of ``dawn`` or ``wgpu`` in the engine's order; raises what a broken one raises."""
    with _STARTING:
        return {"dawn": dawn.find_adapters, "wgpu": wgpu_native.find_adapters}[engine]()


def _rank(info: AdapterInfo) -> tuple[int, bool, bool, bool, int]:
    return (
        _KIND_RANK[info.kind],
        "matrix-units" not in info.features,
        "f16" not in info.features,
        info.api == "gl",
        _BACKEND_RANK.get(info.engine, 5),
    )


def preferred() -> AdapterInfo:
    """The adapter that the environment variable names, else the best one."""
    wanted = os.environ.get(DEVICE_VARIABLE, "")
    try:
        return choose(wanted)
    except DeviceNotFoundError as error:
        if not wanted:
            raise
        message = f"{error} (the environment variable {DEVICE_VARIABLE} asked for it)"
        raise DeviceNotFoundError(message) from None


def choose(wanted: str) -> AdapterInfo:
    """First adapter that fits ``wanted``.

    ``wanted`` is a name in `AdapterInfo.backend` (``dawn-vulkan``), an engine (``dawn``,
    ``wgpu``, ``null``), an API (``vulkan``, ``metal``, ``dx12``, ``gl``), ``cpu``, or part of the
    card's name; ``:2`` at its end takes the third that fits. Empty takes the best.
    Raises `DeviceNotFoundError`, and `ArgumentError` for what is no text.
    """
    if not isinstance(wanted, str):
        raise ArgumentError(f"device {wanted!r}: give a name as text, such as 'dawn' or 'cpu'")
    name, _, number = wanted.strip().lower().partition(":")
    with _STARTING:
        present = _asked(name, number)
    found = named_among(wanted, present)
    if found is None:
        raise DeviceNotFoundError(_not_found(wanted, present if name == "null" else all_adapters()))
    return found


def named_among(wanted: str, present: Sequence[AdapterInfo]) -> AdapterInfo | None:
    """First of ``present`` that fits ``wanted``, a name as `choose` takes it; None where none."""
    name, _, number = wanted.strip().lower().partition(":")
    fitting = [info for info in present if _is_called(info, name)]
    fitting = fitting or [info for info in present if name in info.name.lower()]
    given = re.fullmatch(r"0*(\d{1,9})", number or "0")
    index = int(given[1]) if given else len(fitting)
    return fitting[index] if index < len(fitting) else None


def _asked(name: str, number: str) -> list[AdapterInfo]:
    """Adapters to choose from, best first; an engine that cannot matter is not started for it."""
    if name == "null":
        return null.adapters()
    engine = name.partition("-")[0]
    if engine == "wgpu":
        return sorted(wgpu_native.adapters(), key=_rank)
    found = sorted(dawn.adapters(), key=_rank)
    first = next((info for info in found if _is_called(info, name)), None)
    if engine == "dawn" or (not number and first is not None and _rank(first) == _BEST_RANK):
        return found
    return sorted([*found, *wgpu_native.adapters()], key=_rank)


def _is_called(info: AdapterInfo, name: str) -> bool:
    return name in ("", info.engine, info.api, info.backend, info.kind)


def _not_found(wanted: str, present: list[AdapterInfo]) -> str:
    if present:
        listed = "; ".join(f"{info.backend}: {info.name}" for info in present)
        return f"no device fits {wanted!r}; present: {listed}"
    return f"no GPU adapter was found. {install_hint()}"


def install_hint() -> str:
    """What to install on this system so that an adapter appears."""
    system = platform.system()
    if system == "Linux":
        return (
            "Install your card's Vulkan driver (NVIDIA: the driver package with libvulkan1; AMD "
            "and Intel: mesa-vulkan-drivers), or run on the CPU: "
            "sudo apt-get install mesa-vulkan-drivers libvulkan1 (Debian 12: with "
            "-t bookworm-backports)"
        )
    if system == "Darwin":
        return "macOS 11 or newer has Metal built in; run outside of a virtual machine."
    return "Update the graphics driver from the card's vendor (Direct3D 12 or Vulkan is needed)."


def open_backend(info: AdapterInfo, *, checks: bool = True) -> Backend:
    """Open an adapter with its engine; ``checks`` as in `Device.open`."""
    if info.engine == "null":
        return null.NullBackend(info)
    with _STARTING:
        if info.engine == "dawn":
            return dawn.open_adapter(info, checks=checks)
        return wgpu_native.open_adapter(info, checks=checks)
