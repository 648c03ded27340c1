"""Sizes, alignments, offsets and strides against the tables and examples of the WGSL spec."""

from __future__ import annotations

import pytest

from gpucore.wgsl import Binding, WgslLayoutError, parse, reflect
from gpucore.wgsl.constants import Constants
from gpucore.wgsl.layout import Array, Layout, Layouts, Record
from gpucore.wgsl.syntax import Alias, ConstAssert

# Type, alignment, size: the table "alignment and size of host-shareable types" of the spec,
# section 14.4.1, with the array row applied to a few element types.
SPEC_TABLE = [
    ("i32", 4, 4),
    ("u32", 4, 4),
    ("f32", 4, 4),
    ("f16", 2, 2),
    ("atomic<u32>", 4, 4),
    ("atomic<i32>", 4, 4),
    ("vec2<i32>", 8, 8),
    ("vec2<f32>", 8, 8),
    ("vec2<f16>", 4, 4),
    ("vec3<u32>", 16, 12),
    ("vec3<f32>", 16, 12),
    ("vec3<f16>", 8, 6),
    ("vec4<f32>", 16, 16),
    ("vec4<f16>", 8, 8),
    ("vec2f", 8, 8),
    ("vec3u", 16, 12),
    ("vec4i", 16, 16),
    ("vec3h", 8, 6),
    ("mat2x2<f32>", 8, 16),
    ("mat2x2<f16>", 4, 8),
    ("mat3x2<f32>", 8, 24),
    ("mat3x2<f16>", 4, 12),
    ("mat4x2<f32>", 8, 32),
    ("mat4x2<f16>", 4, 16),
    ("mat2x3<f32>", 16, 32),
    ("mat2x3<f16>", 8, 16),
    ("mat3x3<f32>", 16, 48),
    ("mat3x3<f16>", 8, 24),
    ("mat4x3<f32>", 16, 64),
    ("mat4x3<f16>", 8, 32),
    ("mat2x4<f32>", 16, 32),
    ("mat2x4<f16>", 8, 16),
    ("mat3x4<f32>", 16, 48),
    ("mat3x4<f16>", 8, 24),
    ("mat4x4<f32>", 16, 64),
    ("mat4x4<f16>", 8, 32),
    ("mat3x3f", 16, 48),
    ("mat2x4h", 8, 16),
    ("array<f32, 5>", 4, 20),
    ("array<vec3<f32>, 3>", 16, 48),
    ("array<vec3<f16>, 3>", 8, 24),
    ("array<vec2<f16>, 7>", 4, 28),
    ("array<array<vec3<f32>, 2>, 4>", 16, 128),
    ("array<mat2x3<f32>, 2>", 16, 64),
    ("array<f32>", 4, 4),
    ("array<vec3<f32>>", 16, 16),
    ("array<atomic<u32>, 8>", 4, 32),
]

# The structures of the spec's two examples of layout (section 14.4.2).
EXAMPLE = """
struct A { u: f32, v: f32, w: vec2<f32>, x: f32 }
struct B {
    a: vec2<f32>, b: vec3<f32>, c: f32, d: f32, e: A, f: vec3<f32>, g: array<A, 3>, h: i32
}
struct UA { u: f32, v: f32, w: vec2<f32>, @size(16) x: f32 }
struct UB {
    a: vec2<f32>, b: vec3<f32>, c: f32, d: f32, @align(16) e: UA, f: vec3<f32>,
    @align(16) g: array<UA, 3>, h: i32
}
"""


def layout_of(type_text: str, declarations: str = "") -> Layout:
    module = parse(f"{declarations}\nalias wanted = {type_text};")
    names = {d.name: d for d in module.declarations if not isinstance(d, ConstAssert)}
    wanted = names["wanted"]
    assert isinstance(wanted, Alias)
    return Layouts(names, Constants(names, module.source), module.source).of(wanted.type)


