"""Values of const- and override-expressions, with their types, and what has no value."""

from __future__ import annotations

import pytest

from gpucore.wgsl import WgslLayoutError, parse
from gpucore.wgsl.constants import Constants
from gpucore.wgsl.syntax import ConstAssert, Variable
from gpucore.wgsl.values import Constant, Number


def value(
    expression: str, declarations: str = "", given: dict[str, Number] | None = None
) -> Constant:
    module = parse(f"{declarations}\nconst wanted = {expression};")
    names = {d.name: d for d in module.declarations if not isinstance(d, ConstAssert)}
    wanted = names["wanted"]
    assert isinstance(wanted, Variable)
    assert wanted.value is not None
    return Constants(names, module.source, given).evaluate(wanted.value)


@pytest.mark.parametrize(
    ("text", "type_", "expected"),
    [
        ("12", "int", 12),
        ("12u", "u32", 12),
        ("0x1Fi", "i32", 31),
        ("0xff", "int", 255),
        ("1.5", "float", 1.5),
        ("2f", "f32", 2.0),
        ("0.1f", "f32", 0.10000000149011612),
        ("0.1h", "f16", 0.0999755859375),
        ("0x1.8p3", "float", 12.0),
        ("0x1p-2f", "f32", 0.25),
        ("0x.8", "float", 0.5),
        ("0x1.f", "float", 1.9375),
        ("1e3", "float", 1000.0),
        ("true", "bool", True),
    ],
)
def test_literals(text: str, type_: str, expected: Number) -> None:
    assert value(text) == Constant(type_, expected)


@pytest.mark.parametrize(
    ("text", "type_", "expected"),
    [
        ("1 + 2 * 3", "int", 7),
        ("1 + 2u", "u32", 3),
        ("1 + 2.0", "float", 3.0),
        ("1 + 2f", "f32", 3.0),
        ("0.1 + 0.2h", "f16", 0.2998046875),
        ("7 / 2", "int", 3),
        ("-7 / 2", "int", -3),
        ("7 / -2", "int", -3),
        ("-7 / -2", "int", 3),
        ("-7 % 2", "int", -1),
        ("7 % -2", "int", 1),
        ("-7.5 % 2.0", "float", -1.5),
        ("7.0 / 2", "float", 3.5),
        ("-(3)", "int", -3),
        ("~0u", "u32", 4294967295),
        ("~5", "int", -6),
        ("!false", "bool", True),
        ("1u << 4u", "u32", 16),
        ("1 << 40", "int", 1 << 40),
        ("3u << 31", "u32", 2147483648),
        ("-8i >> 1u", "i32", -4),
        ("6 & 3", "int", 2),
        ("6u | 1", "u32", 7),
        ("6 ^ 3", "int", 5),
        ("true & false", "bool", False),
        ("1 < 2", "bool", True),
        ("1.5 >= 2", "bool", False),
        ("true != false", "bool", True),
        ("true && 1 == 1", "bool", True),
        ("false || false", "bool", False),
        ("4294967295u + 1u", "u32", 0),
        ("0u - 1u", "u32", 4294967295),
        ("2147483647i + 1i", "i32", -2147483648),
        ("u32(3.9)", "u32", 3),
        ("i32(-3.9)", "i32", -3),
        ("u32(-1i)", "u32", 4294967295),
        ("u32(true)", "u32", 1),
        ("f32(3)", "f32", 3.0),
        ("f16(1u)", "f16", 1.0),
        ("bool(0)", "bool", False),
        ("u32()", "u32", 0),
        ("min(3, 4u)", "u32", 3),
        ("max(1.5, 2)", "float", 2.0),
        ("clamp(7, 1, 5)", "int", 5),
        ("abs(-3)", "int", 3),
        ("sign(-2.5)", "float", -1.0),
        ("select(1u, 2u, 3 > 2)", "u32", 2),
        ("ceil(1.25)", "float", 2.0),
        ("floor(-1.25)", "float", -2.0),
        ("round(2.5)", "float", 2.0),
        ("trunc(-1.75)", "float", -1.0),
        ("sqrt(16)", "float", 4.0),
        ("log2(8.0)", "float", 3.0),
        ("exp2(3)", "float", 8.0),
        ("pow(2, 10)", "float", 1024.0),
        ("u32(ceil(f32(N) / 8))", "u32", 13),
        ("M", "u32", 64),
        ("flag", "bool", True),
        ("word(2)", "u32", 2),
        ("half", "f16", 0.5),
    ],
)
def test_expressions(text: str, type_: str, expected: Number) -> None:
    declarations = """
        const N = 100; const M: u32 = 64; const flag = N > 5; alias word = u32;
        const half: f16 = 0.5;
    """
    found = value(text, declarations)
    assert (found.type, found.value) == (type_, expected)
    assert type(found.value) is type(expected)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1 / 0", "division by zero"),
        ("1u % 0u", "division by zero"),
        ("1i + 1u", "i32 and u32 cannot be combined"),
        ("1f + 1h", "f32 and f16 cannot be combined"),
        ("1u + 1.5", "type abstract float where u32 is expected"),
        ("true + false", "does not work on bool"),
        ("true < false", "does not order bools"),
        ("1.5 & 1.5", "'&' does not work on"),
        ("1.5 << 1", "'<<' does not work on"),
        ("1u << 32", "shift by 32 bits"),
        ("-1u", "'-' does not work on u32"),
        ("!1", "'!' does not work on"),
        ("~1.5", "'~' does not work on"),
        ("1 && true", "where bool is expected"),
        ("9223372036854775807 + 1", "does not fit abstract integer"),
        ("4294967296u", "does not fit u32"),
        ("u32(-1)", "does not fit u32"),
        ("1e39f", "does not fit f32"),
        ("65520h", "does not fit f16"),
        ("1e400", "does not fit"),
        ("sqrt(-1.0)", "no value"),
        ("exp2(5000)", "no value"),
        ("missing", "'missing' is not a constant"),
        ("v", "'v' is not a constant"),
        ("o", "'o' is an override"),
        ("vec2(1, 2)", "vec2.* is not known before the shader runs"),
        ("min(1)", "min does not take 1 arguments"),
        ("a[1]", "only numbers and bools"),
        ("x.y", "only numbers and bools"),
        ("small", "'small': 300 does not fit|does not fit"),
        ("loop1", "defined through itself"),
    ],
)
def test_what_has_no_value(text: str, message: str) -> None:
    declarations = """var<private> v: f32; override o = 1; const small: u32 = -300;
        const loop1 = loop2; const loop2 = loop1;"""
    with pytest.raises(WgslLayoutError, match=message) as caught:
        value(text, declarations)
    assert caught.value.line >= 1


