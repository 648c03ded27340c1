"""Workgroup memory is zero at first: the rewritten text, and its results on engines."""

from __future__ import annotations

import numpy as np
import pytest

from gpucore import Device, KernelCompileError, u32
from gpucore.wgsl import parse, print_module
from gpucore.wgsl.zeroing import zero_workgroup_memory

HEAD = "@group(0) @binding(0) var<storage, read_write> out: array<u32>;\n"

# Every kind of type; `main` counts what is not zero before anything is written.
KINDS = (
    HEAD
    + """\
override WIDE: u32 = 37;
override ACROSS: i32 = 4;
const ROWS: i32 = 5;
alias Row = array<vec3<f32>, ROWS>;
alias Count = atomic<i32>;
struct Inner { flags: vec2<bool>, counts: array<Count, 3> }
struct Outer { inner: array<Inner, 2>, top: atomic<u32>, plain: mat2x3<f32>, rows: Row }
struct Given { @builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) at: u32 }
var<workgroup> one: f32;
var<workgroup> yes: bool;
var<workgroup> peak: atomic<u32>;
var<workgroup> wide: array<u32, WIDE * 2>;
var<workgroup> cube: array<array<array<u32, 3>, ROWS>, 4>;
var<workgroup> counts: array<array<Count, 4>, 7>;
var<workgroup> outer: Outer;
var<workgroup> outers: array<Outer, 3>;
var<workgroup> unused: array<f32, 9>;

fn outer_sum() -> u32 {
    var bad = 0u;
    for (var j = 0; j < 2; j++) {
        for (var k = 0; k < 3; k++) {
            bad |= u32(atomicLoad(&outer.inner[j].counts[k]));
            for (var i = 0; i < 3; i++) { bad |= u32(atomicLoad(&outers[i].inner[j].counts[k])); }
        }
        bad |= u32(any(outer.inner[j].flags)) | u32(any(outers[2].inner[j].flags));
    }
    for (var j = 0; j < 5; j++) { bad |= u32(any(outer.rows[j] != vec3f())); }
    return bad | u32(outer.plain[1].z != 0.0) | atomicLoad(&outer.top) | atomicLoad(&outers[1].top);
}

@compute @workgroup_size(ACROSS, ROWS, 1)
fn main(given: Given) {
    var bad = u32(one != 0.0) | u32(yes) | atomicLoad(&peak) | outer_sum();
    for (var i = 0u; i < WIDE * 2; i++) { bad |= wide[i]; }
    for (var i = 0; i < 60; i++) { bad |= cube[i / 15][i / 3 % 5][i % 3]; }
    for (var i = 0; i < 28; i++) { bad |= u32(atomicLoad(&counts[i / 4][i % 4])); }
    out[given.group.x * u32(ACROSS) * 5 + given.at] = bad;
    workgroupBarrier();
    one = 1.0; yes = true; atomicStore(&peak, 1u); atomicStore(&outer.top, 1u);
    for (var i = 0u; i < WIDE * 2; i++) { wide[i] = 7; }
    for (var i = 0; i < 60; i++) { cube[i / 15][i / 3 % 5][i % 3] = 7; }
    for (var i = 0; i < 28; i++) { atomicStore(&counts[i / 4][i % 4], -1); }
    for (var j = 0; j < 5; j++) { outer.rows[j] = vec3f(1); }
    outer.plain = mat2x3f(1, 1, 1, 1, 1, 1);
    for (var j = 0; j < 2; j++) {
        outer.inner[j].flags = vec2<bool>(true);
        outers[2].inner[j].flags = vec2<bool>(true);
        for (var k = 0; k < 3; k++) {
            atomicStore(&outer.inner[j].counts[k], 9);
            for (var i = 0; i < 3; i++) { atomicStore(&outers[i].inner[j].counts[k], 9); }
        }
    }
    atomicStore(&outers[1].top, 3u);
}
"""
)

# A parameter hides a variable that a called function uses.
HIDDEN = (
    HEAD
    + """\
var<workgroup> tile: array<u32, 64>;
fn total() -> u32 { var sum = 0u; for (var i = 0; i < 64; i++) { sum |= tile[i]; } return sum; }
fn spoil() { for (var i = 0; i < 64; i++) { tile[i] = 5; } }
@compute @workgroup_size(1) fn main(@builtin(workgroup_id) tile: vec3u) { out[tile.x] = total();
    spoil(); }
"""
)
BARE = HEAD + "var<workgroup> a: u32;@compute @workgroup_size(1) fn main() { out[0] = a; } // end"
"""No parameter, one line, a comment without a line's end."""

COMMENTED = (
    HEAD
    + """\
var<workgroup> a: array<u32, 4>;
@compute @workgroup_size(2) fn /* { ( */ main /* ( */ ( // x {
    @builtin(workgroup_id) group: vec3u, ) /* { */ {
    let seen = a[0] | a[3]; workgroupBarrier(); a[3] = 1; out[group.x] = seen; }
"""
)

