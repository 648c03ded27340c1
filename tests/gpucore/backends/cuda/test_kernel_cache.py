"""The cache of compiled kernels: what it depends on, and files that are of no use."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gpucore import Device
from gpucore.backends.cuda.compiler import CudaCompiler
from gpucore.backends.drivers import kernel_cache
from gpucore.backends.drivers.compiler import Toolchain
from gpucore.backends.drivers.kernel_cache import cache_folder, compile_text, compile_wgsl
from gpucore.wgsl.c_family import CUDA, HIP_32, module
from tests.gpucore.backends.cuda.fake_cuda import (
    FakeCompilerLibrary,
    FakeDriverLibrary,
    fake_backend,
)
from tests.gpucore.kernels import INCREMENT

SIZED = """
override size = 32;
var<workgroup> kept: array<f32, 20000>;
@group(0) @binding(0) var<storage, read_write> x: array<f32>;
@compute @workgroup_size(size, 2) fn main(@builtin(local_invocation_index) i: u32) {
    kept[i] = x[i];
    x[i] = kept[i] + f32(SCALE);
}
override SCALE = 2;
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GPUCORE_CUDA_CACHE", str(tmp_path))
    assert cache_folder(CudaCompiler(FakeCompilerLibrary())) == tmp_path
    return tmp_path


def made_with(nvrtc: FakeCompilerLibrary) -> Toolchain:
    return Toolchain(CudaCompiler(nvrtc), "sm_90a", CUDA)


def test_a_kernel_is_made_once_for_all_that_it_depends_on(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nvrtc = FakeCompilerLibrary()
    toolchain = made_with(nvrtc)
    made = compile_wgsl(toolchain, SIZED, "main", {"SCALE": 3.0}, checks=False)
    assert made.workgroup_size == (32, 2, 1)
    assert made.launch_memory >= 80000
    monkeypatch.setattr(module, "print_kernel", lambda *a, **k: pytest.fail("printed"))
    again = compile_wgsl(toolchain, SIZED, "main", {"SCALE": 3.0}, checks=False)
    assert again == made
    monkeypatch.undo()
    monkeypatch.setenv("GPUCORE_CUDA_CACHE", str(folder))
    for other, source, scale, checks in (
        (toolchain._replace(architecture="sm_80"), SIZED, 3.0, False),
        (toolchain._replace(target=HIP_32), SIZED, 3.0, False),
        (toolchain, SIZED + " ", 3.0, False),
        (toolchain, SIZED, 4.0, False),
        (toolchain, SIZED, 3.0, True),
    ):
        compile_wgsl(other, source, "main", {"SCALE": scale}, checks=checks)
    assert len(nvrtc.texts) == len(list(folder.iterdir())) == 6
    monkeypatch.setattr(kernel_cache, "_printer_hash", lambda: "another printer")
    compile_wgsl(toolchain, SIZED, "main", {"SCALE": 3.0}, checks=False)
    toolchain.compiler.version = "14.0"
    compile_wgsl(toolchain, SIZED, "main", {"SCALE": 3.0}, checks=False)
    assert len(nvrtc.texts) == 8


def test_a_second_device_compiles_nothing() -> None:
    nvrtc = FakeCompilerLibrary()
    for _ in range(2):
        card = Device(fake_backend(FakeDriverLibrary(), nvrtc))
        x = card.buffer_from_array(np.ones(64, np.float32))
        card.compile_kernel(INCREMENT)(x, grid=1)
        card.close()
    assert len(nvrtc.texts) == 1


@pytest.mark.parametrize("damage", [lambda b: b[:-1], lambda b: b"", lambda b: b"[1]\n" + b])
def test_files_that_are_not_whole_are_made_again(folder: Path, damage: object) -> None:
    nvrtc = FakeCompilerLibrary()
    code = compile_text(made_with(nvrtc), "text")
    (file,) = folder.iterdir()
    assert callable(damage)
    file.write_bytes(damage(file.read_bytes()))
    assert compile_text(made_with(nvrtc), "text") == code
    assert compile_text(made_with(nvrtc), "text") == code
    assert len(nvrtc.texts) == 2


def test_a_folder_that_cannot_be_written_is_no_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GPUCORE_CUDA_CACHE", "/proc/nowhere")
    assert compile_text(made_with(FakeCompilerLibrary()), "text")
