"""Small kernels in the interpreter: their results, and each kind of fault."""

from __future__ import annotations

import numpy as np
import pytest

from gpucore import ArgumentError, GpuError
from gpucore.interpreter import (
    Access,
    BarrierError,
    OutOfBoundsError,
    RaceError,
    ResultError,
    UninitializedError,
    UnsupportedWgslError,
    WorkgroupError,
    run_workgroups,
)

REVERSE = """
@group(0) @binding(0) var<storage, read> x: array<u32>;
@group(0) @binding(1) var<storage, read_write> y: array<u32>;
var<workgroup> tile: array<u32, 8>;

@compute @workgroup_size(8)
fn main(@builtin(local_invocation_index) i: u32, @builtin(workgroup_id) group: vec3u) {
    tile[i] = x[8u * group.x + i];
    workgroupBarrier();
    y[8u * group.x + i] = tile[7u - i];
}
"""

# Each entry: what is replaced, by what, the error, and the access that shows the fault.
FAULTS: dict[str, tuple[str, str, type[WorkgroupError], Access | None]] = {
    "no barrier": (
        "workgroupBarrier();",
        "",
        UninitializedError,
        Access("tile", 7, "invocation 0", 0),
    ),
    "one element for two": (
        "tile[i] =",
        "tile[i / 2u] =",
        RaceError,
        Access("tile", 0, "invocation 1", 0),
    ),
    "a barrier for some": (
        "workgroupBarrier();",
        "workgroupBarrier(); if (i < 5u) { workgroupBarrier(); }",
        BarrierError,
        None,
    ),
    "past the end": ("tile[7u - i]", "tile[8u - i]", OutOfBoundsError, None),
    "below zero": ("tile[7u - i]", "tile[6u - i]", OutOfBoundsError, None),
    "written twice": ("y[8u * group.x + i]", "y[8u * group.x]", ResultError, None),
    "never written": (
        "y[8u * group.x + i] = tile[7u - i];",
        "if (i < 7u) { y[8u * group.x + i] = tile[7u - i]; }",
        ResultError,
        None,
    ),
}


def test_a_kernel_is_run() -> None:
    x = np.arange(24, dtype=np.uint32)
    y = np.zeros(24, np.uint32)
    run_workgroups(REVERSE, [x, y], grid=(3, 1, 1))
    np.testing.assert_array_equal(y, x.reshape(3, 8)[:, ::-1].reshape(-1))


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_found(name: str) -> None:
    old, new, kind, access = FAULTS[name]
    assert REVERSE.count(old) == 1
    arrays = [np.zeros(8, np.uint32), np.zeros(8, np.uint32)]
    with pytest.raises(kind) as caught:
        run_workgroups(REVERSE.replace(old, new), arrays, grid=(1,))
    if access is not None:
        assert caught.value.access == access
        assert str(access) in str(caught.value)


def test_built_in_values() -> None:
    source = """
        @group(0) @binding(0) var<storage, read_write> y: array<vec4<u32>>;
        @compute @workgroup_size(2, 3, 2)
        fn main(
            @builtin(global_invocation_id) id: vec3u,
            @builtin(local_invocation_id) local: vec3u,
            @builtin(num_workgroups) groups: vec3u,
        ) {
            let width = groups.x * 2u;
            let at = (id.z * 3u + id.y) * width + id.x;
            y[at] = vec4<u32>(id.x, local.y, id.z, groups.x);
        }"""
    y = np.zeros((4, 3, 4, 4), np.uint32)
    run_workgroups(source, [y], grid=(2, 1, 2))
    z, row, x = np.indices((4, 3, 4))
    np.testing.assert_array_equal(y, np.stack([x, row, z, np.full_like(x, 2)], -1))


def test_f32_rounds_as_f32_does() -> None:
    source = """
        @group(0) @binding(0) var<storage, read> x: array<f32>;
        @group(0) @binding(1) var<storage, read_write> y: array<f32>;
        @compute @workgroup_size(4)
        fn main(@builtin(local_invocation_index) i: u32) { y[i] = x[i] / 3.0 + 1e-3; }"""
    x, y = np.array([1, 2, 4, 5], np.float32), np.zeros(4, np.float32)
    run_workgroups(source, [x, y], grid=(1,))
    np.testing.assert_array_equal(y, x / np.float32(3) + np.float32(1e-3))


def test_arrays_are_counted() -> None:
    x = np.zeros(8, np.uint32)
    with pytest.raises(ArgumentError, match="'y' has none"):
        run_workgroups(REVERSE, [x], grid=(1,))
    with pytest.raises(ArgumentError, match="got 3, which is 1 too many"):
        run_workgroups(REVERSE, [x, x, x], grid=(1,))


def test_what_is_not_known_is_refused() -> None:
    with pytest.raises(UnsupportedWgslError, match=r"does not know this Loop, line 2: loop \{"):
        run_workgroups("fn f() {\n    loop { break; }\n}", [], grid=(1,))
    assert issubclass(UnsupportedWgslError, GpuError)