@pytest.mark.parametrize(
    ("given", "type_", "expected"),
    [
        ({}, "i32", 4),
        ({"n": 7}, "i32", 7),
        ({"n": 7.0}, "i32", 7),
        ({"n": -1}, "i32", -1),
    ],
)
def test_an_override_takes_the_given_value(
    given: dict[str, Number], type_: str, expected: Number
) -> None:
    assert value("n", "override n = 4;", given) == Constant(type_, expected)


def test_overrides_of_every_type_and_their_numbers() -> None:
    declarations = """
        @id(3) override a: u32; override b: f32 = 1; override c = true; override d = 2.5;
        @id(2 + 2) override e = a * 2;
    """
    assert value("a", declarations, {"3": 9}) == Constant("u32", 9)
    assert value("a", declarations, {"a": 8}) == Constant("u32", 8)
    assert value("e", declarations, {"3": 9}) == Constant("u32", 18)
    assert value("e", declarations, {"3": 9, "4": 1}) == Constant("u32", 1)
    assert value("b", declarations, {"b": 3}) == Constant("f32", 3.0)
    assert value("c", declarations, {"c": 0}) == Constant("bool", False)
    assert value("d", declarations, {}) == Constant("f32", 2.5)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "has no default"),
        ({"n": 1.5}, "type abstract float where u32 is expected"),
        ({"n": -1}, "-1 does not fit u32"),
        ({"n": True}, "type bool where u32 is expected"),
        ({"n": float("nan")}, "abstract float where u32 is expected"),
    ],
)
def test_given_values_must_fit(given: dict[str, Number], message: str) -> None:
    with pytest.raises(WgslLayoutError, match=message):
        value("n", "override n: u32;", given)


def test_the_error_stands_at_the_part_without_a_value() -> None:
    with pytest.raises(WgslLayoutError) as caught:
        value("1 +\n  missing * 2")
    assert (caught.value.line, caught.value.column) == (3, 3)
    assert caught.value.source_line == "  missing * 2;"


def test_long_sums_do_not_exhaust_the_stack() -> None:
    assert value(" + ".join(["1"] * 513)).value == 513
