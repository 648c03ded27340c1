"""The C that is printed: forms that a compiler would take, and that mean something else."""

from __future__ import annotations

import pytest

from gpucore.wgsl import WgslError
from gpucore.wgsl.c_family import UnsupportedError
from gpucore.wgsl.c_family.module import print_kernel

HEAD = """
@group(0) @binding(0) var<storage, read_write> y: array<u32>;
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
const NONE = 0xffffffffu;
fn next() -> u32 { return 1u; }
@compute @workgroup_size(40) fn main(@builtin(local_invocation_index) t: u32) {
    var i = 1; var f = 1.0; var v = vec2i(1);
"""


def body_of(statement: str, *, checks: bool = False, head: str = HEAD) -> str:
    """Return the lines that a statement becomes, without indents."""
    text = print_kernel(f"{head}{statement}\n}}", "main", {}, checks=checks).text
    lines = [line.strip() for line in text.split("void main_(")[1].split("\n};")[0].split("\n")]
    return "\n".join(lines[4:-1] if head is HEAD else lines[1:-1])


@pytest.mark.parametrize(
    ("condition", "text"),
    [
        ("t < 3 && f <= 4", "((t_1 < 3u) & (f_1 <= 4.0f))"),
        (
            "t < 3 && f <= 4 && dot(v, v) > i",
            "(((t_1 < 3u) & (f_1 <= 4.0f)) & (w_dot(v_1, v_1) > i_1))",
        ),
        ("t < 3 || !(v.x > 1)", "((t_1 < 3u) | (!(v_1.x > 1)))"),
        ("t < 9 && y[t] > 0", "((t_1 < 9u) && ((*y_)[t_1] > 0u))"),
        ("t < 9 && x[t].y > f", "((t_1 < 9u) && ((*x_)[t_1].y > f_1))"),
        ("t < 9 && next() > 0", "((t_1 < 9u) && (next_() > 0u))"),
        ("i > 0 && 9 / i > 2", "((i_1 > 0) && (w_div(9, i_1) > 2))"),
    ],
)
def test_a_loop_branches_once_where_more_costs_little(condition: str, text: str) -> None:
    """What reads memory, or calls, is not computed where the left side says no."""
    assert body_of(f"while {condition} {{ i++; }}").startswith(f"while ({text}) {{")
    assert body_of(f"for (; {condition}; ) {{ i++; }}").startswith(f"for (; {text};) {{")


def test_parts_of_shared_vectors_are_read_where_they_lie() -> None:
    """A copy would be read once more for each other part."""
    head = "var<workgroup> tile: array<vec4f, 40>;\nfn at() -> u32 { return 1u; }\n" + HEAD
    lines = body_of("let a = tile[t].zx; let b = tile[at()].zx; let c = x[t].zx;", head=head)
    a, b, c = (line.split(" = ")[1] for line in lines.split("\n")[-3:])
    assert a == "w_vec<float, 2>{tile_[t_1].z, tile_[t_1].x};"
    assert b == "w_swizzle<2, 0>(tile_[at_()]);"
    assert c == "w_swizzle<2, 0>((*x_)[t_1]);"


def test_of_barriers_that_follow_each_other_one_is_printed() -> None:
    """It orders all memory; two were twice as slow."""
    statement = (
        "workgroupBarrier(); storageBarrier(); textureBarrier(); y[0] = t; storageBarrier();"
    )
    assert body_of(statement) == ("w_workgroupBarrier();\n(*y_)[0] = t_1;\nw_storageBarrier();")


@pytest.mark.parametrize(
    ("statement", "text"),
    [
        ("i = i + 1;", "i_1 = w_add(i_1, 1);"),
        ("i = -i;", "i_1 = w_neg(i_1);"),
        ("i = -2147483648;", "i_1 = (-2147483647 - 1);"),
        ("y[0] = t + 1;", "(*y_)[0u] = (t_1 + 1u);"),
        ("y[0] = t / 4;", "(*y_)[0u] = (t_1 / 4u);"),
        ("y[0] = t / t;", "(*y_)[0u] = w_div(t_1, t_1);"),
        ("y[0] = t << 3;", "(*y_)[0u] = (t_1 << 3u);"),
        ("y[0] = t >> t;", "(*y_)[0u] = w_shr(t_1, t_1);"),
        ("y[0] = NONE;", "(*y_)[0u] = 4294967295u;"),
        ("y[0] = u32(f);", "(*y_)[0u] = w_u32(f_1);"),
        ("f = f % 2;", "f_1 = w_mod(f_1, 2.0f);"),
        ("f = 1 / 3.0;", "f_1 = 0.3333333432674408f;"),
        ("f = x[t].w;", "f_1 = (*x_)[t_1].w;"),
        ("v = v * 2 + v.yx;", "v_1 = w_add(w_mul(v_1, 2), w_swizzle<1, 0>(v_1));"),
        (
            "y[next()] += 2;",
            "[&] { auto& w_target = (*y_)[next_()]; w_target = (w_target + 2u); }();",
        ),
        ("i++;", "i_1 = w_add(i_1, 1);"),
        ("y[t]--;", "(*y_)[t_1] = ((*y_)[t_1] - 1u);"),
        ("_ = next();", "(void)(next_());"),
        ("y[0] = arrayLength(&x);", "(*y_)[0u] = x_count;"),
        ("{ let i = i * 2; }", "{\nconst int i_2 = w_mul(i_1, 2);\n}"),
    ],
)
def test_statements(statement: str, text: str) -> None:
    assert body_of(statement) == text.replace("[0u]", "[0]")


