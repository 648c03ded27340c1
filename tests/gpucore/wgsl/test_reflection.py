"""Entry points, bindings, overrides and workgroup memory of whole shaders."""

from __future__ import annotations

import pytest

from gpucore.wgsl import (
    WgslLayoutError,
    WgslSyntaxError,
    parse,
    print_module,
    reflect,
    reflect_outline,
)

GEMM = """
enable f16;
alias f16x8 = vec4<u32>;

struct Sizes { m: u32, n: u32, k: u32, scale: f32 }

const TILE = 16u;
const PAD = 1;

@group(0) @binding(3) var<uniform> sizes: Sizes;
@group(0) @binding(0) var<storage, read> a: array<f16x8>;
@group(0) @binding(1) var<storage> b: array<vec4<f32>>;
@group(0)
  @binding(2) /* the result */ var<storage, read_write>
  c: array<f32>;  // written once
@group(1) @binding(0) var<storage, read_write> counter: atomic<u32>;

var<workgroup> tile_a: array<array<f16, TILE + PAD>, TILE>;
var<workgroup> tile_b: array<f32, TILE * TILE>;
var<private> unused: f32;

fn load(row: u32) -> f32 { return b[row].x; }
fn gather(row: u32) -> f32 { return load(row) + load(row + 1u); }

@compute @workgroup_size(TILE, TILE)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    if (id.x >= sizes.m || id.y >= sizes.n) { return; }
    tile_b[id.x] = gather(id.x);
    workgroupBarrier();
    c[id.x] = tile_b[id.y] * sizes.scale;
}

@compute @workgroup_size(64)
fn convert(@builtin(global_invocation_id) id: vec3<u32>) {
    tile_a[0][id.x] = bitcast<vec2<f16>>(a[id.x].x).x;
}

@compute @workgroup_size(1) fn count() { atomicAdd(&counter, 1u); }
@vertex fn vertex() -> @builtin(position) vec4f { return vec4f(); }
"""

MATRIX_UNITS = """
enable f16, subgroups;
enable chromium_experimental_subgroup_matrix;
diagnostic(off, chromium.subgroup_matrix_uniformity);
override STEPS: u32 = 4u;
@group(0) @binding(0) var<storage, read> a: array<vec4<u32>>;
@group(0) @binding(1) var<storage, read_write> c: array<vec4<u32>>;
var<workgroup> memory: buffer<4096>;
@compute @workgroup_size(32 * 4)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(subgroup_id) unit: u32,
        @builtin(subgroup_invocation_id) lane: u32) {
    let words = bufferView<array<vec4<u32>>>(&memory, 0);
    let halves = bufferView<array<f16>>(&memory, 0);
    var sum: subgroup_matrix_result<f32, 16, 16>;
    for (var k = 0u; k < STEPS; k++) {
        words[lane] = a[(group.x * STEPS + k) * 32u + lane];
        workgroupBarrier();
        let left = subgroupMatrixLoad<subgroup_matrix_left<f16, 16, 16>, row_major>(
            halves, unit * 256u, 16u);
        let right = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, col_major>(
            halves, unit * 256u, 16u);
        sum = subgroupMatrixMultiplyAccumulate(left, right, sum);
        workgroupBarrier();
    }
    subgroupMatrixStore<row_major>(bufferView<array<f32>>(&memory, 0), unit * 256u, sum, 16u);
    c[group.x * 32u + lane] = words[lane];
}
"""


def test_bindings_are_sorted_and_told_as_written() -> None:
    bindings = reflect(parse(GEMM)).bindings
    assert [(b.group, b.binding, b.name) for b in bindings] == [
        (0, 0, "a"),
        (0, 1, "b"),
        (0, 2, "c"),
        (0, 3, "sizes"),
        (1, 0, "counter"),
    ]
    a, b, c, sizes, counter = bindings
    assert (a.address_space, a.access, a.scalar, a.type_text) == (
        *("storage", "read", "f16", "array<f16x8>"),
    )
    assert (b.access, b.scalar, b.stride, b.min_size) == ("read", "f32", 16, 16)
    assert (c.access, c.scalar, c.stride, c.min_size) == ("read_write", "f32", 4, 4)
    assert c.declaration == ("@group(0) @binding(2) var<storage, read_write> c: array<f32>;")
    assert GEMM.split("\n")[c.line - 1] == "@group(0)"
    assert (sizes.address_space, sizes.access, sizes.scalar) == ("uniform", "read", None)
    assert (sizes.min_size, sizes.size, sizes.stride) == (16, 16, None)
    assert [(f.name, f.offset, f.scalar, f.count) for f in sizes.fields] == [
        ("m", 0, "u32", 1),
        ("n", 4, "u32", 1),
        ("k", 8, "u32", 1),
        ("scale", 12, "f32", 1),
    ]
    assert (counter.scalar, counter.min_size, counter.stride) == ("u32", 4, None)
    assert a.fields == ()


