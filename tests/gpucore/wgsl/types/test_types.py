"""The typed pass: types and values of expressions, and what it refuses.

The expected types are those of the WGSL specification's tables, sections 6, 8 and 17.
"""

from __future__ import annotations

import pytest

from gpucore.wgsl import parse
from gpucore.wgsl.syntax import Function, Variable
from gpucore.wgsl.types import Facts, WgslTypeError, infer_types
from gpucore.wgsl.types.kinds import describe
from gpucore.wgsl.values import Constant

HEAD = """
enable f16;
struct Pair { first: vec3f, second: array<f16, 4> }
@group(0) @binding(0) var<storage, read> x: array<Pair>;
@group(0) @binding(1) var<storage, read_write> counts: array<atomic<u32>>;
var<workgroup> words: array<vec4u, 8>;
override width: u32 = 8;
const SIZE = 4;
const HALF = 0.5;
const PAIRS = array(vec2(1, 2), vec2(3, 4));
fn twice(a: f32) -> f32 { return 2 * a; }
@compute @workgroup_size(1) fn main(@builtin(global_invocation_id) id: vec3u) {
    let i = i32(id.x); let u = id.x; let f = f32(u); let h = f16(f);
    let v = vec4f(f); let m = mat2x3f(); let b = u > 2;
"""


def facts_of(statement: str) -> tuple[Facts, Function]:
    """Return what the pass finds in a function that ends with a statement."""
    module = parse(f"{HEAD}{statement}\n}}")
    (main,) = (d for d in module.declarations if isinstance(d, Function) and d.name == "main")
    return infer_types(module, "main", {}), main


def type_of(expression: str) -> str:
    facts, main = facts_of(f"let found = {expression};")
    (found,) = (s for s in main.body.statements if isinstance(s, Variable) and s.name == "found")
    return describe(facts.declared[id(found)].type)


