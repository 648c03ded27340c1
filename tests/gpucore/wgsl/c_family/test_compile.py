"""What is printed compiles: NVRTC needs no card, and compiles for several of them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gpucore.backends.cuda.compiler import Compiler, load_compiler
from gpucore.backends.cuda.errors import CudaError
from gpucore.wgsl import parse, reflect
from gpucore.wgsl.c_family import PrintedKernel, print_kernel
from gpustd.launch.template import SHADERS
from tests.gpucore.wgsl.c_family.programs import EVERYTHING
from tests.gpucore.wgsl.test_corpus import corpus

ARCHITECTURES = ("sm_70", "sm_75", "sm_80", "sm_90a", "sm_100a")
OLDEST_WITH_UNITS = 80
# Files without template marks, with workgroup memory and barriers.
SAMPLE = ("arrays/sort_tiles.wgsl", "linalg/qr_rows.wgsl", "linalg/svd_ratio.wgsl")


@pytest.fixture
def compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Compiler:
    """Return NVRTC, with an empty cache."""
    monkeypatch.setenv("GPUCORE_CUDA_CACHE", str(tmp_path))
    found = load_compiler()
    if found is None and os.environ.get("CI"):
        pytest.fail("NVRTC is missing: pip install nvidia-cuda-nvrtc")
    if found is None:
        pytest.skip("NVRTC is not installed")
    return found


def number_of(architecture: str) -> int:
    return int(architecture.removeprefix("sm_").removesuffix("a"))


def compiled(compiler: Compiler, kernel: PrintedKernel, architecture: str) -> bytes:
    """Compile for an architecture; NVRTC 13 knows none before sm_75."""
    if number_of(architecture) not in compiler.architectures:
        pytest.skip(f"NVRTC {compiler.version} does not compile for {architecture}")
    return compiler.compile(kernel.text, architecture)


@pytest.mark.parametrize("checks", [True, False])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_everything(compiler: Compiler, architecture: str, checks: bool) -> None:
    kernel = print_kernel(EVERYTHING, "main", {"scale": 3, "flag": False}, checks=checks)
    assert kernel.workgroup_size == (48, 1, 1)
    code = compiled(compiler, kernel, architecture)
    assert code[:4] == b"\x7fELF"
    assert b"w_kernel" in code
    assert ("w_zero(&words_" in kernel.text) == checks
    assert ("< y_count" in kernel.text) == checks


@pytest.mark.parametrize("name", SAMPLE)
def test_shipped_kernels(compiler: Compiler, name: str) -> None:
    source = (SHADERS / name).read_text(encoding="utf-8")
    for entry in reflect(parse(source)).entry_points:
        assert compiled(compiler, print_kernel(source, entry, {}, checks=True), "sm_90a")


@pytest.mark.slow
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_kernel_of_the_repository(compiler: Compiler, architecture: str) -> None:
    """One architecture gets all kernels, the others every sixth: each takes up to a second."""
    sources = {source: name for name, source in corpus()}
    assert len(sources) > 150
    step = 1 if architecture == "sm_90a" else 6
    for source, name in list(sources.items())[::step]:
        if "subgroup_matrix" in source and number_of(architecture) < OLDEST_WITH_UNITS:
            continue
        for entry in reflect(parse(source)).entry_points:
            kernel = print_kernel(source, entry, {}, checks=False)
            assert compiled(compiler, kernel, architecture), name


def test_the_cache_is_by_text_and_architecture(
    compiler: Compiler, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = 'extern "C" __global__ void w_kernel() {}'
    first = compiler.compile(text, "sm_90a")
    assert compiler.compile(text, "sm_80") != first
    assert len(list(tmp_path.iterdir())) == 2
    monkeypatch.setattr(compiler, "_compile", lambda *_: b"new")
    assert compiler.compile(text, "sm_90a") == first
    assert compiler.compile(text + " ", "sm_90a") == b"new"
    monkeypatch.setenv("GPUCORE_CUDA_CACHE", "/proc/nowhere")
    assert compiler.compile(text, "sm_90a") == b"new", "a cache that cannot be written is no fault"


def test_an_error_has_the_compilers_words(compiler: Compiler) -> None:
    with pytest.raises(CudaError, match='identifier "missing" is undefined'):
        compiler.compile('extern "C" __global__ void w_kernel() { missing; }', "sm_90a")