def test_entry_points_know_what_they_reach() -> None:
    points = reflect(parse(GEMM)).entry_points
    assert {name: (p.stage, p.resources) for name, p in points.items()} == {
        "main": ("compute", ("b", "c", "sizes")),
        "convert": ("compute", ("a",)),
        "count": ("compute", ("counter",)),
        "vertex": ("vertex", ()),
    }
    assert points["main"].workgroup_size() == (16, 16, 1)
    assert points["convert"].workgroup_size() == (64, 1, 1)
    # tile_b: 256 floats; tile_a: 16 rows of 17 halves, 544 bytes, a multiple of 16.
    assert points["main"].workgroup_bytes() == 1024
    assert points["convert"].workgroup_bytes() == 544
    assert points["count"].workgroup_bytes() == 0


def test_a_shader_for_matrix_units() -> None:
    reflection = reflect(parse(MATRIX_UNITS))
    assert reflection.enables == {"f16", "subgroups", "chromium_experimental_subgroup_matrix"}
    main = reflection.entry_points["main"]
    assert main.resources == ("a", "c")
    assert main.workgroup_size() == (128, 1, 1)
    assert main.workgroup_bytes() == 4096
    assert [b.scalar for b in reflection.bindings] == ["u32", "u32"]


def test_reflection_is_the_same_after_printing() -> None:
    for source in (GEMM, MATRIX_UNITS):
        module = parse(source)
        again = parse(print_module(module))
        assert again == module
        first, second = reflect(module), reflect(again)
        assert [b.declaration for b in first.bindings] == [b.declaration for b in second.bindings]
        assert [b.fields for b in first.bindings] == [b.fields for b in second.bindings]
        assert first.entry_points == second.entry_points


def test_overrides() -> None:
    source = """
        override WG: u32 = 64; @id(12) override scale: f32; override fast = true;
        override rows = WG / 2; override lost = scale * 2;
        var<workgroup> m: array<vec3<f32>, rows>; var<workgroup> flag: bool;
        @compute @workgroup_size(WG, 1, rows / 16) fn main() { m[0].x = 1; flag = fast; }
    """
    reflection = reflect(parse(source))
    found = {o.name: (o.type, o.id, o.default) for o in reflection.overrides.values()}
    assert found == {
        "WG": ("u32", None, 64),
        "scale": ("f32", 12, None),
        "fast": ("bool", None, True),
        "rows": ("u32", None, 32),
        "lost": ("f32", None, None),
    }
    main = reflection.entry_points["main"]
    assert main.workgroup_size() == (64, 1, 2)
    assert main.workgroup_size({"WG": 128}) == (128, 1, 4)
    assert main.workgroup_size({"rows": 48}) == (64, 1, 3)
    assert main.workgroup_bytes() == 32 * 16 + 16
    assert main.workgroup_bytes({"WG": 20, "12": 0.5}) == 10 * 16 + 16
    with pytest.raises(WgslLayoutError, match=r"no override 'wg'; there are: WG, fast, lost, rows"):
        main.workgroup_size({"wg": 1})
    with pytest.raises(WgslLayoutError, match="@workgroup_size is 0"):
        main.workgroup_size({"WG": 8})


