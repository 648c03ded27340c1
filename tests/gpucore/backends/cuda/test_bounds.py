"""Registers for fewer workgroups: what NVRTC's machine code takes, and which kernel is kept."""

from __future__ import annotations

import re

import pytest

from gpucore.backends.cuda import compiler as cuda_compiler
from gpucore.backends.cuda.compiler import CudaCompiler, load_compiler
from gpucore.backends.cuda.occupancy import Occupancy, Usage, occupy, read_usage
from gpucore.wgsl.c_family import PrintedKernel
from gpucore.wgsl.c_family.module import print_kernel
from tests.gpucore.backends.cuda.fake_cuda import FakeCompilerLibrary

SOURCE = """
@group(0) @binding(0) var<storage, read_write> y: array<u32>;
var<workgroup> tile: array<u32, 6144>;
@compute @workgroup_size(128) fn main(@builtin(local_invocation_index) t: u32) {
    var kept: array<u32, 64>;
    for (var i = 0u; i < 64u; i++) { kept[y[i] % 64u] = i; }
    tile[t] = kept[t % 64u];
    workgroupBarrier();
    y[t] = tile[y[t] % 6144u];
}
"""


@pytest.fixture
def kernel() -> PrintedKernel:
    return print_kernel(SOURCE, "main", {}, checks=False)


def test_machine_code_says_what_it_takes(kernel: PrintedKernel) -> None:
    compiler = load_compiler()
    if compiler is None:
        pytest.skip("NVRTC is not installed")
    code = compiler.compile(kernel.bounded_text(9), "sm_90a")
    usage = read_usage(code)
    assert usage is not None
    assert 8 < usage.registers <= 65536 // (9 * 128)
    assert usage.stack == 256
    assert 24576 <= usage.memory <= 24576 + 1024
    found = occupy(code, kernel, "sm_90a")
    assert found is not None
    assert found.workgroups == 9  # of 228 KiB
    assert found.registers % (9 * 4 * 256) == 0
    assert occupy(code, kernel, "sm_30") is None


@pytest.mark.parametrize("code", [b"", b"text", b"x" * 400])
def test_other_code_says_nothing(code: bytes) -> None:
    assert read_usage(code) is None


def test_bounds_are_of_the_kernel_alone(kernel: PrintedKernel) -> None:
    assert kernel.bounded_text(5).count("__launch_bounds__(128, 5)") == 1
    assert "__launch_bounds__(128)" not in kernel.bounded_text(5)


# Registers, stack and workgroups as NVRTC gives them, the fewest workgroups that are tried, and
# with these registers, stack and workgroups again.
CASES = {
    "sort stops to spill": ((64, 16, 8), 5, (80, 0, 6), True),
    "sort goes on": ((64, 16, 8), 5, (80, 8, 6), False),
    "resize spills less": ((128, 16, 2), 2, (128, 8, 2), True),
    "resize would spill as much": ((128, 16, 2), 2, (128, 16, 2), False),
    "convolve stops to spill": ((32, 8, 8), 5, (48, 0, 5), True),
    "fft has registers to take": ((48, 0, 5), 4, (62, 0, 4), True),
    "fft has them for nothing": ((52, 0, 2), 2, (60, 0, 2), True),
    "qr keeps rows in registers": ((56, 0, 18), 12, (80, 0, 12), True),
    "rfft leaves some": ((62, 0, 4), 3, (72, 0, 3), True),
    "gaussian blur would leave more": ((64, 0, 4), 3, (64, 0, 3), False),
    "fft would spill": ((62, 0, 4), 3, (80, 8, 3), False),
    "copies save none": ((32, 0, 8), None, (64, 0, 4), False),
}


@pytest.mark.parametrize(("before", "least", "after", "kept"), CASES.values(), ids=CASES)
def test_three_eighths_of_the_workgroups_may_go(
    monkeypatch: pytest.MonkeyPatch,
    kernel: PrintedKernel,
    before: tuple[int, int, int],
    least: int | None,
    after: tuple[int, int, int],
    kept: bool,
) -> None:
    compiler = CudaCompiler(FakeCompilerLibrary())
    monkeypatch.setattr(compiler, "compile", lambda text, architecture: text.encode())
    asked: list[int] = []

    def occupied(code: bytes, kernel: PrintedKernel, architecture: str) -> Occupancy:
        bound = re.search(rb"__launch_bounds__\(128, (\d+)\)", code)
        if bound is not None:
            asked.append(int(bound[1]))
        registers, stack, workgroups = before if bound is None else after
        usage = Usage(registers, stack, 0)
        return Occupancy(usage, workgroups, workgroups * (registers + 7) // 8)

    monkeypatch.setattr(cuda_compiler, "occupy", occupied)
    code = compiler.compile_kernel(kernel, "sm_90a")
    changed = b"__launch_bounds__(128, " in code
    assert changed == kept
    assert asked in ([], [least])
    assert asked or not changed
