"""What is printed for HIP compiles for AMD's cards, which needs none of them."""

from __future__ import annotations

import functools

import pytest

from gpucore.backends.drivers.errors import DriverError
from gpucore.backends.hip.cards import target_of
from gpucore.backends.hip.compiler import known_architectures
from gpucore.wgsl.c_family import HIP_32, HIP_64, UnsupportedError
from gpucore.wgsl.c_family.module import print_kernel
from tests.gpucore.wgsl.c_family.amd_compilers import ARCHITECTURES, compile_for, hiprtc
from tests.gpucore.wgsl.c_family.bundles import ShippedKernel, compile_together, entry_points
from tests.gpucore.wgsl.c_family.programs import EVERYTHING
from tests.gpucore.wgsl.test_corpus import corpus

PARTS = 12
"""Into how many tests the kernels are dealt, so that processes share them."""


@functools.cache
def kernels() -> tuple[ShippedKernel, ...]:
    """Return each kernel of the repository without matrix units."""
    found = entry_points(each for each in corpus() if "subgroup_matrix" not in each[1])
    assert len(found) > 150
    return found


@pytest.mark.parametrize("checks", [True, False])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_everything(architecture: str, checks: bool) -> None:
    target = target_of(architecture)
    kernel = print_kernel(EVERYTHING, "main", {"scale": 3}, checks=checks, target=target)
    code = compile_for(architecture, kernel.text)
    assert b"w_kernel" in code
    assert ("w_zero(&words_" in kernel.text) == checks


@pytest.mark.parametrize("part", range(PARTS))
def test_every_kernel_for_one_card(part: int) -> None:
    """Each kernel is compiled for one architecture, the next one for the next."""
    hiprtc()
    mine = kernels()[part::PARTS]
    for number, architecture in enumerate(ARCHITECTURES):
        some = mine[number :: len(ARCHITECTURES)]
        compile_text = functools.partial(compile_for, architecture)
        compile_together(some, target_of(architecture), compile_text, checks=False)


@pytest.mark.slow
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_kernel_for_every_card(architecture: str) -> None:
    compile_text = functools.partial(compile_for, architecture)
    compile_together(kernels(), target_of(architecture), compile_text, checks=True)


def test_the_language_follows_from_the_architecture() -> None:
    assert target_of("gfx90a:sramecc+:xnack-") is target_of("gfx803") is HIP_64
    assert target_of("gfx1030") is target_of("gfx1100") is target_of("gfx1201") is HIP_32


def test_matrix_units_are_refused() -> None:
    source = """enable f16; enable chromium_experimental_subgroup_matrix;
@group(0) @binding(0) var<storage, read_write> y: array<f16>;
@compute @workgroup_size(32) fn main() {
    let a = subgroupMatrixLoad<subgroup_matrix_left<f16, 16, 16>>(&y, 0, false, 16);
}
"""
    with pytest.raises(UnsupportedError, match="matrix units cannot be printed for hip"):
        print_kernel(source, "main", {}, checks=False, target=HIP_32)


def test_an_error_has_the_compilers_words() -> None:
    with pytest.raises(DriverError, match="use of undeclared identifier 'missing'"):
        hiprtc().compile('extern "C" __global__ void w_kernel() { missing; }', "gfx1030")


def test_architectures_that_the_compiler_does_not_know() -> None:
    compiler = hiprtc()
    assert compiler.covers("gfx90a:sramecc+:xnack-")
    assert not compiler.covers("gfx1")
    assert known_architectures(None) is None