@pytest.mark.parametrize(
    ("statement", "text"),
    [
        ("f = x[i].y;", "f_1 = (*x_)[w_min((unsigned)(i_1), x_count - 1u)].y;"),
        ("i = v[t];", "i_1 = v_1[w_min(t_1, 1u)];"),
        ("i = v[1];", "i_1 = v_1[1];"),
        ("while i > 0 { i--; }", "while ((i_1 > 0)) {\nW_TURN;\ni_1 = w_sub(i_1, 1);\n}"),
        (
            "y[t] = 1;",
            (
                "{ const auto w_value = 1u; "
                "if (t_1 < y_count) (*y_)[w_min(t_1, y_count - 1u)] = w_value; }"
            ),
        ),
    ],
)
def test_checked_indices(statement: str, text: str) -> None:
    assert body_of(statement, checks=True) == text


def test_continuing_sees_what_the_body_declares() -> None:
    loop = "loop { let a = i; if a > 1 { continue; } continuing { i = a; break if a > 3; } }"
    text = body_of(loop)
    assert text.split("\n") == [
        "while (true) {",
        "int a_1{};",
        "{",
        "a_1 = i_1;",
        "if ((a_1 > 1)) {",
        "goto w_continuing1;",
        "}",
        "}",
        "w_continuing1:;",
        "i_1 = a_1;",
        "if ((a_1 > 3)) break;",
        "}",
    ]


def test_offsets_are_those_of_wgsl() -> None:
    source = """enable f16;
struct Inner { a: vec3f, b: f32, @size(32) c: u32 }
struct Outer { @align(64) one: u32, two: array<Inner, 2>, three: vec3h }
@group(0) @binding(0) var<storage, read_write> o: Outer;
@compute @workgroup_size(1) fn main() { o.one = 1; }
"""
    text = print_kernel(source, "main", {}, checks=False).text
    assert "static_assert(sizeof(Inner_) == 48" in text
    assert "static_assert(sizeof(Outer_) == 128" in text
    assert "unsigned char w_pad0[28]" in text


def test_the_lanes_of_the_last_subgroup() -> None:
    text = print_kernel(f"{HEAD} y[0] = subgroupAdd(t); }}", "main", {}, checks=False).text
    assert "/ W_WAVE == 1u ? (w_mask)255ull : W_EVERY)" in text, "40 invocations are 32 and 8"
    off = "diagnostic(off, subgroup_uniformity);" + HEAD
    text = print_kernel(f"{off} y[0] = subgroupAdd(t); }}", "main", {}, checks=False).text
    assert "/ W_WAVE == 1u ? (w_mask)255ull : W_EVERY)" in text, "all of them call it"
    some = f"{off} if (t > 3u) {{ y[0] = subgroupAdd(t); }} }}"
    text = print_kernel(some, "main", {}, checks=False).text
    assert "#define W_LANES W_ACTIVE" in text


def test_much_workgroup_memory_is_asked_for_at_the_launch() -> None:
    large = "var<workgroup> one: array<u32, 4>; var<workgroup> other: array<u32, 16384>;" + HEAD
    kernel = print_kernel(f"{large} other[t] = 1; one[0] = 2; }}", "main", {}, checks=False)
    assert kernel.launch_memory == 65536 + 16
    assert "(*(w_array<unsigned, 16384>*)(w_shared + 16))[t_1] = 1u;" in kernel.text
    assert print_kernel(f"{HEAD} }}", "main", {}, checks=False).launch_memory == 0


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (
            "@compute @workgroup_size(1) fn main(@builtin(position) p: vec4f) { }",
            "this input of the entry point cannot be printed as C",
        ),
    ],
)
def test_what_has_no_form(source: str, message: str) -> None:
    with pytest.raises(UnsupportedError, match=message):
        print_kernel(source, "main", {}, checks=False)
    assert issubclass(UnsupportedError, WgslError)
