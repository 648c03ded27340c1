"""What is printed compiles: NVRTC needs no card, and compiles for several of them."""

from __future__ import annotations

import functools
import os
import re
from typing import Any

import pytest

from gpucore import GpuKernel
from gpucore.backends.cuda.compiler import CudaCompiler, load_compiler
from gpucore.backends.drivers.errors import DriverError
from gpucore.wgsl import parse, reflect
from gpucore.wgsl.c_family import CUDA, PrintedKernel
from gpucore.wgsl.c_family.module import print_kernel
from gpustd.arrays.sorting.radix import sort_tiles
from gpustd.image.histograms import equalise_levels
from gpustd.launch.template import SHADERS
from tests.gpucore.wgsl.c_family.bundles import ShippedKernel, compile_together, entry_points
from tests.gpucore.wgsl.c_family.programs import EVERYTHING
from tests.gpucore.wgsl.test_corpus import corpus

ARCHITECTURES = ("sm_70", "sm_75", "sm_80", "sm_90a", "sm_100a")
OLDEST_WITH_UNITS = 80
PARTS = 12
"""Into how many tests the kernels are dealt; ``make test`` runs two of them."""
# A file without template marks, with workgroup memory and barriers.
SAMPLE = ("matmul/conv/windows.wgsl",)


class FrontEnd(CudaCompiler):
    """NVRTC up to what is optimised when programs are linked: a twentieth of the time.

    It finds all that C++ forbids on an architecture. Assembly is left as it is.
    """

    code_name = "LTOIR"
    options = (*CudaCompiler.options, "-dlto")


class Assembly(CudaCompiler):
    """NVRTC, with text in the place of machine code."""

    code_name = "PTX"


@pytest.fixture
def compiler() -> CudaCompiler:
    found = load_compiler()
    if found is None and os.environ.get("CI"):
        pytest.fail("NVRTC is missing: pip install nvidia-cuda-nvrtc")
    if found is None:
        pytest.skip("NVRTC is not installed")
    return found


def number_of(architecture: str) -> int:
    return int(architecture.removeprefix("sm_").removesuffix("a"))


def skip_unknown(compiler: CudaCompiler, architecture: str) -> None:
    """Skip the test of an architecture that NVRTC does not know: NVRTC 13 none before sm_75."""
    if number_of(architecture) not in compiler.architectures:
        pytest.skip(f"NVRTC {compiler.version} does not compile for {architecture}")


def compiled(compiler: CudaCompiler, kernel: PrintedKernel, architecture: str) -> bytes:
    """Compile for an architecture that NVRTC knows."""
    skip_unknown(compiler, architecture)
    return compiler.compile(kernel.text, architecture)


@pytest.mark.parametrize("checks", [True, False])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_everything(compiler: CudaCompiler, architecture: str, checks: bool) -> None:
    kernel = print_kernel(EVERYTHING, "main", {"scale": 3, "flag": False}, checks=checks)
    assert kernel.workgroup_size == (48, 1, 1)
    code = compiled(compiler, kernel, architecture)
    assert code[:4] == b"\x7fELF"
    assert b"w_kernel" in code
    assert ("w_zero(&words_" in kernel.text) == checks
    assert ("< y_count" in kernel.text) == checks


@pytest.mark.parametrize("name", SAMPLE)
def test_shipped_kernels(compiler: CudaCompiler, name: str) -> None:
    source = (SHADERS / name).read_text(encoding="utf-8")
    for entry in reflect(parse(source)).entry_points:
        assert compiled(compiler, print_kernel(source, entry, {}, checks=True), "sm_90a")


@pytest.mark.parametrize("kernel", [equalise_levels, sort_tiles], ids=lambda k: k.__name__)
def test_kernels_in_python(compiler: CudaCompiler, kernel: GpuKernel[Any, None]) -> None:
    made = kernel.compile()
    assert compiled(compiler, print_kernel(made.wgsl, made.entry, {}, checks=True), "sm_90a")


@functools.cache
def kernels() -> tuple[ShippedKernel, ...]:
    """Return each kernel of the repository."""
    found = entry_points(corpus())
    assert len(found) > 150
    return found


def compile_shipped(compiler: CudaCompiler, shipped: ShippedKernel, architecture: str) -> None:
    if "subgroup_matrix" in shipped.source and number_of(architecture) < OLDEST_WITH_UNITS:
        architecture = "sm_80"
    assert compiled(compiler, shipped.print_for(CUDA, checks=False), architecture), shipped.name


