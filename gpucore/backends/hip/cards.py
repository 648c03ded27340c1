"""The AMD cards of this machine, and how one is opened."""

from __future__ import annotations

import ctypes as c
from typing import Final

from gpucore.backends.hip.compiler import load_compiler
from gpucore.backends.hip.driver import HipDriver, load_driver
from gpucore.backends.interface import AdapterInfo, Backend, Kind
from gpucore.errors import DeviceNotFoundError
from gpucore.wgsl.c_family import HIP_32, HIP_64, Target

__all__ = ["adapters", "describe", "find_adapters", "open_adapter", "target_of"]

_INTEGRATED: Final = 16  # hipDeviceAttributeIntegrated
_GROUP_MEMORY: Final = 65536  # bytes, on all of gfx9 to gfx12
_LARGEST_BINDING: Final = 1 << 31


def adapters() -> list[AdapterInfo]:
    """Return the cards that the driver shows; none where a library is missing."""
    if load_driver() is None or load_compiler() is None:
        return []
    return find_adapters()


def find_adapters() -> list[AdapterInfo]:
    """Return the cards that hiprtc compiles for; raise an error where a library is missing."""
    driver, compiler = load_driver(), load_compiler()
    if driver is None:
        raise DeviceNotFoundError("HIP does not start, or sees no card")
    if compiler is None:
        raise DeviceNotFoundError("hiprtc is missing: install ROCm's hiprtc")
    count = c.c_int()
    driver("count_cards", c.byref(count))
    found = [(index, driver.architecture(index)) for index in range(count.value)]
    return [describe(driver, index) for index, name in found if name and compiler.covers(name)]


def target_of(architecture: str) -> Target:
    """Return the language for an architecture: cards before gfx10 run 64 invocations together."""
    generation = architecture.partition(":")[0].removeprefix("gfx")[:-2]
    return HIP_64 if int(generation) < 10 else HIP_32


def describe(driver: HipDriver, index: int) -> AdapterInfo:
    """Describe a card of the driver."""
    name, memory, version = c.create_string_buffer(256), c.c_size_t(), c.c_int()
    integrated = c.c_int()
    driver("card_name", name, 256, index)
    driver("card_memory", c.byref(memory), index)
    driver("version", c.byref(version))
    driver("card_attribute", c.byref(integrated), _INTEGRATED, index)
    architecture = driver.architecture(index)
    kind: Kind = "integrated" if integrated.value else "discrete"
    lanes = target_of(architecture).lanes
    title = name.value.decode(errors="replace")
    return AdapterInfo(
        engine="hip",
        api="",
        name=f"{title} ({architecture.partition(':')[0]})",
        vendor="AMD",
        driver=f"HIP {version.value // 10_000_000}.{version.value // 100_000 % 100}",
        kind=kind,
        features=frozenset(("f16", "subgroups", "timestamps", "async-copies")),
        limits=_limits(memory.value),
        subgroup_size=(lanes, lanes),
        memory_size=memory.value,
        index=index,
    )


def _limits(memory: int) -> dict[str, int]:
    return {
        "max_buffer_size": memory // 4 * 4,
        "max_storage_buffer_binding_size": _LARGEST_BINDING,
        "max_uniform_buffer_binding_size": 65536,
        "max_compute_workgroups_per_dimension": 65535,
        "max_compute_invocations_per_workgroup": 1024,
        "max_compute_workgroup_size_x": 1024,
        "max_compute_workgroup_size_y": 1024,
        "max_compute_workgroup_size_z": 1024,
        "max_compute_workgroup_storage_size": _GROUP_MEMORY,
        "max_storage_buffers_per_shader_stage": 16,
        "max_uniform_buffers_per_shader_stage": 12,
        "max_bindings_per_bind_group": 1000,
        "max_bind_groups": 4,
    }


def open_adapter(info: AdapterInfo, *, checks: bool = True) -> Backend:
    """Open a card; ``checks`` as in `gpucore.Device.open`."""
    from gpucore.backends.drivers.backend import CardBackend
    from gpucore.backends.drivers.compiler import Toolchain

    driver, compiler = load_driver(), load_compiler()
    if driver is None or compiler is None:
        raise DeviceNotFoundError("HIP or hiprtc is gone: start the process again")
    architecture = driver.architecture(info.index)
    target = target_of(architecture)
    return CardBackend(info, driver, Toolchain(compiler, architecture, target), checks=checks)
