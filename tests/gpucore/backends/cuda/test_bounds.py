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

Taken = tuple[int, int, int]

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


# Registers, stack and workgroups as NVRTC gives them; the same by the fewest workgroups that are
# asked for, in the order of the tries; and which of these is kept.
CASES: dict[str, tuple[Taken, dict[int, Taken], int | None]] = {
    "sort stops to spill": ((64, 16, 8), {5: (80, 0, 6)}, 5),
    "sort goes on": ((64, 16, 8), {5: (80, 8, 6), 6: (80, 8, 6)}, None),
    "resize spills less": ((128, 16, 2), {2: (128, 8, 2)}, 2),
    "resize would spill as much": ((128, 16, 2), {2: (128, 16, 2)}, None),
    "convolve stops to spill": ((32, 8, 8), {5: (48, 0, 5)}, 5),
    "fft has registers to take": ((48, 0, 5), {4: (62, 0, 4)}, 4),
    "fft has them for nothing": ((52, 0, 2), {2: (60, 0, 2)}, 2),
    "blur has a workgroup more": ((72, 0, 7), {5: (64, 0, 8)}, 5),
    "fft would have fewer": ((63, 0, 2), {2: (56, 0, 2)}, None),
    "qr keeps rows in registers": ((56, 0, 18), {12: (80, 0, 12)}, 12),
    "rfft leaves some": ((62, 0, 4), {3: (72, 0, 3)}, 3),
    "median would leave some": ((80, 0, 12), {8: (109, 0, 8), 9: (96, 0, 10)}, 9),
    "blur would leave more": ((64, 0, 8), {5: (68, 0, 5), 6: (65, 0, 5)}, None),
    "fft would spill": ((62, 0, 4), {3: (80, 8, 3)}, None),
    "copies save none": ((32, 0, 8), {}, None),
}


@pytest.mark.parametrize(("before", "tries", "kept"), CASES.values(), ids=CASES)
def test_some_workgroups_may_go_for_registers(
    monkeypatch: pytest.MonkeyPatch,
    kernel: PrintedKernel,
    before: Taken,
    tries: dict[int, Taken],
    kept: int | None,
) -> None:
    compiler = CudaCompiler(FakeCompilerLibrary())
    asked: list[int] = []

    def bound_of(code: bytes) -> int | None:
        bound = re.search(rb"__launch_bounds__\(128, (\d+)\)", code)
        return int(bound[1]) if bound else None

    def compile_text(text: str, architecture: str) -> bytes:
        if (bound := bound_of(text.encode())) is not None:
            asked.append(bound)
        return text.encode()

    def occupied(code: bytes, kernel: PrintedKernel, architecture: str) -> Occupancy:
        bound = bound_of(code)
        registers, stack, workgroups = before if bound is None else tries[bound]
        usage = Usage(registers, stack, 0)
        return Occupancy(usage, workgroups, workgroups * ((registers + 7) // 8))

    monkeypatch.setattr(compiler, "compile", compile_text)
    monkeypatch.setattr(cuda_compiler, "occupy", occupied)
    assert bound_of(compiler.compile_kernel(kernel, "sm_90a")) == kept
    assert asked == list(tries)
