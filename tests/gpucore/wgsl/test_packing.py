"""Bytes of uniforms against NumPy structured arrays laid out by hand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from gpucore.wgsl import Binding, PackError, WgslLayoutError, pack_struct, parse, reflect


def uniform(declarations: str, type_text: str = "S") -> Binding:
    source = f"{declarations}\n@group(0) @binding(0) var<uniform> u: {type_text};"
    (binding,) = reflect(parse(source)).bindings
    return binding


def test_scalars_of_every_type() -> None:
    binding = uniform("struct S { a: u32, b: i32, c: f32, d: f16, e: f16, f: f32 }")
    data = pack_struct(binding, {"f": 5, "a": 4294967295, "b": -2, "c": 0.1, "d": 1.5, "e": -2})
    kind = np.dtype(
        {
            "names": list("abcdef"),
            "formats": ["<u4", "<i4", "<f4", "<f2", "<f2", "<f4"],
            "offsets": [0, 4, 8, 12, 14, 16],
            "itemsize": 20,
        }
    )
    assert data == np.array([(4294967295, -2, 0.1, 1.5, -2, 5)], kind).tobytes()
    assert len(data) == binding.size == 20


def test_vectors_matrices_arrays_and_nested_structures() -> None:
    binding = uniform(
        """
        struct In { x: vec2<f32>, y: u32, @size(4) z: u32 }
        struct S { a: vec3<f32>, b: f32, c: mat3x3<f32>, d: array<vec4<i32>, 2>, e: In,
                   f: array<In, 2>, g: mat2x2<f32>, h: array<vec3<f16>, 1>, }
    """.replace("h: array<vec3<f16>, 1>,", "h: vec3<f16>")
    )
    names = [field.name for field in binding.fields]
    assert names == ["a", "b", "c", "d", "e.x", "e.y", "e.z", "f.0.x", "f.0.y", "f.0.z"] + [
        *("f.1.x", "f.1.y", "f.1.z", "g", "h")
    ]
    assert [field.offset for field in binding.fields] == [
        *(0, 12, 16, 64, 96, 104, 108, 112, 120, 124, 128, 136, 140, 144, 160)
    ]
    matrix = np.arange(9, dtype=np.float32).reshape(3, 3)
    values: dict[str, Any] = {
        "a": (1, 2, 3),
        "b": 4,
        "c": matrix,
        "d": [[1, 2, 3, 4], [-5, 6, 7, 8]],
        "e.x": [9, 10],
        "e.y": 11,
        "e.z": np.int64(12),
        **{f"f.{i}.{n}": [i, 1] if n == "x" else i + 20 for i in range(2) for n in "xyz"},
        "g": [[1, 2], [3, 4]],
        "h": np.array([1, 2, 3], np.float16),
    }
    inner = [("x", "<f4", 2), ("y", "<u4"), ("z", "<u4")]
    kind = np.dtype(
        [
            *(("a", "<f4", 3), ("b", "<f4"), ("c", "<f4", (3, 4)), ("d", "<i4", (2, 4))),
            *(("e", inner), ("f", inner, 2), ("g", "<f4", (2, 2)), ("h", "<f2", 3)),
            ("pad", "V10"),
        ]
    )
    expected = np.zeros((), kind)
    expected["a"], expected["b"], expected["c"][:, :3] = (1, 2, 3), 4, matrix
    expected["d"] = values["d"]
    expected["e"] = ((9, 10), 11, 12)
    expected["f"][0] = ((0, 1), 20, 20)
    expected["f"][1] = ((1, 1), 21, 21)
    expected["g"], expected["h"] = values["g"], (1, 2, 3)
    assert pack_struct(binding, values) == expected.tobytes()
    assert binding.size == kind.itemsize


def test_padding_of_runs() -> None:
    binding = uniform("struct S { a: array<vec3<f32>, 2>, b: array<mat2x3<f32>, 2> }")
    a, b = binding.fields
    assert (a.count, a.run, a.stride, a.size) == (6, 3, 16, 32)
    assert (b.count, b.run, b.stride, b.size) == (12, 3, 16, 64)
    data = np.frombuffer(pack_struct(binding, {"a": range(6), "b": range(6, 18)}), np.float32)
    assert np.array_equal(data.reshape(6, 4)[:, :3].ravel(), np.arange(18))
    assert not data.reshape(6, 4)[:, 3].any()


def test_packed_words_take_their_items() -> None:
    binding = uniform("alias f16x4 = vec2<u32>; struct S { n: u32, @align(8) w: f16x4 }")
    data = pack_struct(binding, {"n": 1, "w": [1, 2, 3, 4]})
    assert data[8:] == np.array([1, 2, 3, 4], np.float16).tobytes()


def test_a_uniform_without_structure_is_one_field() -> None:
    assert pack_struct(uniform("", "u32"), {"u": 7}) == b"\7\0\0\0"
    assert pack_struct(uniform("", "vec2f"), {"u": (1, 2)}) == np.float32([1, 2]).tobytes()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"m": 1}, "missing n, v"),
        ({"m": 1, "n": 2, "v": (1, 2), "w": 3}, "unknown w"),
        ({"m": 1, "n": 2, "w": (1, 2)}, "missing v; unknown w"),
        ({"m": -1, "n": 2, "v": (1, 2)}, "m of type u32 got -1"),
        ({"m": 1.5, "n": 2, "v": (1, 2)}, "m of type u32 got 1.5"),
        ({"m": 2**32, "n": 2, "v": (1, 2)}, "m of type u32 got 4294967296"),
        ({"m": 1, "n": "2", "v": (1, 2)}, "n of type f32 got '2'"),
        ({"m": 1, "n": None, "v": (1, 2)}, "n of type f32 got None"),
        ({"m": 1, "n": 1e39, "v": (1, 2)}, "n of type f32 got 1e+39"),
        ({"m": 1, "n": 2, "v": (1, 2, 3)}, "v of type vec2<f32> takes 2 numbers"),
        ({"m": 1, "n": 2, "v": 1}, "v of type vec2<f32> takes 2 numbers"),
        ({"m": (1, 2), "n": 2, "v": 1}, "m of type u32 takes 1 numbers"),
    ],
)
def test_values_that_do_not_fit(values: Mapping[str, Any], message: str) -> None:
    binding = uniform("struct S { m: u32, n: f32, v: vec2<f32> }")
    with pytest.raises(PackError) as caught:
        pack_struct(binding, values)
    assert message in str(caught.value)
    assert "uniform 'u' (m: u32, n: f32, v: vec2<f32>)" in str(caught.value)


def test_what_cannot_be_packed_says_so() -> None:
    source = "@group(0) @binding(0) var<storage> x: array<f32>;"
    (binding,) = reflect(parse(source)).bindings
    with pytest.raises(PackError, match="no fields to pack"):
        pack_struct(binding, {})
    with pytest.raises(WgslLayoutError, match="2000 elements, more than 1024"):
        uniform("struct I { @size(16) a: f32 } struct S { a: array<I, 2000> }")
