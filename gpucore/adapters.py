"""Adapters of all engines: finding them, and choosing one by preference or by name."""

from __future__ import annotations

import os
import platform
import re
import threading
from collections.abc import Sequence

from gpucore.backends import AdapterInfo, Backend, null
from gpucore.backends.webgpu import dawn, wgpu_native
from gpucore.errors import ArgumentError, DeviceNotFoundError
from gpucore.processes import watch
from gpucore.waiting import Lock

__all__ = [
    "DEVICE_VARIABLE",
    "all_adapters",
    "choose",
    "cuda_adapters",
    "engine_adapters",
    "find_by_name",
    "hip_adapters",
    "install_hint",
    "names_of_equals",
    "open_backend",
    "preferred_adapter",
]

DEVICE_VARIABLE = "GPUCORE_DEVICE"

_KIND_RANK = {"discrete": 0, "integrated": 1, "virtual": 2, "unknown": 3, "cpu": 4, "null": 9}
_WITHOUT_CUDA = ("dawn", "vulkan", "metal", "dx12", "gl")
_BACKEND_RANK = {"cuda": 0, "dawn": 1, "wgpu": 2}
_BEST_RANK = (False, 0, False, False, False)


class _Starting:
    """Lets engines start, list and open in one thread at a time, and in no forked child."""

    def __init__(self) -> None:
        self.lock: Lock = threading.RLock()

    def __enter__(self) -> None:
        self.lock.acquire()
        watch(self)

    def __exit__(self, *error: object) -> None:
        self.lock.release()


_STARTING = _Starting()


def all_adapters() -> list[AdapterInfo]:
    """Return the adapters of every engine, the best first, without the null adapter."""
    with _STARTING:
        found = [*dawn.adapters(), *wgpu_native.adapters(), *cuda_adapters(), *hip_adapters()]
        return sorted(found, key=_rank)


def cuda_adapters() -> list[AdapterInfo]:
    """Return the CUDA cards; none where the driver or NVRTC is missing."""
    from gpucore.backends.cuda import cards

    return cards.adapters()


def hip_adapters() -> list[AdapterInfo]:
    """Return the AMD cards that HIP sees; none where ROCm is missing."""
    from gpucore.backends.hip import cards

    return cards.adapters()


def engine_adapters(engine: str) -> list[AdapterInfo]:
    """Return the adapters of ``dawn``, ``wgpu``, ``cuda`` or ``hip`` in the engine's order.

    Raises the engine's error where it does not start.
    """
    with _STARTING:
        if engine == "cuda":
            from gpucore.backends.cuda import cards

            return cards.find_adapters()
        if engine == "hip":
            from gpucore.backends.hip import cards as amd_cards

            return amd_cards.find_adapters()
        return {"dawn": dawn.find_adapters, "wgpu": wgpu_native.find_adapters}[engine]()


def _rank(info: AdapterInfo) -> tuple[bool, int, bool, bool, bool, int]:
    return (
        info.engine == "hip",  # no card was at hand to try it: it is taken by name
        _KIND_RANK[info.kind],
        "matrix-units" not in info.features,
        "f16" not in info.features,
        info.api == "gl",
        _BACKEND_RANK.get(info.engine, 5),
    )


def preferred_adapter() -> AdapterInfo:
    """Return the adapter that the environment variable names, else the best one."""
    name = os.environ.get(DEVICE_VARIABLE, "")
    try:
        return choose(name)
    except DeviceNotFoundError as error:
        if not name:
            raise
        message = f"{error} (the environment variable {DEVICE_VARIABLE} asked for it)"
        raise DeviceNotFoundError(message) from None


def choose(name: str) -> AdapterInfo:
    """Return the first adapter that matches ``name``.

    ``name`` is one of these:

    - an engine with an API, as in `AdapterInfo.backend`: ``dawn-vulkan``;
    - an engine: ``dawn``, ``wgpu``, ``cuda``, ``hip``, ``null``;
    - an API: ``vulkan``, ``metal``, ``dx12``, ``gl``;
    - ``cpu``, or part of the card's name.

    ``:2`` at its end takes the third that matches. Empty takes the best. Raises
    `DeviceNotFoundError`, and `ArgumentError` where ``name`` is no text.
    """
    if not isinstance(name, str):
        raise ArgumentError(
            f"device must be text, got {name!r}: give a name as text, such as 'dawn' or 'cpu'"
        )
    word, _, number = name.strip().lower().partition(":")
    present = null.adapters() if word == "null" else _candidates(word, number)
    found = find_by_name(name, present)
    if found is None:
        raise DeviceNotFoundError(
            _not_found_text(name, present if word == "null" else all_adapters())
        )
    return found


def find_by_name(name: str, present: Sequence[AdapterInfo]) -> AdapterInfo | None:
    """Return the first of ``present`` that matches a name as `choose` takes it, or None."""
    word, _, number = name.strip().lower().partition(":")
    matches = [info for info in present if _is_called(info, word)]
    matches = matches or [info for info in present if word in info.name.lower()]
    digits = re.fullmatch(r"0*(\d{1,9})", number or "0")
    index = int(digits[1]) if digits else len(matches)
    return matches[index] if index < len(matches) else None


def names_of_equals(name: str = "") -> list[str]:
    """Return names, for `choose`, of all adapters of the engine, API and kind of a named one.

    ``name``: as in `choose`; empty for the preferred one, as a machine with several cards has them.
    Raises as `choose`.
    """
    best = choose(name) if name else preferred_adapter()
    present = null.adapters() if best.engine == "null" else engine_adapters(best.engine)
    alike = [info for info in sorted(present, key=_rank) if info.backend == best.backend]
    return [f"{best.backend}:{i}" for i, info in enumerate(alike) if info.kind == best.kind]


def _candidates(word: str, number: str) -> list[AdapterInfo]:
    """Return the adapters to choose from, the best first, without starting needless engines."""
    engine = word.partition("-")[0]
    with _STARTING:
        if engine == "wgpu":
            return sorted(wgpu_native.adapters(), key=_rank)
        if engine == "hip":
            return hip_adapters()
        cards = [] if engine in _WITHOUT_CUDA else cuda_adapters()
        if engine == "cuda" or (not number and _has_best(cards, word)):
            return sorted(cards, key=_rank)
        found = [*cards, *dawn.adapters()]
        if engine != "dawn" and (number or not _has_best(found, word, engine="dawn")):
            found += [*wgpu_native.adapters(), *hip_adapters()]
        return sorted(found, key=_rank)


def _has_best(present: Sequence[AdapterInfo], word: str, engine: str = "cuda") -> bool:
    """Tell whether one that a name fits is as good as any of this engine or those behind it."""
    best = (*_BEST_RANK, _BACKEND_RANK[engine])
    return any(_is_called(info, word) and _rank(info) <= best for info in present)


def _is_called(info: AdapterInfo, word: str) -> bool:
    return word in ("", info.engine, info.api, info.backend, info.kind)


def _not_found_text(name: str, present: list[AdapterInfo]) -> str:
    if present:
        listed = "; ".join(f"{info.backend}: {info.name}" for info in present)
        return f"no device fits {name!r}; present: {listed}"
    return f"no GPU adapter was found. {install_hint()}"


def install_hint() -> str:
    """Return what to install on this system so that an adapter appears."""
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
        if info.engine == "cuda":
            from gpucore.backends.cuda import cards

            return cards.open_adapter(info, checks=checks)
        if info.engine == "hip":
            from gpucore.backends.hip import cards as amd_cards

            return amd_cards.open_adapter(info, checks=checks)
        return wgpu_native.open_adapter(info, checks=checks)
