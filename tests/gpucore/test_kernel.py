"""Kernels check their arguments against the WGSL, and compile errors show the WGSL line."""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np
import pytest

from gpucore import (
    ArgumentError,
    Buffer,
    Device,
    Kernel,
    KernelCompileError,
    LimitError,
    ReleasedBufferError,
    f32,
    i32,
    u8,
    u32,
)
from tests.gpucore.kernels import AFFINE, INCREMENT

SIZES = {"count": 4, "factor": 2, "shift": 1}
Y = "WGSL line 3 declares `@group(0) @binding(1) var<storage, read_write> y: array<f32>;`"


@pytest.fixture
def affine(device: Device) -> Kernel:
    return device.compile_kernel(AFFINE)


@pytest.fixture
def x(device: Device) -> Buffer[f32]:
    return device.buffer_from_array(np.arange(4, dtype=np.float32))


def test_a_kernel_is_called_like_a_function(device: Device, affine: Kernel, x: Buffer[f32]) -> None:
    y = device.buffer(f32, 4)
    affine(x, y, SIZES, grid=(1, 1, 1))
    assert y.read().tolist() == [1, 3, 5, 7]
    device.execute_kernel(affine, [x, y, {"count": 4, "factor": 1, "shift": 0}], grid=1)
    assert y.read().tolist() == [0, 1, 2, 3]


def test_every_workgroup_of_the_grid_runs(device: Device) -> None:
    source = """\
@group(0) @binding(0) var<storage, read_write> y: array<u32>;
@compute @workgroup_size(1)
fn main(@builtin(workgroup_id) id: vec3u, @builtin(num_workgroups) n: vec3u) {
    y[(id.z * n.y + id.y) * n.x + id.x] += id.x + 10u * id.y + 100u * id.z + 1u;
}
"""
    kernel = device.compile_kernel(source)
    y = device.buffer_from_array(np.zeros((3, 2, 5), np.uint32))
    kernel(y, grid=(5, 2, 3))
    z, row, column = np.indices((3, 2, 5))
    assert (y.read() == column + 10 * row + 100 * z + 1).all()


def test_a_grid_with_a_zero_does_nothing(device: Device, affine: Kernel, x: Buffer[f32]) -> None:
    y = device.buffer_from_array(np.zeros(4, np.float32))
    affine(x, y, SIZES, grid=(3, 0))
    assert not y.read().any()


@pytest.mark.parametrize("grid", [(), (1, 1, 1, 1), -1, (1, -2)])
def test_grids_that_are_none(
    affine: Kernel, device: Device, x: Buffer[f32], grid: int | tuple[int, ...]
) -> None:
    with pytest.raises(ArgumentError, match=r"'main': grid must be 1 to 3 sizes >= 0, got"):
        affine(x, device.buffer(f32, 4), SIZES, grid=grid)


def test_grids_over_the_limit(device: Device, affine: Kernel, x: Buffer[f32]) -> None:
    most = device.limits["max_compute_workgroups_per_dimension"]
    with pytest.raises(LimitError, match=rf"more than {most} workgroups.*spread it over two"):
        affine(x, device.buffer(f32, 4), SIZES, grid=(1, most + 1))


def test_count(affine: Kernel, x: Buffer[f32]) -> None:
    with pytest.raises(ArgumentError, match="takes 3 arguments, got 2") as caught:
        affine(x, SIZES, grid=1)
    for declaration in ("read> x: array<f32>", "read_write> y: array<f32>", "<uniform> p: Sizes"):
        assert declaration in str(caught.value)


def test_dtype(device: Device, affine: Kernel, x: Buffer[f32]) -> None:
    for wrong in (device.buffer(i32, 4), device.buffer(u32, 4), device.buffer(u8, 16)):
        with pytest.raises(ArgumentError, match=f"dtype {wrong.dtype.name}; " + re.escape(Y)):
            affine(x, wrong, SIZES, grid=1)


def test_kind(affine: Kernel, device: Device, x: Buffer[f32]) -> None:
    with pytest.raises(ArgumentError, match=f"'y': got dict, not a Buffer; {re.escape(Y)}"):
        affine(x, SIZES, SIZES, grid=1)
    with pytest.raises(ArgumentError, match=r"'p': got Buffer.*fields count, factor, shift; WGSL"):
        affine(x, device.buffer(f32, 4), x, grid=1)


def test_memory_that_is_read_and_written_is_refused(affine: Kernel, x: Buffer[f32]) -> None:
    for alias in (x, x.view((2, 2))):
        with pytest.raises(ArgumentError, match=f"same memory as 'x'.*{re.escape(Y)}"):
            affine(x, alias, SIZES, grid=1)


def test_one_buffer_may_be_read_twice(device: Device, x: Buffer[f32]) -> None:
    source = """\
@group(0) @binding(0) var<storage, read> a: array<f32>;
@group(0) @binding(1) var<storage, read> b: array<f32>;
@group(0) @binding(2) var<storage, read_write> c: array<f32>;
@compute @workgroup_size(4)
fn main(@builtin(local_invocation_index) i: u32) { c[i] = a[i] * b[i]; }
"""
    kernel = device.compile_kernel(source)
    y = device.buffer(f32, 4)
    kernel(x, x.view((4, 1)), y, grid=1)
    assert y.read().tolist() == [0, 1, 4, 9]
    with pytest.raises(ArgumentError, match="'c': got the same memory as 'a'"):
        kernel(x, x, x, grid=1)


