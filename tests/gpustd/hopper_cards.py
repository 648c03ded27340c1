"""Cards for the variants in CUDA C++: a fake one for host logic, and a skip where there is none."""

from __future__ import annotations

from pathlib import Path

import pytest

from gpucore import Device
from gpucore.backends.cuda.compiler import CudaCompiler, load_compiler
from tests.gpucore.backends.cuda.fake_cuda import FakeDriverLibrary, fake_backend

__all__ = ["compiler_or_skip", "fake_card", "skip_without_native_kernels", "skip_without_wgmma"]

ARCHITECTURE = "sm_90a"


def skip_without_wgmma(device: Device) -> None:
    """Skip the test on a device that does not run native kernels for Hopper."""
    if "wgmma" not in device.features:
        pytest.skip(f"{device!r} has no wgmma")


def skip_without_native_kernels(device: Device) -> None:
    """Skip the test on a device that runs no native kernels."""
    if "cuda-kernels" not in device.features:
        pytest.skip(f"{device!r} runs no native kernels")


def fake_card(
    patch: pytest.MonkeyPatch, folder: Path, capability: tuple[int, int] = (9, 0)
) -> tuple[Device, FakeDriverLibrary]:
    """Return a device on a fake driver, and the driver; as it is, it has wgmma."""
    patch.setenv("GPUCORE_CUDA_CACHE", str(folder))
    library = FakeDriverLibrary()
    library.attributes[75], library.attributes[76] = capability
    return Device.from_backend(fake_backend(library)), library


def compiler_or_skip(patch: pytest.MonkeyPatch, folder: Path) -> CudaCompiler:
    """Return NVRTC with an empty cache; skip where it is not installed."""
    patch.setenv("GPUCORE_CUDA_CACHE", str(folder))
    found = load_compiler()
    if found is None:
        pytest.skip("NVRTC is not installed")
    return found