@pytest.mark.sampled
@pytest.mark.parametrize("part", range(PARTS))
def test_every_kernel_for_one_card(compiler: CudaCompiler, part: int) -> None:
    """Each kernel is compiled for one architecture, the next one for the next."""
    known = [each for each in ARCHITECTURES if number_of(each) in compiler.architectures]
    for number, shipped in enumerate(kernels()[part::PARTS]):
        compile_shipped(compiler, shipped, known[number % len(known)])


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_kernel_in_the_front_end(compiler: CudaCompiler, architecture: str) -> None:
    """Kernels of one prelude at once; those for matrix units for a card that has them."""
    skip_unknown(compiler, architecture)
    with_units = architecture
    if number_of(architecture) < OLDEST_WITH_UNITS:
        with_units = f"sm_{OLDEST_WITH_UNITS}"
    front = FrontEnd(compiler._library)
    for units in (False, True):
        some = [each for each in kernels() if ("subgroup_matrix" in each.source) == units]
        compile_text = functools.partial(
            front.compile, architecture=with_units if units else architecture
        )
        compile_together(some, CUDA, compile_text, checks=False, named=False)


@pytest.mark.slow
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_kernels_for_every_card(compiler: CudaCompiler, architecture: str) -> None:
    """One architecture gets all kernels, the others every sixth: each takes up to a second."""
    for shipped in kernels()[:: 1 if architecture == "sm_90a" else 6]:
        compile_shipped(compiler, shipped, architecture)


def test_an_endless_loop_stays(compiler: CudaCompiler) -> None:
    """Without checks the kernel is empty: nothing behind such a loop has a meaning in C++."""
    source = """@group(0) @binding(0) var<storage, read_write> y: array<u32>;
@compute @workgroup_size(1) fn main() { while true { if false { break; } } y[0] = 1u; }
"""
    for checks in (True, False):
        kernel = print_kernel(source, "main", {}, checks=checks)
        text = Assembly(compiler._library).compile(kernel.text, "sm_90a").decode()
        assert ("bra.uni" in text) == checks


def test_an_error_has_the_compilers_words(compiler: CudaCompiler) -> None:
    with pytest.raises(DriverError, match='identifier "missing" is undefined'):
        compiler.compile('extern "C" __global__ void w_kernel() { missing; }', "sm_90a")
    with pytest.raises(DriverError, match='identifier "missing" is undefined'):
        FrontEnd(compiler._library).compile("__global__ void w_kernel() { missing; }", "sm_80")


REPEATED = """
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3u) {
    var total = 0f;
    for (var k = 0u; k < arrayLength(&y); k += 1u) {
        total += sqrt(x[id.x] + 2f) * f32(k) + sqrt(x[id.x] + 2f);
        total = total * sqrt(x[id.x] + 2f);
    }
    y[id.x] = total;
}
"""


def test_nvrtc_computes_once_what_is_repeated(compiler: CudaCompiler) -> None:
    """Of three equal roots in a loop one is left, before the loop.

    With checks a load may not move, nor what is made of it: the compiler of kernels in Python does.
    """
    kernel = print_kernel(REPEATED, "main", {}, checks=False)
    text = Assembly(compiler._library).compile(kernel.text, "sm_90a").decode()
    label = re.search(r"^\$L__BB\d+_\d+:", text, re.MULTILINE)
    assert label is not None
    assert text.count("ld.global") == text.count("sqrt.") == 1
    assert text.index("sqrt.") < label.start()


HALVES = """enable f16;
@group(0) @binding(0) var<storage, read_write> y: array<vec4<f16>>;
@compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3u) {
    let a = y[id.x]; let b = y[id.x + 64u];
    y[id.x] = fma(a, b, max(a * 3h, 1h + b) - min(a, b));
}
"""


def test_f16_are_computed_two_at_a_time(compiler: CudaCompiler) -> None:
    """Cards before sm_80 have no instruction for the least and the greatest."""
    kernel = print_kernel(HALVES, "main", {}, checks=False)
    for architecture, ordered in (("sm_75", 0), ("sm_90a", 2)):
        text = Assembly(compiler._library).compile(kernel.text, architecture).decode()
        counts = {name: text.count(f"{name}.rn.f16x2") for name in ("add", "sub", "mul", "fma")}
        assert set(counts.values()) == {2}, counts
        assert text.count("min.f16x2") == text.count("max.f16x2") == ordered
        assert not re.search(r"(add|sub|mul|fma)\.rn\.f16 ", text)