def binding_of(type_text: str, declarations: str = "", space: str = "storage") -> Binding:
    source = f"{declarations}\n@group(0) @binding(0) var<{space}> x: {type_text};"
    (binding,) = reflect(parse(source)).bindings
    return binding


@pytest.mark.parametrize(("type_text", "align", "size"), SPEC_TABLE)
def test_alignment_and_size(type_text: str, align: int, size: int) -> None:
    layout = layout_of(type_text)
    assert (layout.align, layout.size) == (align, size)


@pytest.mark.parametrize(
    ("name", "align", "size", "offsets"),
    [
        ("A", 8, 24, [0, 4, 8, 16]),
        ("B", 16, 160, [0, 16, 28, 32, 40, 64, 80, 152]),
        ("UA", 8, 32, [0, 4, 8, 16]),
        ("UB", 16, 208, [0, 16, 28, 32, 48, 80, 96, 192]),
    ],
)
def test_structures_of_the_specification(
    name: str, align: int, size: int, offsets: list[int]
) -> None:
    layout = layout_of(name, EXAMPLE)
    assert isinstance(layout, Record)
    assert (layout.align, layout.size) == (align, size)
    assert [place.offset for place in layout.members] == offsets


@pytest.mark.parametrize(
    ("type_text", "stride"),
    [
        ("array<f32>", 4),
        ("array<vec2<f16>, 3>", 4),
        ("array<vec3<f32>>", 16),
        ("array<vec3<f16>, 5>", 8),
        ("array<A>", 24),
        ("array<UA, 2>", 32),
        ("array<array<f16, 3>, 2>", 6),
        ("array<mat3x3<f16>>", 24),
    ],
)
def test_strides(type_text: str, stride: int) -> None:
    layout = layout_of(type_text, EXAMPLE)
    assert isinstance(layout, Array)
    assert layout.stride == stride


def test_align_and_size_attributes() -> None:
    declarations = "const N = 32; struct S { a: f32, @align(N) b: f32, @size(N * 2) c: vec2<f32> }"
    layout = layout_of("S", declarations)
    assert isinstance(layout, Record)
    assert [place.offset for place in layout.members] == [0, 32, 40]
    # The last member ends at 40 + 64 = 104, rounded up to the alignment of 32.
    assert (layout.align, layout.size) == (32, 128)


def test_a_runtime_array_counts_with_one_element() -> None:
    binding = binding_of("S", "struct S { n: u32, items: array<vec3<f32>> }")
    assert (binding.min_size, binding.size, binding.stride) == (32, 16, 16)
    binding = binding_of("array<vec4<f16>>")
    assert (binding.min_size, binding.size, binding.stride) == (8, 0, 8)


@pytest.mark.parametrize(
    ("declarations", "type_text", "message"),
    [
        ("", "texture_2d<f32>", "no layout in memory"),
        ("", "subgroup_matrix_left<f16, 8, 8>", "no layout in memory"),
        ("", "nothing", "type 'nothing' has no layout"),
        ("", "vec4<vec2<f32>>", "must be a scalar"),
        ("", "vec4", "needs one element type"),
        ("", "array", "needs an element type"),
        ("", "array<f32, 0>", "must be at least 1"),
        ("", "array<f32, -1>", "must be at least 1"),
        ("", "array<f32, 1.5>", "not an integer"),
        ("", "array<f32, n>", "'n' is not a constant"),
        ("override n = 4;", "array<f32, n>", "'n' is an override"),
        ("const n = n + 1;", "array<f32, n>", "defined through itself"),
        ("alias a = array<a, 2>;", "a", "types nest deeper"),
        ("struct S { a: S }", "S", "types nest deeper"),
        ("struct S { a: array<f32>, b: f32 }", "S", "only the last member"),
        ("", "array<array<f32>, 2>", "elements of a runtime size"),
        ("struct S { @align(3) a: f32 }", "S", "power of two"),
        ("struct S { @align(8) a: vec4<f32> }", "S", "a multiple of 16"),
        ("struct S { @size(8) a: vec4<f32> }", "S", "below its 16 bytes"),
        ("const c = 1;", "c", "'c' is not a type"),
        ("", "array<f32, 0xffffffffffff>", "too large"),
        ("", "bool", "cannot hold bool"),
        ("struct S { a: array<vec2<bool>, 2> }", "S", "cannot hold bool"),
        ("alias f16x8 = vec2<u32>;", "array<f16x8>", "names 8 items of f16, 16 bytes, but stands"),
        ("alias u8x4 = vec4<u32>;", "u8x4", "type of 16 bytes"),
    ],
)
def test_types_without_a_layout(declarations: str, type_text: str, message: str) -> None:
    with pytest.raises(WgslLayoutError, match=message) as caught:
        binding_of(type_text, declarations)
    assert caught.value.line > 0


