"""Mistakes of new users: each message says what was given, where, and what to do instead."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gpucore import (
    ArgumentError,
    Buffer,
    CaptureError,
    Device,
    DeviceLostError,
    DeviceNotFoundError,
    DType,
    DTypeError,
    GpuError,
    Kernel,
    KernelCompileError,
    LimitError,
    ReleasedBufferError,
    ShapeError,
    f32,
    i32,
    u8,
)
from tests.gpucore.kernels import AFFINE, INCREMENT

SIZES = {"count": 4, "factor": 2, "shift": 1}
STORE = """\
@group(0) @binding(0) var<storage, read_write> x: array<f32>;
@compute @workgroup_size(1)
fn main(@builtin(global_invocation_id) id: vec3u) { x[id.x + INDEX] = 5.0; }
"""


@pytest.fixture
def affine(device: Device) -> Kernel:
    return device.compile_kernel(AFFINE)


@pytest.fixture
def x(device: Device) -> Buffer[f32]:
    return device.buffer_from_array(np.arange(4, dtype=np.float32))


def message_of(kind: type[GpuError], call: Callable[[], object]) -> str:
    with pytest.raises(kind) as caught:
        call()
    return str(caught.value)


def assert_tells(message: str, *parts: str) -> None:
    """Check that every part is in the message, in this order."""
    at = 0
    for part in parts:
        found = message.find(part, at)
        assert found >= 0, f"{part!r} is not (there) in: {message}"
        at = found + len(part)


def test_a_missing_semicolon(device: Device) -> None:
    source = INCREMENT.replace("+ 1.0;", "+ 1.0")
    message = message_of(KernelCompileError, lambda: device.compile_kernel(source))
    line = "    6 |         x[id.x] = x[id.x] + 1.0\n"
    assert_tells(message, "expected ';' to end the statement, found '}'", line + " " * 39 + "^")


def test_types_that_do_not_go_together(device: Device) -> None:
    """Engines word it differently; both name the types as WGSL does, and show the line."""
    source = INCREMENT.replace("+ 1.0", "+ 1u")
    message = message_of(KernelCompileError, lambda: device.compile_kernel(source))
    assert_tells(message, "f32", "u32", "    6 |         x[id.x] = x[id.x] + 1u;")
    assert "Scalar(" not in message
    assert "is invalid" not in message


@pytest.mark.parametrize(("source", "found"), [("", "none"), (INCREMENT, "main")])
def test_an_entry_point_that_is_not_there(device: Device, source: str, found: str) -> None:
    message = message_of(KernelCompileError, lambda: device.compile_kernel(source, "mian"))
    assert_tells(message, "'mian'", f"there are: {found}", "`entry`", "@compute @workgroup_size")


@pytest.mark.parametrize("given", [None, b"fn", Path("double.wgsl"), "shaders/double.wgsl"])
def test_something_else_than_wgsl(device: Device, given: Any) -> None:
    message = message_of(ArgumentError, lambda: device.compile_kernel(given))
    assert_tells(
        message,
        "compile_kernel: source must be the WGSL text",
        f"got {given!r}",
        "device.compile_file(path)",
    )


def test_too_large_a_workgroup(device: Device) -> None:
    source = INCREMENT.replace("workgroup_size(64)", "workgroup_size(64, 64)")
    message = message_of(KernelCompileError, lambda: device.compile_kernel(source))
    most = device.limits["max_compute_invocations_per_workgroup"]
    assert_tells(message, "(64, 64, 1) of 'main'", f"limits of {most}", "use smaller workgroups")


def test_constants_that_are_none(device: Device) -> None:
    unknown = message_of(
        ArgumentError, lambda: device.compile_kernel(INCREMENT, constants={"w": 1})
    )
    assert_tells(unknown, "no override w", "there are: none", "`override name: type;`")
    source = "override w: u32 = 1;\n" + INCREMENT
    given: Any = {"w": "wide"}
    text = message_of(ArgumentError, lambda: device.compile_kernel(source, constants=given))
    assert_tells(text, "'w' must be a whole number from 0 to 4294967295", "w: u32", "got 'wide'")


def test_a_binding_without_its_number(device: Device) -> None:
    source = INCREMENT.replace("@group(0) @binding(0) ", "")
    message = message_of(KernelCompileError, lambda: device.compile_kernel(source))
    assert_tells(message, "'x' needs @group(n), as in @group(0) @binding(0)", "    1 | var<storage")


def test_the_wrong_dtype(device: Device, affine: Kernel, x: Buffer[f32]) -> None:
    whole, bytes_ = device.buffer(i32, 4), device.buffer(u8, 16)
    message = message_of(ArgumentError, lambda: affine(whole, x, SIZES, grid=1))
    assert_tells(message, "argument 'x'", "Buffer[i32]", "WGSL line 2", "array<f32>;`")
    assert_tells(message, "array<f32>;`", "array.astype(np.float32)", "or declare i32")
    message = message_of(ArgumentError, lambda: affine(bytes_, x, SIZES, grid=1))
    assert_tells(message, "or declare an alias of a word, such as u8x4 = u32")


def test_an_array_in_place_of_a_buffer(affine: Kernel, x: Buffer[f32]) -> None:
    array: Any = np.zeros(4, np.float32)
    message = message_of(ArgumentError, lambda: affine(array, x, SIZES, grid=1))
    assert_tells(message, "got ndarray, not a Buffer", "device.buffer_from_array(array)")


def test_the_wrong_number_of_bindings(affine: Kernel, x: Buffer[f32]) -> None:
    message = message_of(ArgumentError, lambda: affine(x, SIZES, grid=1))
    assert_tells(message, "takes 3 arguments, got 2", "one for each binding", "read> x", "p: Sizes")


def test_a_number_in_place_of_a_uniform(device: Device, affine: Kernel, x: Buffer[f32]) -> None:
    four: Any = 4
    message = message_of(ArgumentError, lambda: affine(x, device.buffer(f32, 4), four, grid=1))
    assert_tells(message, "'p': got 4", "give a dict, {'count': ..., 'factor': ..., 'shift': ...}")


@pytest.mark.parametrize("grid", [1.5, "1", (1.0, 2), (), -1, (1, 1, 1, 1), None])
def test_a_grid_that_is_none(device: Device, affine: Kernel, x: Buffer[f32], grid: Any) -> None:
    y = device.buffer(f32, 4)
    message = message_of(ArgumentError, lambda: affine(x, y, SIZES, grid=grid))
    assert_tells(message, f"grid must be 1 to 3 sizes >= 0, got {grid!r}", "(count + 63) // 64")
    device.synchronize()


def test_grids_of_other_integers_are_taken(device: Device, affine: Kernel, x: Buffer[f32]) -> None:
    grids: list[Any] = [np.int64(1), [1, 1], (np.uint8(1), 1)]
    for grid in grids:
        y = device.buffer_from_array(np.full(4, -1, np.float32))
        affine(x, y, SIZES, grid=grid)
        assert y.read().tolist() == [1, 3, 5, 7]


def test_too_large_a_grid(device: Device, affine: Kernel, x: Buffer[f32]) -> None:
    y = device.buffer(f32, 4)
    message = message_of(LimitError, lambda: affine(x, y, SIZES, grid=70_000))
    most = device.limits["max_compute_workgroups_per_dimension"]
    assert_tells(message, "grid 70000", f"more than {most}", "spread it over two (x, y)")


def test_the_wrong_device(device: Device, affine: Kernel, x: Buffer[f32]) -> None:
    other = Device.null().buffer(f32, 4)
    message = message_of(ArgumentError, lambda: affine(other, x, SIZES, grid=1))
    assert_tells(message, "null device", "lives on another device", "buffer.to(device)")
    message = message_of(ShapeError, lambda: x.copy_from(other))
    assert_tells(message, "null device", "another device", "other.to(device)")


def test_a_released_buffer(device: Device, affine: Kernel, x: Buffer[f32]) -> None:
    y = device.buffer(f32, 4)
    y.release()
    calls: list[Callable[[], object]] = [
        y.read,
        lambda: y.read_slice(0, 1),
        lambda: np.asarray(y),
        lambda: affine(x, y, SIZES, grid=1),
        lambda: x.copy_from(y),
    ]
    for call in calls:
        assert_tells(message_of(ReleasedBufferError, call), "Buffer[f32]((4,)", "make a new buffer")


@pytest.mark.parametrize("index", ["64u", "1000000u", "4294967295u"])
def test_an_index_out_of_bounds_does_no_harm(device: Device, index: str) -> None:
    """With checks, the store is dropped or changes this buffer, and no other."""
    if not device.checks:
        pytest.skip("GPUCORE_CHECKS=0")
    kernel = device.compile_kernel(STORE.replace("INDEX", index))
    before, mine, after = (device.buffer_from_array(np.zeros(64, np.float32)) for _ in range(3))
    kernel(mine, grid=1)
    assert set(mine.read().tolist()) <= {0.0, 5.0}
    assert not before.read().any()
    assert not after.read().any()


@pytest.mark.parametrize("dtype", [np.float32, "f32", np.dtype(np.float32), float, DType])
def test_a_dtype_of_somebody_else(device: Device, dtype: Any) -> None:
    calls: list[Callable[[], object]] = [
        lambda: device.buffer(dtype, 4),
        lambda: device.buffer_from_array([1, 2], dtype),
    ]
    for call in calls:
        assert_tells(message_of(DTypeError, call), repr(dtype), "f32", "from gpucore import f32")


@pytest.mark.parametrize("shape", [4.0, "4", "", (2.0, 2), None])
def test_a_shape_that_is_none(device: Device, shape: Any) -> None:
    message = message_of(ShapeError, lambda: device.buffer(f32, shape))
    assert_tells(message, f"shape must be whole numbers, got {shape!r}")


def test_shapes_of_other_integers_are_taken(device: Device) -> None:
    shapes: list[Any] = [np.int64(4), [2, 2], (np.int32(2), 2)]
    for shape in shapes:
        buffer = device.buffer(f32, shape)
        assert buffer.size == 4
        assert all(type(n) is int for n in buffer.shape)
        assert buffer.view(np.int64(4)).shape == buffer.view(4).shape == (4,)  # type: ignore[arg-type]


def test_what_does_not_fit_into_a_buffer(device: Device, x: Buffer[f32]) -> None:
    message = message_of(DTypeError, lambda: x.write([1, 2, 3, 4]))
    assert_tells(message, "write of int64 into Buffer[f32]", "array.astype(np.float32)")
    message = message_of(ShapeError, lambda: x.write(np.zeros(5, np.float32)))
    assert_tells(message, "shape (5,) into Buffer[f32]((4,)", "write_slice")
    message = message_of(DTypeError, lambda: device.buffer_from_array(np.zeros(3)))
    assert_tells(message, "NumPy float64", "array.astype(...)")
    message = message_of(ShapeError, lambda: x.view((3,)))
    assert_tells(message, "as (3,)", "give a shape of 4 elements")


def test_reading_inside_a_capture(device: Device, x: Buffer[f32]) -> None:
    with device.capture():
        message = message_of(CaptureError, x.read)
    assert_tells(message, "inside device.capture()", "after graph.replay()")


def test_a_closed_device() -> None:
    device = Device.open(Device.list()[0])
    x = device.buffer(f32, 4)
    device.close()
    assert_tells(message_of(DeviceLostError, x.read), "was closed", "device.reopen()")


@pytest.mark.parametrize("shape", [(-2, -2), (-4, -1), (4, -2), -3])
def test_a_view_of_negative_extents(x: Buffer[f32], shape: Any) -> None:
    assert_tells(
        message_of(ShapeError, lambda: x.view(shape)), "sizes differ; give a shape of 4 elements"
    )


def test_a_view_of_a_released_buffer(x: Buffer[f32]) -> None:
    x.release()
    assert_tells(message_of(ReleasedBufferError, lambda: x.view(2)), "was released")


def test_text_that_is_no_unicode(device: Device) -> None:
    message = message_of(ArgumentError, lambda: device.compile_kernel("// \ud800"))
    assert_tells(message, "must be valid Unicode")


def test_a_constant_beyond_all_numbers(device: Device) -> None:
    source, constants = "override n: f32;" + INCREMENT, {"n": 10**400}
    message = message_of(ArgumentError, lambda: device.compile_kernel(source, constants=constants))
    assert_tells(message, "must be a finite number that f32 holds")


BINDINGS = {
    "a texture": ("var t: texture_2d<f32>", "textureLoad(t, vec2i(), 0).x", "buffers only"),
    "one number": ("var<storage, read> t: array<f32>", "t[0]", "'y' are both @binding(1)"),
    "a group": ("var<storage, read> t: array<f32>", "t[0]", "in @group(1); kernels use @group(0)"),
    "a large uniform": ("var<uniform> t: Many", "t.a[0].x", "uniform of 80000 bytes, over the"),
}


def test_more_workgroup_memory_than_there_is(device: Device) -> None:
    limit = device.limits["max_compute_workgroup_storage_size"]
    source = """override count: u32;
        var<workgroup> words: array<u32, count>;
        @compute @workgroup_size(1) fn main() { words[0] = 1u; }"""
    device.compile_kernel(source, constants={"count": limit // 4})
    message = message_of(
        KernelCompileError, lambda: device.compile_kernel(source, constants={"count": limit})
    )
    expected = f"'main' has {4 * limit} bytes of var<workgroup>"
    assert_tells(message, expected, f"limit of {limit}", "make its arrays smaller")


@pytest.mark.parametrize("kind", BINDINGS)
def test_what_cannot_be_bound(device: Device, kind: str) -> None:
    declaration, value, expected = BINDINGS[kind]
    group, number = (1, 1) if kind == "a group" else (0, int(kind == "one number"))
    source = f"""struct Many {{ a: array<vec4f, 5000> }}
        @group({group}) @binding({number}) {declaration};
        @group(0) @binding(1) var<storage, read_write> y: array<f32>;
        @compute @workgroup_size(1) fn main() {{ y[0] = {value}; }}"""
    message = message_of(KernelCompileError, lambda: device.compile_kernel(source))
    assert_tells(message, expected)


def test_a_struct_of_several_types(device: Device, x: Buffer[f32]) -> None:
    source = """struct Two { a: f32, b: u32 }
        @group(0) @binding(0) var<storage, read> t: Two;
        @group(0) @binding(1) var<storage, read_write> y: array<f32>;
        @compute @workgroup_size(1) fn main() { y[0] = t.a + f32(t.b); }"""
    kernel, y = device.compile_kernel(source), device.buffer(f32, 4)
    message = message_of(ArgumentError, lambda: kernel(x, y, grid=1))
    assert_tells(message, "np.zeros(count, kernel.struct_dtype('Two'))", "Two {a: f32 at 0, b: u32")


@pytest.mark.parametrize("name", [None, 0])
def test_a_name_that_is_none(name: Any) -> None:
    assert_tells(message_of(ArgumentError, lambda: Device.by_name(name)), "give a name as text")


@pytest.mark.parametrize("name", ["null:1", "null:" + "9" * 5000, "null:x"])
def test_a_number_that_no_device_has(name: str) -> None:
    assert_tells(message_of(DeviceNotFoundError, lambda: Device.by_name(name)), "no device fits")


def test_a_kernel_that_does_not_compile_holds_no_device_open() -> None:
    device = Device.open(Device.list()[0])
    x = device.buffer(f32, 4)
    device.compile_kernel(INCREMENT.replace("1.0", "1u"), wait=False)(x, grid=1)
    message_of(KernelCompileError, device.close)
    assert_tells(message_of(DeviceLostError, x.read), "was closed")


def test_a_device_that_is_not_there() -> None:
    message = message_of(DeviceNotFoundError, lambda: Device.by_name("nonsense"))
    assert_tells(message, "no device fits 'nonsense'", "present:")


@pytest.mark.parametrize("out", [[0.0] * 3, 3, "out"])
def test_reading_into_what_is_no_array(device: Device, out: Any) -> None:
    with pytest.raises(ArgumentError, match="out must be a NumPy array"):
        device.buffer(f32, 3).read(out=out)


def test_copying_from_an_array(device: Device) -> None:
    with pytest.raises(ArgumentError, match=r"ndarray.*buffer\.write"):
        device.buffer(f32, 3).copy_from(np.zeros(3, np.float32))  # type: ignore[arg-type]


def test_rows_that_are_no_whole_numbers(device: Device) -> None:
    buffer = device.buffer(f32, 8)
    for use in (
        lambda: buffer.read_slice(0, 2.0),  # type: ignore[arg-type]
        lambda: buffer.write_slice(1.0, np.zeros(2, np.float32)),  # type: ignore[arg-type]
    ):
        with pytest.raises(TypeError, match="integer"):
            use()


def test_more_axes_than_an_array_may_have() -> None:
    with pytest.raises(ShapeError, match="at most 64 axes, as in NumPy, got 65"):
        Device.null().buffer(f32, (1,) * 65)


def test_a_released_buffer_without_elements(device: Device) -> None:
    buffer = device.buffer(f32, (0, 3))
    buffer.release()
    nothing = np.zeros((0, 3), np.float32)
    for use in (
        buffer.read,
        lambda: buffer.write(nothing),
        lambda: buffer.read_slice(0, 0),
        lambda: buffer.write_slice(0, nothing),
    ):
        with pytest.raises(ReleasedBufferError):
            use()