@pytest.mark.parametrize(
    ("expression", "type_"),
    [
        ("1", "i32"),
        ("1.0", "f32"),
        ("0x1p3", "f32"),
        ("1u + 2", "u32"),
        ("h * 2", "f16"),
        ("u << 1", "u32"),
        ("1 << u", "i32"),
        ("i < 3", "bool"),
        ("v < vec4(1)", "vec4<bool>"),
        ("v * 2", "vec4<f32>"),
        ("2 / v", "vec4<f32>"),
        ("m * vec2f(1, 2)", "vec3<f32>"),
        ("vec3f() * m", "vec2<f32>"),
        ("transpose(m) * m", "mat2x2<f32>"),
        ("m * 2", "mat2x3<f32>"),
        ("m[0].y", "f32"),
        ("v.xxyy", "vec4<f32>"),
        ("v.rgb", "vec3<f32>"),
        ("x[1].first", "vec3<f32>"),
        ("x[u].second[1]", "f16"),
        ("vec3(1, 2.0, 3)", "vec3<f32>"),
        ("vec2(u, 1)", "vec2<u32>"),
        ("vec3(1)", "vec3<i32>"),
        ("vec4<f16>(vec2h(), 1, h)", "vec4<f16>"),
        ("array(1, 2.0)", "array<f32, 2>"),
        ("PAIRS[u]", "vec2<i32>"),
        ("select(1, 2.5, b)", "f32"),
        ("select(v, v, v > v)", "vec4<f32>"),
        ("max(u, 3)", "u32"),
        ("clamp(f, 0, 1)", "f32"),
        ("dot(v, v)", "f32"),
        ("length(v.xy)", "f32"),
        ("mix(v, v, 0.5)", "vec4<f32>"),
        ("all(v == v)", "bool"),
        ("bitcast<vec2<f16>>(u)", "vec2<f16>"),
        ("bitcast<vec4u>(v)", "vec4<u32>"),
        ("frexp(f).exp", "i32"),
        ("modf(v).whole", "vec4<f32>"),
        ("unpack2x16float(u)", "vec2<f32>"),
        ("pack4xU8(vec4(1, 2, 3, u))", "u32"),
        ("arrayLength(&x)", "u32"),
        ("atomicAdd(&counts[u], 1)", "u32"),
        ("atomicCompareExchangeWeak(&counts[0], 1, 2).exchanged", "bool"),
        ("workgroupUniformLoad(&words)", "array<vec4<u32>, 8>"),
        ("subgroupBallot(b)", "vec4<u32>"),
        ("subgroupShuffleXor(v, 1)", "vec4<f32>"),
        ("&words[1]", "ptr<workgroup, vec4<u32>>"),
        ("twice(1)", "f32"),
        ("width * 2", "u32"),
        ("!b", "bool"),
        ("~u", "u32"),
        ("-v", "vec4<f32>"),
        ("countOneBits(vec2(1, 2))", "vec2<i32>"),
        ("extractBits(u, 1, 2)", "u32"),
    ],
)
def test_types(expression: str, type_: str) -> None:
    assert type_of(expression) == type_


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("SIZE * 2 + 1", Constant("i32", 9)),
        ("7 / 2", Constant("i32", 3)),
        ("SIZE * HALF", Constant("f32", 2.0)),
        ("PAIRS[1].y", Constant("i32", 4)),
        ("vec3(1, 2, 3).z + 0.5", Constant("f32", 3.5)),
        ("width << 1", Constant("u32", 16)),
        ("u32(2.9)", Constant("u32", 2)),
        ("min(3, SIZE)", Constant("i32", 3)),
        ("1 < 2 && SIZE == 4", Constant("bool", True)),
        ("f * 2", None),
    ],
)
def test_values(expression: str, value: Constant | None) -> None:
    facts, main = facts_of(f"let found = {expression};")
    found = main.body.statements[-1]
    assert isinstance(found, Variable)
    assert found.value is not None
    assert facts.value_of(found.value) == value


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("let a = u + i;", "'+' does not combine u32 and i32: convert one of them"),
        ("let a = u + 1.0;", "'+' does not combine u32 and abstract float"),
        ("let a: i32 = 1.5;", "the value of 'a' is of type abstract float, not i32"),
        ("let a: u32 = -1;", "-1 does not fit u32"),
        ("let a = missing;", "'missing' is not declared"),
        ("let a = missing(1);", "there is no function 'missing'"),
        ("let a = twice(1, 2);", "'twice' takes 1 arguments, got 2"),
        ("let a = twice(u);", "the argument 'a' is of type u32, not f32"),
        ("let a = max(u, i);", "max does not take (u32, i32): convert the arguments"),
        ("let a = v.q;", "vec4<f32> has no member 'q'"),
        ("let a = v[4];", "index 4 is out of bounds: vec4<f32> has 4 elements"),
        ("let a = v[f];", "an index must be an integer, got f32"),
        ("let a = vec3f(1, 2);", "vec3<f32> cannot be made of"),
        ("let a = !u;", "'!' does not work on u32"),
        ("if u { }", "the condition is of type u32, not bool"),
        ("i = 2;", "'i' is a let and cannot be assigned to"),
        ("x[0].first = vec3f();", "'x' is read-only and cannot be assigned to"),
        ("words[0] = v;", "the value is of type vec4<f32>, not vec4<u32>"),
        ("return 1;", "this function returns no value"),
        ("const_assert SIZE == 5;", "const_assert failed"),
        ("switch f { default: { } }", "switch needs an integer, got f32"),
        ("let a = bitcast<u32>(v);", "bitcast does not make u32 of vec4<f32>"),
        ("let a = buffer<4>();", "there is no function 'buffer'"),
    ],
)
def test_what_is_refused(statement: str, message: str) -> None:
    with pytest.raises(WgslTypeError) as caught:
        facts_of(statement)
    assert message in caught.value.message
    assert caught.value.line == HEAD.count("\n") + 1


def test_a_local_name_hides_one_outside() -> None:
    facts, main = facts_of("var a = 1; { let a = f32(a) * 2; var b = a; } a++;")
    outer = main.body.statements[-3]
    assert isinstance(outer, Variable)
    assert describe(facts.declared[id(outer)].type) == "i32"
    assert {s.name: s.number for s in facts.declared.values()}["a"] == 2