def test_devices_do_not_mix(affine: Kernel, x: Buffer[f32]) -> None:
    with pytest.raises(ArgumentError, match=r"null device.*lives on another device"):
        affine(x, Device.null().buffer(f32, 4), SIZES, grid=1)


def test_released_buffers_are_refused(affine: Kernel, device: Device, x: Buffer[f32]) -> None:
    y = device.buffer(f32, 4)
    y.release()
    with pytest.raises(ReleasedBufferError):
        affine(x, y, SIZES, grid=1)


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"count": 4, "factor": 2}, "missing shift"),
        ({**SIZES, "scale": 2}, "unknown scale"),
        ({**SIZES, "count": -1}, "count of type u32 got -1"),
        ({**SIZES, "count": 2**32}, "count of type u32 got 4294967296"),
        ({**SIZES, "count": 1.5}, "count of type u32 got 1.5"),
        ({**SIZES, "factor": "two"}, "factor of type f32 got 'two'"),
        ({**SIZES, "factor": [1, 2]}, "factor of type f32"),
    ],
)
def test_uniform_fields(
    device: Device, affine: Kernel, x: Buffer[f32], fields: Mapping[str, int], problem: str
) -> None:
    with pytest.raises(ArgumentError, match=re.escape(problem)) as caught:
        affine(x, device.buffer(f32, 4), fields, grid=1)
    assert "var<uniform> p: Sizes;" in str(caught.value)


def test_size(device: Device) -> None:
    """A buffer must have the fixed size, and whole elements of a runtime-sized array."""
    head = "@group(0) @binding(0) var<storage, read_write> a: "
    tail = ";\n@compute @workgroup_size(1)\nfn main() { a[1] = a[0]; }\n"
    fixed = device.compile_kernel(head + "array<f32, 100>" + tail)
    with pytest.raises(ArgumentError, match=r"of 396 bytes, needs 400; .*array<f32, 100>"):
        fixed(device.buffer(f32, 99), grid=1)
    fixed(device.buffer(f32, 100), grid=1)
    rows = device.compile_kernel(head + "array<array<f32, 100>>" + tail)
    with pytest.raises(ArgumentError, match=r"of 40 bytes, needs 400; .*array<array<f32, 100>>"):
        rows(device.buffer(f32, 10), grid=1)
    device.synchronize()


def test_overrides(device: Device) -> None:
    source = """\
override width: u32 = 2;
override half: f32 = 0.5;
override negate: bool = false;
@group(0) @binding(0) var<storage, read_write> y: array<f32>;
@compute @workgroup_size(width)
fn main(@builtin(global_invocation_id) id: vec3u) { y[id.x] = select(half, -half, negate); }
"""

    def run(constants: Mapping[str, float] | None) -> list[float]:
        y = device.buffer_from_array(np.zeros(4, np.float32))
        device.compile_kernel(source, constants=constants)(y, grid=1)
        values: list[float] = y.read().tolist()
        return values

    assert run(None) == [0.5, 0.5, 0, 0]
    assert run({"width": 3, "half": 0.25}) == [0.25, 0.25, 0.25, 0]
    assert run({"width": 1, "negate": True}) == [-0.5, 0, 0, 0]
    with pytest.raises(ArgumentError, match=r"no override depth.*there are: width, half, negate"):
        run({"depth": 1})


def test_overrides_with_numbers_are_set_by_name(device: Device) -> None:
    source = "@id(7) override step: f32 = 3.0;\n" + INCREMENT.replace("1.0", "step")
    x = device.buffer_from_array(np.zeros(64, np.float32))
    device.compile_kernel(source, constants={"step": 5})(x, grid=1)
    assert x.read()[0] == 5.0


HEADS = (
    "/*\nenable this on big arrays\n*/\n",
    "// enable subgroups;\n",
    "enable subgroups /* for sums */;\n",
    "requires readonly_and_readwrite_storage_textures; enable subgroups;\n",
)


@pytest.mark.parametrize("head", HEADS)
def test_what_stands_before_a_kernel(device: Device, head: str) -> None:
    """wgpu's compiler refuses the directive that WGSL requires of kernels with subgroups."""
    if "enable subgroups" in head and not device.subgroup_size[0]:
        pytest.skip(f"{device!r} has no subgroups")
    x = device.buffer_from_array(np.zeros(64, np.float32))
    device.compile_kernel(head + INCREMENT)(x, grid=1)
    assert x.read()[0] == 1.0


def test_an_override_without_a_value_is_refused(device: Device) -> None:
    source = "override factor: f32;\n" + INCREMENT.replace("1.0", "factor")
    with pytest.raises(KernelCompileError, match="factor"):
        device.compile_kernel(source)
    device.compile_kernel(source, constants={"factor": 2})