NEIGHBOURS = """
@group(0) @binding(0) var<storage, read> x: array<vec2f>;
@group(0) @binding(1) var<storage, read_write> y: array<vec2f>;
@compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3u) {
    let at = id.x * 7u;
    y[id.x] = x[at] + x[at + 4u] + x[at + 8u] + x[at + 12u];
}
"""


def test_what_is_added_to_an_index_costs_nothing(compiler: CudaCompiler) -> None:
    """Four loads share an address, and have their distances from it in themselves."""
    kernel = print_kernel(NEIGHBOURS, "main", {}, checks=False)
    text = Assembly(compiler._library).compile(kernel.text, "sm_90a").decode()
    loads = re.findall(r"ld\.global\S* .*\[(%rd\d+)(?:\+(\d+))?\]", text)
    assert len({address for address, _ in loads}) == 1
    assert sorted(int(distance or 0) for _, distance in loads) == [0, 32, 64, 96]


DIVIDED = """
@group(0) @binding(0) var<storage, read_write> y: array<vec2u>;
@group(0) @binding(1) var<uniform> by: u32;
@compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3u) {
    y[id.x] = vec2u(id.x / by, id.x % by);
}
"""


def test_quotient_and_remainder_are_one_division(compiler: CudaCompiler) -> None:
    kernel = print_kernel(DIVIDED, "main", {}, checks=False)
    text = Assembly(compiler._library).compile(kernel.text, "sm_90a").decode()
    assert len(re.findall(r"(div|rem)\.u32", text)) == 1
    assert "bra" not in text


PLACE = """
@group(0) @binding(0) var<storage, read_write> y: array<vec4u>;
@compute @workgroup_size(SIZE) fn main(
    @builtin(local_invocation_index) t: u32,
    @builtin(global_invocation_id) id: vec3u,
) { y[t] = vec4u(id, t); }
"""


@pytest.mark.parametrize(("size", "axes"), [("64", "x"), ("8, 1, 4", "xz"), ("8, 4, 2", "xyz")])
def test_places_along_axes_of_one_are_not_asked_for(
    compiler: CudaCompiler, size: str, axes: str
) -> None:
    kernel = print_kernel(PLACE.replace("SIZE", size), "main", {}, checks=False)
    text = Assembly(compiler._library).compile(kernel.text, "sm_90a").decode()
    assert set(re.findall(r"%tid\.(\w)", text)) == set(axes)


SHUFFLED = """enable subgroups;
diagnostic(off, subgroup_uniformity);
@group(0) @binding(0) var<storage, read_write> y: array<f32>;
@group(0) @binding(1) var<uniform> count: u32;
@compute @workgroup_size(128) fn main(@builtin(local_invocation_index) t: u32) {
    if (t / BY >= count) { return; }
    y[t] += subgroupShuffleUp(y[t], 1u);
}
"""


@pytest.mark.parametrize(("by", "asks"), [("32u", False), ("16u", True)])
def test_lanes_that_stay_together_are_not_asked_for(
    compiler: CudaCompiler, by: str, asks: bool
) -> None:
    kernel = print_kernel(SHUFFLED.replace("BY", by), "main", {}, checks=False)
    text = Assembly(compiler._library).compile(kernel.text, "sm_90a").decode()
    assert ("activemask" in text) == asks
    assert text.count("shfl.sync.idx") == (not asks), "the index of the subgroup"


REDUCED = """enable subgroups;
@group(0) @binding(0) var<storage, read_write> y: array<KIND>;
@compute @workgroup_size(64) fn main(@builtin(local_invocation_index) t: u32) {
    let a = y[t];
    y[t] = subgroupAdd(a) + subgroupMin(a) + subgroupMax(a) + subgroupMul(a);
}
"""


@pytest.mark.parametrize(
    ("kind", "architecture", "count"),
    [("u32", "sm_90a", 3), ("i32", "sm_90a", 3), ("f32", "sm_90a", 0), ("u32", "sm_75", 0)],
)
def test_whole_numbers_are_reduced_at_once(
    compiler: CudaCompiler, kind: str, architecture: str, count: int
) -> None:
    skip_unknown(compiler, architecture)
    kernel = print_kernel(REDUCED.replace("KIND", kind), "main", {}, checks=False)
    text = Assembly(compiler._library).compile(kernel.text, architecture).decode()
    assert text.count("redux.sync") == count
    assert text.count("shfl.sync.bfly") == 5 * (4 - count)