@pytest.mark.parametrize(
    ("type_text", "scalar", "stride"),
    [
        ("array<f32>", "f32", 4),
        ("array<f16>", "f16", 2),
        ("array<vec3<i32>>", "i32", 16),
        ("array<mat4x4<f32>>", "f32", 64),
        ("array<atomic<u32>>", "u32", 4),
        ("array<array<vec2f, 2>>", "f32", 16),
        ("array<f16x8>", "f16", 16),
        ("array<f16x4>", "f16", 8),
        ("array<u8x4>", "u8", 4),
        ("array<i8x16>", "i8", 16),
        ("array<bf16x2>", "bf16", 4),
        ("array<c64x1>", "c64", 8),
        ("array<renamed>", "f16", 16),
        ("array<array<f16x8, 4>>", "f16", 64),
        ("array<plain>", "u32", 16),
        ("array<i4x8>", "u32", 4),
        ("array<Same>", "f32", 16),
        ("array<Mixed>", None, 8),
    ],
)
def test_what_the_elements_are(type_text: str, scalar: str | None, stride: int) -> None:
    declarations = """
        alias f16x8 = vec4<u32>; alias f16x4 = vec2<u32>; alias u8x4 = u32; alias bf16x2 = u32;
        alias i8x16 = vec4<i32>; alias c64x1 = vec2<f32>; alias renamed = f16x8;
        alias plain = vec4<u32>; alias i4x8 = u32;
        struct Same { a: vec3<f32>, b: f32 } struct Mixed { a: f32, b: u32 }
    """
    binding = binding_of(type_text, declarations)
    assert (binding.scalar, binding.stride, binding.type_text) == (scalar, stride, type_text)


@pytest.mark.parametrize(
    ("type_text", "message"),
    [
        ("array<f32, 4>", "array stride 4 must be a multiple of 16"),
        ("array<vec2<f32>, 4>", "array stride 8"),
        ("array<f32>", "runtime-sized array cannot be uniform"),
        ("array<A, 3>", "array stride 24"),
        ("B", "'B.e' is at offset 40, not a multiple of 16"),
        ("F", "'F.b' is at offset 24, but after a structure it must be at 32 or later"),
        ("G", "'G.a': array stride 8"),
    ],
)
def test_what_the_uniform_address_space_refuses(type_text: str, message: str) -> None:
    declarations = EXAMPLE + "struct F { a: A, b: f32 } struct G { a: array<vec2<f32>, 2> }"
    binding_of(type_text, declarations)
    with pytest.raises(WgslLayoutError) as caught:
        binding_of(type_text, declarations, "uniform")
    assert message in caught.value.message
    relaxed = f"requires uniform_buffer_standard_layout; {declarations}"
    if type_text != "array<f32>":
        binding_of(type_text, relaxed, "uniform")


@pytest.mark.parametrize(
    "type_text", ["f32", "vec3<f16>", "array<vec4<u32>, 3>", "array<vec3<f32>, 3>", "UB", "mat2x2f"]
)
def test_what_the_uniform_address_space_takes(type_text: str) -> None:
    assert binding_of(type_text, EXAMPLE, "uniform").size == layout_of(type_text, EXAMPLE).size