def test_local_names_hide_module_names() -> None:
    source = """
        @group(0) @binding(0) var<storage> p: array<f32>;
        @group(0) @binding(1) var<storage> q: array<f32>;
        @group(0) @binding(2) var<storage> r: array<f32>;
        @group(0) @binding(3) var<storage> s: array<f32>;
        @group(0) @binding(4) var<storage> t: array<f32>;
        struct T { s: f32 }
        fn hidden(p: u32) -> u32 { let q = p; { let r = q; return r; } }
        fn late() -> f32 { { let p = 1f; } let x = p[0]; return x; }
        fn own() { let p = p[1]; var v: T; v.s = p; }
        fn loops() {
            for (var q = 0u; q < 2u; q++) { let r = q; }
            loop { let s = 1u; continuing { let x = s; break if x == 1u; } }
            switch 1u { case 1u: { let t = 1u; _ = t; } default: { _ = t[0]; } }
            if true { let q = 1u; } else if q[0] > 1f { } else { let q = 2u; }
            while false { let r = 1u; }
        }
        @compute @workgroup_size(1) fn a() { _ = hidden(1u); }
        @compute @workgroup_size(1) fn b() { _ = late(); }
        @compute @workgroup_size(1) fn c() { own(); }
        @compute @workgroup_size(1) fn d() { loops(); }
        @compute @workgroup_size(1) fn e(@builtin(local_invocation_index) q: u32) { _ = q; }
    """
    points = reflect(parse(source)).entry_points
    assert {name: point.resources for name, point in points.items()} == {
        "a": (),
        "b": ("p",),
        "c": ("p",),
        "d": ("q", "t"),
        "e": (),
    }


def test_words_of_attributes_are_no_names_of_the_module() -> None:
    source = """
        @group(0) @binding(0) var<storage> workgroup_id: array<f32>;
        @group(0) @binding(1) var<storage> off: array<f32>;
        @group(0) @binding(2) var<storage> member: array<f32>;
        struct S { member: f32 }
        @compute @workgroup_size(1) fn main(@builtin(workgroup_id) id: vec3<u32>) {
            var s: S;
            @diagnostic(off, derivative_uniformity) if id.x == 0u { s.member = 1f; }
        }
    """
    assert reflect(parse(source)).entry_points["main"].resources == ()


def test_textures_and_samplers_are_handles() -> None:
    source = """
        @group(0) @binding(0) var image: texture_2d<f32>;
        @group(0) @binding(1) var nearest: sampler;
        @group(0) @binding(2) var result: texture_storage_2d<rgba8unorm, write>;
    """
    bindings = reflect(parse(source)).bindings
    assert [(b.address_space, b.access, b.min_size, b.scalar) for b in bindings] == [
        ("handle", "read", 0, None),
        ("handle", "read", 0, None),
        ("handle", "write", 0, None),
    ]


@pytest.mark.parametrize(
    ("source", "message", "line"),
    [
        ("\n@binding(0) var<storage> a: f32;", "'a' needs @group", 2),
        ("@group(0) var<storage> a: f32;", "'a' needs @binding", 1),
        ("@group(-1) @binding(0) var<storage> a: f32;", "must be an integer >= 0", 1),
        ("@group(0) @binding(1.5) var<storage> a: f32;", "must be an integer", 1),
        ("@group(0) @binding(0) var<storage> a = 1;", "'a' needs a type", 1),
        ("@compute fn main() { }", "needs @workgroup_size", 1),
        ("\n\n@compute @workgroup_size(1, 1, 1, 1) fn main() { }", "one to three sizes", 3),
        ("const a = 1;\nfn a() { }", "'a' is declared twice", 2),
    ],
)
def test_faults_have_their_place(source: str, message: str, line: int) -> None:
    with pytest.raises((WgslLayoutError, WgslSyntaxError)) as caught:
        reflect(parse(source))
    assert message in caught.value.message
    assert caught.value.line == line


def test_functions_that_call_each_other_in_a_ring_end() -> None:
    source = """
        @group(0) @binding(0) var<storage> x: array<f32>;
        fn f() { g(); } fn g() { f(); _ = x[0]; }
        @compute @workgroup_size(1) fn main() { f(); }
    """
    assert reflect(parse(source)).entry_points["main"].resources == ("x",)


def test_an_outline_leaves_what_stands_in_functions_to_the_engine() -> None:
    head = "@group(0) @binding(0) var<storage, read_write> x: array<f32>;\n"
    body = "@compute @workgroup_size(64) fn main() { let = x[0] { } }"
    assert reflect_outline(head + body).entry_points["main"].resources == ("x",)
    for text in (body[:-1], body.replace("{ } }", "} }"), "fn f() { // }", "fn f() { /* } */"):
        with pytest.raises(WgslSyntaxError, match="line 2"):
            reflect_outline(head + text)