@pytest.mark.parametrize(
    ("wrong", "place"),
    [
        pytest.param("x[id.x] = x[id.x] + ;", (6, 29), id="syntax"),
        pytest.param("x[id.x = 1.0;", (6, 16), id="bracket"),
        pytest.param("x[id.x] = unheard_of;", (6, 19), id="unknown name"),
        pytest.param("x[id.x] = 1.0 + vec2u();", (6, None), id="types"),
        pytest.param("x[id.x] = 1u;", (6, None), id="assignment"),
        pytest.param("y = 1;", (6, 9), id="unknown target"),
    ],
)
def test_compile_errors_show_the_place(
    device: Device, wrong: str, place: tuple[int, int | None]
) -> None:
    """Engines differ in the column of a type error, never in its line."""
    source = INCREMENT.replace("x[id.x] = x[id.x] + 1.0;", wrong)
    with pytest.raises(KernelCompileError) as caught:
        device.compile_kernel(source)
    error = caught.value
    assert error.line == place[0]
    assert error.column == (place[1] or error.column) >= 9
    message, shown, caret = str(error).split("\n")
    assert len(message) > len("WGSL does not compile: ")
    assert shown == f"    6 |         {wrong}"
    assert caret.index("^") == len("    6 | ") + error.column - 1


def test_engines_say_why_and_not_only_where(device: Device) -> None:
    source = INCREMENT.replace("read_write", "read")
    with pytest.raises(KernelCompileError, match=r"not permitted|read-only"):
        device.compile_kernel(source)


def test_an_unknown_entry_point(device: Device) -> None:
    with pytest.raises(KernelCompileError, match=r"no compute entry point 'start'; .*: main"):
        device.compile_kernel(INCREMENT, "start")


def test_entry_points_take_only_what_they_use(device: Device) -> None:
    other = """
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@compute @workgroup_size(1)
fn other() { y[0] = 3.0; }
"""
    source = INCREMENT + other
    x, y = device.buffer_from_array(np.zeros(2, np.float32)), device.buffer(f32, 1)
    device.compile_kernel(source)(x, grid=1)
    device.compile_kernel(source, "other")(y, grid=1)
    assert x.read().tolist() == [1, 1]
    assert y.read().tolist() == [3]


def test_other_bind_groups_are_refused(device: Device) -> None:
    with pytest.raises(KernelCompileError, match=r"'x' is in @group\(1\)"):
        device.compile_kernel(INCREMENT.replace("@group(0)", "@group(1)"))


def test_a_compile_error_stays(device: Device) -> None:
    """Waiting again gives the same error, and the device goes on working."""
    source = INCREMENT.replace("1.0", "factor") + "override factor: f32;"
    kernel = device.compile_kernel(source, wait=False)
    for _ in range(2):
        with pytest.raises(KernelCompileError, match="factor"):
            kernel.wait()


def test_the_name_tells_the_signature(affine: Kernel) -> None:
    assert repr(affine).startswith("Kernel(main(@group(0) @binding(0) var<storage, read> x: array")


SUBGROUPS = """
enable subgroups;
@group(0) @binding(0) var<storage, read_write> y: array<u32>;
@compute @workgroup_size(32) fn main(@builtin(local_invocation_index) t: u32) {
    y[t] = subgroupMax(t) - subgroupMin(t);
}
"""


def test_one_text_with_subgroups_runs_on_every_engine_that_has_them(device: Device) -> None:
    """The directive is WGSL's; an engine that needs none must not refuse it."""
    if "subgroups" not in device.features:
        pytest.skip(f"{device!r} has no subgroups")
    y = device.buffer(u32, 32)
    device.compile_kernel(SUBGROUPS)(y, grid=1)
    spread = int(y.read()[0])
    assert 0 < spread < 32
    assert (spread + 1) & spread == 0


def test_a_buffer_is_no_number(
    affine: Kernel, x: Buffer[f32], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Packing would read it, so the launch would wait; it raises an error instead."""
    y = x.device.buffer(f32, 4)
    one = x.device.buffer_from_array(np.ones(1, np.float32))
    monkeypatch.setattr(Buffer, "read", lambda self: pytest.fail("a hidden wait"))
    with pytest.raises(ArgumentError, match=r"'p'.*factor.*wait for its number with float"):
        affine(x, y, {**SIZES, "factor": one}, grid=1)  # type: ignore[dict-item]
    source = """\
struct P { v: vec2<f32> }
@group(0) @binding(0) var<storage, read_write> y: array<f32>;
@group(0) @binding(1) var<uniform> p: P;
@compute @workgroup_size(1) fn main() { y[0] = p.v.x; }
"""
    with pytest.raises(ArgumentError, match="v of type vec2<f32> got"):
        x.device.compile_kernel(source)(y, {"v": [1.0, one]}, grid=1)  # type: ignore[dict-item]
    with pytest.raises(
        ArgumentError, match="constants shift: values must be numbers, got a Buffer"
    ):
        x.device.compile_kernel(
            "override shift: f32; @compute @workgroup_size(1) fn main() { _ = shift; }",
            constants={"shift": one},  # type: ignore[dict-item]
        )