SPOILS = (
    HEAD
    + """\
var<workgroup> memory: array<u32, 2048>;
@compute @workgroup_size(64) fn main(@builtin(local_invocation_index) at: u32) {
    for (var i = at; i < 2048; i += 64) { memory[i] = 0xdeadbeef; }
    workgroupBarrier();
    out[at] = memory[2047 - at];
}
"""
)


@pytest.mark.parametrize("source", [KINDS, HIDDEN, BARE])
def test_lines_keep_their_numbers(source: str) -> None:
    """Only the entry point's head changes, every line keeps its number, and the result parses."""
    before, after = source.splitlines(), zero_workgroup_memory(source, "main").splitlines()
    assert after[-1].startswith("fn zero_workgroup0(")
    changed = [old for old, new in zip(before, after, strict=False) if old != new]
    assert len(changed) == 1
    assert "fn main(" in changed[0]
    module = parse("\n".join(after))
    assert parse(print_module(module)) == module


def test_the_text() -> None:
    source = (
        "var<workgroup> t: array<f32, 8>;\n@compute @workgroup_size(4)\nfn f() {\nt[0] = 1;\n}\n"
    )
    assert zero_workgroup_memory(source, "f") == (
        "var<workgroup> t: array<f32, 8>;\n@compute @workgroup_size(4)\n"
        "fn f(@builtin(local_invocation_index) zero_workgroup0_index: u32) {"
        " zero_workgroup0(zero_workgroup0_index); \nt[0] = 1;\n}\n\n"
        "fn zero_workgroup0(zero_workgroup0_index: u32) { "
        "for (var zero_workgroup0_i0 = zero_workgroup0_index; zero_workgroup0_i0 < u32(8); "
        "zero_workgroup0_i0 += u32(4)) { t[zero_workgroup0_i0 / (1u) % u32(8)] = f32(); } "
        "workgroupBarrier(); }\n"
    )


@pytest.mark.parametrize(
    "source",
    [
        HEAD + "@compute @workgroup_size(1) fn main() { out[0] = 1; }",
        "var<workgroup> a: u32;\n" + HEAD + "@compute @workgroup_size(1) fn main() { out[0] = 1; }",
        "var<workgroup> a: u32; @compute @workgroup_size(1) fn other() { a = 1; }",
        "var<workgroup> a: u32; fn main() { a = 1; }",
        "var<workgroup> a: b; alias b = b; @compute @workgroup_size(1) fn main() { _ = a; }",
        "var<workgroup> a: b; struct b { c: b } @compute @workgroup_size(1) fn main() { _ = a; }",
        "var<workgroup> a: u32; fn main() { a = ; }",
    ],
)
def test_nothing_to_do(source: str) -> None:
    assert zero_workgroup_memory(source, "main") == source


def test_names_in_use_are_passed_by() -> None:
    source = HEAD + "var<workgroup> zero_workgroup0: u32;\n@compute @workgroup_size(1) fn main() "
    assert "fn zero_workgroup1(" in zero_workgroup_memory(
        source + "{ out[0] = zero_workgroup0; }", "main"
    )


@pytest.mark.parametrize("source", [KINDS, HIDDEN, BARE, COMMENTED])
def test_workgroup_memory_is_zero_at_first(device: Device, source: str) -> None:
    """Run 500 workgroups, after others have left their numbers in the memory."""
    out = device.buffer(u32, 500 * 20)
    spoil, kernel = device.compile_kernel(SPOILS), device.compile_kernel(source)
    for _ in range(2):
        out.write(np.full(out.shape, 1, np.uint32))
        spoil(out, grid=500)
        kernel(out, grid=500)
    written = {KINDS: out.size, BARE: 1}.get(source, 500)
    assert not out.read()[:written].any()


def test_overrides_count(device: Device) -> None:
    out = device.buffer(u32, 500 * 20)
    out.write(np.full(out.shape, 1, np.uint32))
    device.compile_kernel(SPOILS)(out, grid=500)
    device.compile_kernel(KINDS, constants={"WIDE": 201, "ACROSS": 2})(out, grid=1000)
    assert not out.read().any()


def test_errors_name_the_places_as_written(device: Device) -> None:
    source = BARE.replace("out[0] = a", "out[0] = 1.5f")
    with pytest.raises(KernelCompileError) as caught:
        device.compile_kernel(source)
    alone = source.replace("var<workgroup> a: u32;", "")
    with pytest.raises(KernelCompileError) as expected:
        device.compile_kernel(alone)
    shift = len(source) - len(alone)
    assert caught.value.line == expected.value.line == 2
    assert caught.value.column == expected.value.column + shift
