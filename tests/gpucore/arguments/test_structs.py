"""Structured arrays of NumPy as buffers of structs: layouts, refusals, and what kernels see."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gpucore import ArgumentError, Device, DTypeError, Kernel
from tests.conftest import skip_without_f16

PARTICLES = """
struct P { pos: vec2f, id: u32, w: f32 }
struct Step { shift: vec3f, many: u32, gain: array<vec4f, 2> }
@group(0) @binding(0) var<storage, read> p: array<P>;
@group(0) @binding(1) var<storage, read_write> q: array<P>;
@group(0) @binding(2) var<uniform> step: Step;
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
    if (id.x >= step.many) { return; }
    let x = p[id.x];
    q[id.x] = P(x.pos + step.shift.xy, x.id + 1000u, x.w * step.gain[1].z);
}
"""

NESTED = """
struct Inner { v: vec3f, n: atomic<i32>, m: mat2x2f }
struct Outer {
    flag: u32, inner: array<Inner, 2>, rows: mat3x3f, spots: array<vec3f, 2>, last: vec2u
}
@group(0) @binding(0) var<storage, read_write> o: array<Outer>;
@compute @workgroup_size(1)
fn main(@builtin(global_invocation_id) id: vec3u) {
    let i = id.x;
    o[i].flag += 1u;
    o[i].inner[1].v.z = 7.0;
    atomicAdd(&o[i].inner[0].n, -3);
    o[i].inner[1].m[1][0] = 5.0;
    o[i].rows[2][1] = 9.0;
    o[i].spots[1].y = 11.0;
    o[i].last.y = 13u;
}
"""


@pytest.fixture
def particles(device: Device) -> Kernel:
    return device.compile_kernel(PARTICLES)


def made(kernel: Kernel, name: str, count: int, seed: int = 0) -> np.ndarray[Any, Any]:
    """Structs with known bytes everywhere, padding too."""
    kind = kernel.struct_dtype(name)
    rng = np.random.default_rng(seed)
    return rng.integers(0, 100, count * kind.itemsize, dtype=np.uint8).view(kind)


def test_dtype_has_the_offsets_of_wgsl(particles: Kernel) -> None:
    assert particles.struct_dtype("P") == np.dtype(
        [("pos", "<f4", (2,)), ("id", "<u4"), ("w", "<f4")]
    )
    step = particles.struct_dtype("Step")
    assert step.fields is not None
    assert {name: field[1] for name, field in step.fields.items()} == {
        "shift": 0,
        "many": 12,
        "gain": 16,
    }
    assert (step.itemsize, step["gain"].shape) == (48, (2, 4))
    with pytest.raises(ArgumentError, match=r"binds no struct 'Q'; there are: P, Step"):
        particles.struct_dtype("Q")


def test_structs_in_and_out(device: Device, particles: Kernel) -> None:
    p = np.zeros(5, particles.struct_dtype("P"))
    p["pos"] = np.arange(10).reshape(5, 2)
    p["id"], p["w"] = [1, 2, 3, 4, 2**32 - 1], [0.5, 1, 2, 3, 4]
    step = {"shift": (1, -1, 0), "many": 4, "gain": [[0] * 4, [0, 0, 10, 0]]}
    x, y = device.buffer_from_array(p), device.buffer(p.dtype, 5)
    y.write(p)
    particles(x, y, step, elements=5)
    expected = p.copy()
    expected["pos"][:4] += [1, -1]
    expected["id"][:4] += 1000
    expected["w"][:4] *= 10
    np.testing.assert_array_equal(y.read(), expected)
    np.testing.assert_array_equal(y.read_slice(1, 3), expected[1:3])
    assert y.read().dtype == p.dtype
    assert "Buffer[{pos, id, w}]((5,) on" in repr(y)
    assert y.dtype is x.dtype


def test_a_uniform_takes_a_struct_of_numpy(device: Device, particles: Kernel) -> None:
    p = np.zeros(3, particles.struct_dtype("P"))
    p["w"] = [1, 2, 3]
    step = np.zeros((), particles.struct_dtype("Step"))
    step["many"], step["gain"][1, 2] = 3, 2.5
    for given in (step, step[()], step.reshape(1)):
        y = device.buffer_from_array(p)
        particles(device.buffer_from_array(p), y, given, grid=1)
        assert y.read()["w"].tolist() == [2.5, 5, 7.5]
    with pytest.raises(
        ArgumentError, match=r"must have 48 bytes, got 96.*Step \{shift: vec3f at 0"
    ):
        particles(device.buffer_from_array(p), y, np.zeros(2, step.dtype), grid=1)
    with pytest.raises(ArgumentError, match=r"'shift' is missing.*struct_dtype\('Step'\)"):
        particles(device.buffer_from_array(p), y, p[:1], grid=1)


def test_nested_structs_matrices_and_arrays(device: Device) -> None:
    kernel = device.compile_kernel(NESTED)
    kind = kernel.struct_dtype("Outer")
    assert kind["inner"].base == kernel.struct_dtype("Inner")
    assert (kind["rows"].shape, kind["spots"].shape, kind.itemsize) == ((3, 4), (2, 4), 176)
    before = made(kernel, "Outer", 3)
    buffer = device.buffer_from_array(before)
    kernel(buffer, grid=3)
    after = before.copy()
    after["flag"] += 1
    after["inner"]["v"][:, 1, 2] = 7
    after["inner"]["n"][:, 0] -= 3
    after["inner"]["m"][:, 1, 1, 0] = 5
    after["rows"][:, 2, 1] = 9
    after["spots"][:, 1, 1] = 11
    after["last"][:, 1] = 13
    found = buffer.read()
    for name in kind.names or ():
        np.testing.assert_array_equal(found[name], after[name], err_msg=name)


def test_halves_and_packed_words(device: Device) -> None:
    skip_without_f16(device, "f16")
    source = """enable f16;
    alias u8x4 = u32;
    struct H { a: f16, b: vec3h, bytes: u8x4, c: vec2f }
    @group(0) @binding(0) var<storage, read_write> h: array<H>;
    @compute @workgroup_size(1) fn main(@builtin(global_invocation_id) id: vec3u) {
        h[id.x].a *= 2.0h; h[id.x].b.z = 3.0h; h[id.x].bytes ^= 0xff00u; h[id.x].c.x = 1.5;
    }"""
    kernel = device.compile_kernel(source)
    kind = kernel.struct_dtype("H")
    assert kind["bytes"] == np.dtype(("u1", 4))
    h = np.zeros(2, kind)
    h["a"], h["bytes"] = [1, 2], [1, 2, 3, 4]
    buffer = device.buffer_from_array(h)
    kernel(buffer, grid=2)
    found = buffer.read()
    assert found["a"].tolist() == [2, 4]
    assert found["b"].tolist() == [[0, 0, 3]] * 2
    assert found["bytes"].tolist() == [[1, 253, 3, 4]] * 2
    assert found["c"].tolist() == [[1.5, 0]] * 2


def test_padding_by_hand_is_taken(device: Device) -> None:
    source = """struct S { n: u32, v: vec3f }
    @group(0) @binding(0) var<storage, read_write> s: array<S, 2>;
    @compute @workgroup_size(1) fn main() { s[1].v.x = f32(s[1].n); }"""
    kernel = device.compile_kernel(source)
    by_hand = [("n", "u4"), ("gap", "u4", 3), ("v", "f4", 3), ("end", "f4")]
    data = np.zeros(2, by_hand)
    data["n"] = [4, 5]
    buffer = device.buffer_from_array(data)
    kernel(buffer, grid=1)
    assert buffer.read()["v"][1].tolist() == [5, 0, 0]
    with pytest.raises(ArgumentError, match=r"of 32 bytes, needs 64"):
        kernel(device.buffer_from_array(data[:1]), grid=1)


def test_a_struct_that_ends_in_an_array(device: Device) -> None:
    source = """struct P { at: vec2f, id: u32 }
    struct List { count: u32, items: array<P> }
    @group(0) @binding(0) var<storage, read_write> list: List;
    @compute @workgroup_size(1) fn main() {
        list.count = arrayLength(&list.items);
        list.items[2].id = 9u;
    }"""
    kernel = device.compile_kernel(source)
    kind = np.dtype(
        {
            "names": ["count", "items"],
            "formats": ["u4", (kernel.struct_dtype("P"), (3,))],
            "offsets": [0, 8],
        }
    )
    buffer = device.buffer_from_array(np.zeros((), kind))
    kernel(buffer, grid=1)
    found = buffer.read()
    assert found["count"] == 3
    assert found["items"]["id"].tolist() == [0, 0, 9]
    with pytest.raises(ArgumentError, match=r"is one element; .*shape \(\)"):
        kernel(device.buffer_from_array(np.zeros(2, kind)), grid=1)


@pytest.mark.parametrize(
    ("fields", "fault"),
    [
        ([("pos", "f4", 2), ("id", "u4")], "'w' is missing"),
        ([("pos", "f4", 2), ("id", "i4"), ("w", "f4")], "'id' must be uint32, got int32"),
        (
            [("pos", "f4", 3), ("id", "u4"), ("w", "f4")],
            r"'pos' must have shape \(2,\), got \(3,\)",
        ),
        ([("id", "u4"), ("pos", "f4", 2), ("w", "f4")], "'pos' must be at byte 0, got byte 4"),
        ([("pos", "f8", 2), ("id", "u4"), ("w", "f4")], "'pos' must be float32, got float64"),
        (
            [("pos", "f4", 2), ("id", "u4"), ("w", "f4"), ("x", "f4")],
            "'x' is not in the struct",
        ),
    ],
)
def test_other_layouts_are_refused(
    device: Device, particles: Kernel, fields: list[Any], fault: str
) -> None:
    """The message has the fault, both layouts, the declaration and what to do."""
    wrong = device.buffer_from_array(np.zeros(4, fields))
    right = device.buffer(particles.struct_dtype("P"), 4)
    step = np.zeros((), particles.struct_dtype("Step"))
    with pytest.raises(ArgumentError, match=fault) as caught:
        particles(wrong, right, step, grid=1)
    text = str(caught.value)
    assert "P {pos: vec2f at 0, id: u32 at 8, w: f32 at 12} of 16 bytes" in text
    assert f"of {np.dtype(fields).itemsize} bytes; WGSL line 4 declares `@group(0)" in text
    assert text.endswith("make the array with dtype=kernel.struct_dtype('P')")


def test_plain_buffers_and_structs_do_not_mix(device: Device, particles: Kernel) -> None:
    step = np.zeros((), particles.struct_dtype("Step"))
    p = device.buffer(particles.struct_dtype("P"), 4)
    with pytest.raises(ArgumentError, match=r"np\.zeros\(count, kernel\.struct_dtype\('P'\)\)"):
        particles(device.buffer_from_array(np.zeros(16, np.float32)), p, step, grid=1)
    plain = """@group(0) @binding(0) var<storage, read_write> x: array<f32>;
        @compute @workgroup_size(1) fn main() { x[0] = 1.0; }"""
    with pytest.raises(ArgumentError, match=r"got Buffer\[\{pos, id, w\}\]"):
        device.compile_kernel(plain)(p, grid=1)


def test_a_struct_of_one_type_takes_both(device: Device) -> None:
    source = """struct V { x: f32, y: f32 }
    @group(0) @binding(0) var<storage, read_write> v: array<V>;
    @compute @workgroup_size(1) fn main(@builtin(global_invocation_id) id: vec3u) {
        v[id.x].y = v[id.x].x + 1.0;
    }"""
    kernel = device.compile_kernel(source)
    plain = device.buffer_from_array(np.zeros((2, 2), np.float32))
    named = device.buffer_from_array(np.zeros(2, kernel.struct_dtype("V")))
    for buffer in (plain, named):
        kernel(buffer, grid=2)
    assert plain.read()[:, 1].tolist() == named.read()["y"].tolist() == [1, 1]


def test_what_a_struct_cannot_hold() -> None:
    device = Device.null()
    for kind in ("O", "S8", "M8[s]", ">f4"):
        with pytest.raises(
            DTypeError, match=r"field 'a' is .*: fields of a struct must be numbers"
        ):
            device.buffer_from_array(np.zeros(2, [("a", kind)]))
    buffer = device.buffer_from_array(np.zeros(1, [("a", "f4")]))
    with pytest.raises(DTypeError, match="it holds structs"):
        float(buffer)
    with pytest.raises(DTypeError, match=r"np\.zeros\(count, buffer\.dtype\.numpy\)"):
        buffer.write(np.zeros(1, np.float32))
    with pytest.raises(DTypeError, match="or a structured dtype of NumPy"):
        device.buffer(np.dtype(np.float32), 3)  # type: ignore[call-overload]
