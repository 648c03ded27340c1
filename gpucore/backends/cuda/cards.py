"""The CUDA cards of this machine, and how one is opened."""

from __future__ import annotations

import ctypes as c
from typing import Final

from gpucore.backends.cuda.compiler import load_compiler
from gpucore.backends.cuda.driver import CudaDriver, load_driver
from gpucore.backends.drivers.errors import DriverError
from gpucore.backends.interface import AdapterInfo, Backend, Kind
from gpucore.errors import DeviceNotFoundError
from gpucore.wgsl.c_family import CUDA

__all__ = ["adapters", "describe", "find_adapters", "open_adapter"]

# Attributes of a device, by their names in cuda.h without CU_DEVICE_ATTRIBUTE_.
_INTEGRATED: Final = 18
_MAJOR, _MINOR = 75, 76
_SHARED_OPTIN: Final = 97
_LARGEST_BINDING: Final = 1 << 31
_OLDEST_WITH_UNITS: Final = 80
_AMPERE: Final = 8  # the first number of compute capability, of Ada, too
_HOPPER: Final = 90


def adapters() -> list[AdapterInfo]:
    """Return the cards that the driver shows; none where driver and NVRTC do not work together."""
    try:
        return find_adapters()
    except (DeviceNotFoundError, DriverError):
        return []


def find_adapters() -> list[AdapterInfo]:
    """Return the cards that NVRTC compiles for.

    Raises `DeviceNotFoundError` where the driver or NVRTC is missing, or where the driver is too
    old for what NVRTC makes.
    """
    driver = load_driver()
    if driver is None:
        raise DeviceNotFoundError("the CUDA driver does not start, or sees no card")
    compiler = load_compiler()
    if compiler is None:
        raise DeviceNotFoundError("NVRTC is missing: pip install 'avila-diffusion[cuda]'")
    major = int(compiler.version.partition(".")[0])
    if _driver_version(driver) < 1000 * major:
        raise DeviceNotFoundError(
            f"NVRTC {compiler.version} must have a driver of CUDA {major} or newer, got "
            f"{_version_text(driver)}: update NVIDIA's driver"
        )
    count = c.c_int()
    driver("count_cards", c.byref(count))
    found = [describe(driver, index) for index in range(count.value)]
    oldest = min(compiler.architectures)
    return [info for info in found if architecture_number(driver, info.index) >= oldest]


def architecture_number(driver: CudaDriver, index: int) -> int:
    """Return a card's compute capability, as 90 for 9.0."""
    return _attribute(driver, index, _MAJOR) * 10 + _attribute(driver, index, _MINOR)


def _driver_version(driver: CudaDriver) -> int:
    """Return the version of CUDA that a driver has, as 13000 for 13.0."""
    version = c.c_int()
    driver("version", c.byref(version))
    return version.value


def _version_text(driver: CudaDriver) -> str:
    version = _driver_version(driver)
    return f"CUDA {version // 1000}.{version % 1000 // 10}"


def _attribute(driver: CudaDriver, index: int, which: int) -> int:
    value = c.c_int()
    driver("card_attribute", c.byref(value), which, index)
    return value.value


def describe(driver: CudaDriver, index: int) -> AdapterInfo:
    """Describe a card of the driver."""
    name, memory = c.create_string_buffer(256), c.c_size_t()
    driver("card_name", name, 256, index)
    driver("card_memory", c.byref(memory), index)
    number = architecture_number(driver, index)
    has_units = number >= _OLDEST_WITH_UNITS
    kind: Kind = "integrated" if _attribute(driver, index, _INTEGRATED) else "discrete"
    shapes = (("f16", "f32", 16, 16, 16), ("f16", "f16", 16, 16, 16))
    return AdapterInfo(
        engine="cuda",
        api="",
        name=name.value.decode(errors="replace"),
        vendor="NVIDIA",
        driver=_version_text(driver),
        kind=kind,
        features=frozenset(
            (
                *("f16", "subgroups", "timestamps", "async-copies"),
                *(("matrix-units", "cuda-kernels") if has_units else ()),
                *(("ampere",) if number // 10 == _AMPERE else ()),
                *(("wgmma",) if number == _HOPPER else ()),
            )
        ),
        limits=_limits(driver, index, memory.value),
        subgroup_size=(32, 32),
        memory_size=memory.value,
        matrix_shapes=shapes if has_units else (),
        index=index,
    )


def _limits(driver: CudaDriver, index: int, memory: int) -> dict[str, int]:
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
    from gpucore.backends.drivers.backend import CardBackend
    from gpucore.backends.drivers.compiler import Toolchain

    driver, compiler = load_driver(), load_compiler()
    if driver is None or compiler is None:
        raise DeviceNotFoundError("the CUDA driver or NVRTC is gone: start the process again")
    number = architecture_number(driver, info.index)
    suffix = "a" if number >= 90 else ""
    toolchain = Toolchain(compiler, f"sm_{number}{suffix}", CUDA)
    try:
        return CardBackend(info, driver, toolchain, checks=checks)
    except DriverError as error:
        raise DeviceNotFoundError(
            f"{info.name} (cuda) cannot be opened: {error}; free its memory, see nvidia-smi for "
            "its compute mode, or choose another engine by name"
        ) from None
