"""Damaged sources raise the front end's own errors and no others, in a short time."""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest

from gpucore.wgsl import WgslError, WgslLayoutError, WgslSyntaxError, parse, print_module, reflect
from gpucore.wgsl.lexer import KEYWORDS

SOURCE = """
enable f16, subgroups; requires x; diagnostic(off, chromium.subgroup_matrix_uniformity);
alias f16x8 = vec4<u32>; /* a /* nested */ comment */
override WG: u32 = 64u; @id(3) override scale: f32; const N = (4u * (2 + 6)) >> 1; // note
struct Inner { a: vec3<f32>, @size(16) b: u32 }
struct Sizes { m: u32, n: array<vec4<f32>, 2>, inner: Inner, c: mat3x3<f32>, }
@group(0) @binding(0) var<storage, read> x: array<f16x8>;
@group(0) @binding(1) var<storage, read_write> y: array<array<f32, N>>;
@group(0) @binding(2) var<uniform> sizes: Sizes;
var<workgroup> tile: array<f32, WG * N + 1>;
var<private> seed = 0x1.8p3f;
const_assert N == 16 && (WG > 1 || true);
fn helper(p: ptr<function, f32>, x: u32) -> f32 {
    switch x { case 1, 2: { *p += 1.5e-3; } default { return -1h; } }
    loop { if x > 3u { break; } continuing { seed = select(1f, .5, x < 2u); break if x == 0; } }
    while (x & 1u) != 0 { let q = vec2<f32>(1, 2).yx; _ = q[0]; }
    return *p;
}
@compute @workgroup_size(WG, 2) fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    for (var i = 0u; i < sizes.m; i++) { var v = f32(id.x << 2u); tile[i] = helper(&v, i); }
    workgroupBarrier();
    if id.x >= arrayLength(&y) { return; } else if id.y <= 1 { y[id.x][0] -= tile[0]; } else { }
    let m = subgroupMatrixLoad<subgroup_matrix_left<f16, 16, 16>, row_major>(&tile, 0, 16u);
}
"""
SNIPPETS = [
    *sorted(KEYWORDS),
    *"< > << >> <= >= == != = += && || & | ^ ! ~ + - * / % ( ) [ ] { } , ; : . @ -> ++ --".split(),
    *"/* */ // 0 1u 1.5 0x 1e 0x1p 99999999999999999999 1e999 x N WG array< >> \0 é".split(),
    *("array<f32>", "@align(0)", "@size(-1)", "N = N;", "struct S { s: S }", "alias a = a;", "\n"),
    *(
        "1 / 0",
        "1u << 99",
        "override o = o;",
        "const N = M; const M = N;",
        "((((",
        "- - - -",
        "\u2028",
    ),
]


def run(source: str) -> WgslError | None:
    """Run everything over a source; return the front end's error, or None."""
    try:
        module = parse(source)
        printed = print_module(module)
        assert parse(printed) == module, source
        reflection = reflect(module)
        for point in reflection.entry_points.values():
            point.workgroup_size({"scale": 1.0} if "scale" in reflection.overrides else {})
            point.workgroup_bytes({"WG": 8} if "WG" in reflection.overrides else {})
    except (WgslSyntaxError, WgslLayoutError) as error:
        return error
    return None


def is_accepted(source: str) -> bool:
    """Tell whether a source is accepted; check that an error has a message and a place."""
    error = run(source)
    if error is None:
        return True
    lines = source.count("\n") + source.count("\u2028") + 1
    assert error.message
    assert 0 <= error.line <= lines
    assert len(str(error)) < 1000
    return False


def test_the_undamaged_source_is_fine() -> None:
    assert is_accepted(SOURCE)


def test_every_truncation_is_survived() -> None:
    accepted = sum(is_accepted(SOURCE[:end]) for end in range(0, len(SOURCE), 3))
    assert accepted < len(SOURCE) / 9


@pytest.mark.parametrize("seed", range(4))
def test_random_damage_is_survived(seed: int) -> None:
    generator = random.Random(seed)
    accepted = 0
    for _ in range(200):
        source = SOURCE
        for _ in range(generator.choice((1, 1, 2, 5))):
            start = generator.randrange(len(source) + 1)
            end = min(len(source), start + generator.choice((0, 0, 1, 3, 10, 80)))
            middle = generator.choice(["", generator.choice(SNIPPETS), source[end : end + 40]])
            source = source[:start] + middle + source[end:]
        accepted += is_accepted(source)
    # Damage inside comments and names goes unnoticed; most must be seen.
    assert 0 < accepted < 120


def run_without_comparison(source: str) -> WgslError | None:
    """Do as `run` does, without the comparison of trees, which recurses."""
    try:
        for point in reflect(parse(source)).entry_points.values():
            point.workgroup_size()
    except (WgslSyntaxError, WgslLayoutError) as error:
        return error
    return None


@pytest.mark.parametrize(
    "source",
    [
        *("(" * 100_000, "fn f() " + "{" * 100_000, "const x = " + "-" * 100_000 + "1;"),
        "const x = " + "a<" * 50_000 + ">" * 50_000 + ";",
        "const x = " + "a(" * 50_000,
        "const x = " + "1 + " * 50_000 + "1;",
        "const x = " + "a<b," * 20_000 + ";",
        "/*" * 50_000,
        "//" + "/" * 100_000,
        "@a" * 50_000,
        "a" * 100_000,
        "9" * 100_000,
        "const x = array<f32, " + "9" * 100_000 + ">();",
        "0x" + "f" * 100_000,
        "1." + "0" * 100_000 + "e",
        " " * 200_000 + "$",
        "alias a0 = f32;" + "".join(f"alias a{i + 1} = array<a{i}, 2>;" for i in range(300)),
        "".join(f"const c{i} = c{i + 1};" for i in range(300)) + "const c300 = 1;"
        "@compute @workgroup_size(c0) fn main() { }",
        "fn f() { " + "if a { } else " * 5_000 + "{ } }",
        "enable " + "a," * 50_000 + ";",
        "fn f() { switch a { " + "case 1: { }" * 10_000 + "} }",
    ],
    ids=range(21),
)
def test_large_hostile_sources_end_soon(source: str) -> None:
    start = time.perf_counter()
    assert len(str(run_without_comparison(source))) < 1000
    # Two hundred thousand characters lex in well under a second; quadratic work would take minutes.
    assert time.perf_counter() - start < 20


def test_other_languages_are_refused() -> None:
    for path in (Path(__file__), Path(__file__).with_name("test_layout.py")):
        with pytest.raises(WgslError):
            parse(path.read_text())
