"""The CUDA cards of this machine, and how one is opened."""

from __future__ import annotations

import ctypes as c
from typing import Final

from gpucore.backends.cuda.compiler import load_compiler
from gpucore.backends.cuda.driver import Driver, load_driver
from gpucore.backends.interface import AdapterInfo, Backend, Kind
from gpucore.errors import DeviceNotFoundError

__all__ = ["adapters", "describe", "find_adapters", "open_adapter"]

# Attributes of a device, by their names in cuda.h without CU_DEVICE_ATTRIBUTE_.
_INTEGRATED: Final = 18
_MAJOR, _MINOR = 75, 76
_SHARED_OPTIN: Final = 97
_LARGEST_BINDING: Final = 1 << 31
_OLDEST_WITH_UNITS: Final = 80
_HOPPER: Final = 90


def adapters() -> list[AdapterInfo]:
    """Return the cards that the driver shows; none where the driver or NVRTC is missing."""
    driver = load_driver()
    if driver is None or load_compiler() is None:
        return []
    return find_adapters()


def find_adapters() -> list[AdapterInfo]:
    """Return the cards that NVRTC compiles for; raise an error where one of both is missing."""
    driver, compiler = load_driver(), load_compiler()
    if driver is None:
        raise DeviceNotFoundError("the CUDA driver does not start, or sees no card")
    if compiler is None:
        raise DeviceNotFoundError("NVRTC is missing: pip install 'avila-diffusion[cuda]'")
    count = c.c_int()
    driver("cuDeviceGetCount", c.byref(count))
    found = [describe(driver, index) for index in range(count.value)]
    oldest = min(compiler.architectures)
    return [info for info in found if architecture_number(driver, info.index) >= oldest]


def architecture_number(driver: Driver, index: int) -> int:
    """Return a card's compute capability, as 90 for 9.0."""
    return _attribute(driver, index, _MAJOR) * 10 + _attribute(driver, index, _MINOR)


def _attribute(driver: Driver, index: int, which: int) -> int:
    value = c.c_int()
    driver("cuDeviceGetAttribute", c.byref(value), which, index)
    return value.value


def describe(driver: Driver, index: int) -> AdapterInfo:
    """Describe a card of the driver."""
    name, memory, version = c.create_string_buffer(256), c.c_size_t(), c.c_int()
    driver("cuDeviceGetName", name, 256, index)
    driver("cuDeviceTotalMem_v2", c.byref(memory), index)
    driver("cuDriverGetVersion", c.byref(version))
    number = architecture_number(driver, index)
    has_units = number >= _OLDEST_WITH_UNITS
    kind: Kind = "integrated" if _attribute(driver, index, _INTEGRATED) else "discrete"
    shapes = (("f16", "f32", 16, 16, 16), ("f16", "f16", 16, 16, 16))
    return AdapterInfo(
        engine="cuda",
        api="",
        name=name.value.decode(errors="replace"),
        vendor="NVIDIA",
        driver=f"CUDA {version.value // 1000}.{version.value % 1000 // 10}",
        kind=kind,
        features=frozenset(
            (
                *("f16", "subgroups", "timestamps"),
                *(("matrix-units",) if has_units else ()),
                *(("wgmma",) if number == _HOPPER else ()),
            )
        ),
        limits=_limits(driver, index, memory.value),
        subgroup_size=(32, 32),
        memory_size=memory.value,
        matrix_shapes=shapes if has_units else (),
        index=index,
    )


def _limits(driver: Driver, index: int, memory: int) -> dict[str, int]:
    return {
        "max_buffer_size": memory // 4 * 4,
        "max_storage_buffer_binding_size": _LARGEST_BINDING,
        "max_uniform_buffer_binding_size": 65536,
        "max_compute_workgroups_per_dimension": 65535,
        "max_compute_invocations_per_workgroup": 1024,
        "max_compute_workgroup_size_x": 1024,
        "max_compute_workgroup_size_y": 1024,
        "max_compute_workgroup_size_z": 64,
        "max_compute_workgroup_storage_size": _attribute(driver, index, _SHARED_OPTIN),
        "max_storage_buffers_per_shader_stage": 16,
        "max_uniform_buffers_per_shader_stage": 12,
        "max_bindings_per_bind_group": 1000,
        "max_bind_groups": 4,
    }


def open_adapter(info: AdapterInfo, *, checks: bool = True) -> Backend:
    """Open a card; ``checks`` as in `gpucore.Device.open`."""
    from gpucore.backends.cuda.backend import CudaBackend

    driver, compiler = load_driver(), load_compiler()
    if driver is None or compiler is None:
        raise DeviceNotFoundError("the CUDA driver or NVRTC is gone: start the process again")
    number = architecture_number(driver, info.index)
    suffix = "a" if number >= 90 else ""
    return CudaBackend(info, driver, compiler, f"sm_{number}{suffix}", checks=checks)
