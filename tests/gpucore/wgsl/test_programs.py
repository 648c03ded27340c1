"""Random syntax trees printed and parsed back: ``parse(print_module(m)) == m``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gpucore.wgsl import Module, parse, print_module
from gpucore.wgsl import syntax as s
from gpucore.wgsl.declarations import outline
from gpucore.wgsl.lexer import tokenize
from gpucore.wgsl.printer import print_expression
from gpucore.wgsl.usage import own_names

NAMES = "a b x1 f32 vec4 array off größe _y read compute subgroup_id e f h lf u p2".split()
LITERALS = "true false 0 1u 7i 1.5 .5f 2. 1e-3 0x1F 0x1.8p2h 12 4294967295u 0.1h 3f".split()
BINARY = "* / % + - << >> < > <= >= == != && || & | ^ < > - &".split()
ASSIGN = "= += -= *= /= %= &= |= ^= <<= >>=".split()


class TreeBuilder:
    """Builds random nodes; ``room`` says how many more inner nodes the tree may have."""

    def __init__(self, random: Random, room: int) -> None:
        self.random = random
        self.room = room

    def some_of(self, grow: Callable[[], Any], least: int = 0, most: int = 3) -> tuple[Any, ...]:
        return tuple(grow() for _ in range(self.random.randint(least, most)))

    def maybe(self, grow: Callable[[], Any]) -> Any:
        return grow() if self.random.random() < 0.5 else None

    def one_of(self, *growers: Callable[[], Any]) -> Any:
        return self.random.choice(growers)()

    def name(self) -> str:
        return self.random.choice(NAMES)

    def leaf(self) -> s.Expression:
        if self.random.random() < 0.4:
            return s.Literal(self.random.choice(LITERALS))
        return s.Name(self.name())

    def expression(self) -> s.Expression:
        self.room -= 1
        if self.room < 0:
            return self.leaf()
        grow = self.expression
        return self.one_of(  # type: ignore[no-any-return]
            self.leaf,
            self.type,
            lambda: s.Binary(self.random.choice(BINARY), grow(), grow()),
            lambda: s.Binary(self.random.choice(BINARY), grow(), grow()),
            lambda: s.Unary(self.random.choice("-!~*&"), grow()),
            self.call,
            lambda: s.Index(grow(), grow()),
            lambda: s.Member(grow(), self.name()),
        )

    def type(self) -> s.Name:
        self.room -= 1
        return s.Name(self.name(), self.some_of(self.expression) if self.room > 0 else ())

    def call(self) -> s.Call:
        return s.Call(self.type(), self.some_of(self.expression))

    def attributes(self) -> tuple[s.Attribute, ...]:
        if self.random.random() < 0.7:
            return ()
        return self.some_of(
            lambda: s.Attribute(self.name(), self.some_of(self.expression, 0, 2)), 1, 2
        )

    def target(self) -> s.Expression:
        self.room -= 1
        if self.room < 0:
            return s.Name(self.name())
        return self.one_of(  # type: ignore[no-any-return]
            lambda: s.Name(self.name()),
            lambda: s.Index(self.target(), self.expression()),
            lambda: s.Member(self.target(), self.name()),
            lambda: s.Unary(self.random.choice("*&"), self.target()),
        )

    def local(self) -> s.Variable:
        if self.random.random() < 0.4:
            return s.Variable("var", self.name(), self.type(), self.maybe(self.expression))
        kind = self.random.choice(("let", "const"))
        return s.Variable(kind, self.name(), self.maybe(self.type), self.expression())

    def update(self) -> s.Statement:
        return self.one_of(  # type: ignore[no-any-return]
            lambda: s.Assign(self.target(), self.random.choice(ASSIGN), self.expression()),
            lambda: s.Assign(None, "=", self.expression()),
            lambda: s.Step(self.target(), self.random.choice(("++", "--"))),
            lambda: s.CallStatement(self.call()),
        )

    def simple(self) -> s.Statement:
        return self.one_of(  # type: ignore[no-any-return]
            self.local,
            self.update,
            lambda: s.ConstAssert(self.expression()),
            lambda: s.Return(self.maybe(self.expression)),
            lambda: self.random.choice((s.Break(), s.Continue(), s.Discard())),
        )

    def statement(self) -> s.Statement:
        self.room -= 1
        if self.room < 0:
            return self.simple()
        grow, block = self.expression, self.block
        return self.one_of(  # type: ignore[no-any-return]
            self.simple,
            block,
            lambda: s.If(
                self.some_of(lambda: s.IfClause(grow(), block()), 1),
                self.maybe(block),
                self.attributes(),
            ),
            lambda: s.Switch(
                grow(), self.some_of(self.clause), self.attributes(), self.attributes()
            ),
            lambda: s.Loop(block(), self.maybe(self.continuing), self.attributes()),
            lambda: s.For(
                self.maybe(lambda: self.one_of(self.local, self.update)),
                self.maybe(grow),
                self.maybe(self.update),
                block(),
                self.attributes(),
            ),
            lambda: s.While(grow(), block(), self.attributes()),
        )

    def block(self) -> s.Block:
        return s.Block(self.some_of(self.statement), self.attributes())

    def continuing(self) -> s.Block:
        last = self.some_of(lambda: s.BreakIf(self.expression()), 0, 1)
        return s.Block(self.some_of(self.statement) + last, self.attributes())

    def clause(self) -> s.CaseClause:
        return s.CaseClause(self.some_of(lambda: self.maybe(self.expression), 1), self.block())

    def directive(self) -> s.Directive:
        rule = ".".join(self.some_of(self.name, 1, 2))
        return self.one_of(  # type: ignore[no-any-return]
            lambda: s.Enable(self.some_of(self.name, 1)),
            lambda: s.Requires(self.some_of(self.name, 1)),
            lambda: s.Diagnostic(self.name(), rule),
        )

    def variable(self) -> s.Variable:
        kind = self.random.choice(("var", "override"))
        space, access = None, None
        if kind == "var":
            space, access = self.random.choice(
                ((None, None), ("workgroup", None), ("storage", "read_write"))
            )
        value = self.maybe(self.expression)
        return s.Variable(kind, self.name(), self.type(), value, space, access, self.attributes())

    def typed_name(self, node: type[s.Parameter | s.StructMember]) -> s.Parameter | s.StructMember:
        return node(self.name(), self.type(), self.attributes())

    def function(self) -> s.Function:
        parameters = self.some_of(lambda: self.typed_name(s.Parameter))
        result = self.maybe(self.type)
        marks = () if result is None else self.attributes()
        return s.Function(self.name(), parameters, self.block(), result, marks, self.attributes())

    def declaration(self) -> s.Declaration:
        return self.one_of(  # type: ignore[no-any-return]
            self.variable,
            lambda: s.Variable("const", self.name(), self.maybe(self.type), self.expression()),
            lambda: s.ConstAssert(self.expression()),
            lambda: s.Alias(self.name(), self.type()),
            lambda: s.Struct(self.name(), self.some_of(lambda: self.typed_name(s.StructMember), 1)),
            self.function,
            self.function,
        )

    def module(self) -> Module:
        return Module(self.some_of(self.directive, 0, 2), self.some_of(self.declaration))


RANDOMS = st.randoms(use_true_random=False)
ROOMS = st.integers(0, 30)
QUICK = settings(deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])


@settings(parent=QUICK, max_examples=150)
@given(RANDOMS, ROOMS)
def test_printed_modules_parse_back_to_the_same_tree(random: Random, room: int) -> None:
    module = TreeBuilder(random, room).module()
    text = print_module(module)
    again = parse(text)
    assert again == module
    assert print_module(again) == text


@settings(parent=QUICK, max_examples=300)
@given(RANDOMS, ROOMS)
def test_printed_expressions_parse_back_to_the_same_tree(random: Random, room: int) -> None:
    expression = TreeBuilder(random, room).expression()
    (found,) = parse(f"const x = {print_expression(expression)};").declarations
    assert isinstance(found, s.Variable)
    assert found.value == expression


@pytest.mark.parametrize("less", ["a < b", "c && a < b", "(a < b) == c", "a < (b >> 1u)"])
@pytest.mark.parametrize("more", ["c > d", "c >= d", "c >> d", "c > d && a", "(a) > d"])
def test_a_comparison_before_a_comma_is_never_taken_for_a_template(less: str, more: str) -> None:
    (one, two) = (parse(f"const x = {text};").declarations[0] for text in (less, more))
    assert isinstance(one, s.Variable)
    assert isinstance(two, s.Variable)
    assert one.value is not None
    assert two.value is not None
    pair = (one.value, two.value)
    case = s.CaseClause(pair, s.Block(()))
    body = s.Block((s.Return(s.Call(s.Name("f"), pair)), s.Switch(one.value, (case,))))
    mark = s.Attribute("workgroup_size", pair)
    module = Module((), (s.Function("f", (), body, attributes=(mark,)),))
    assert parse(print_module(module)) == module


def test_many_more_programs() -> None:
    """Try consecutive seeds, which is faster than Hypothesis but does not shrink failures."""
    for seed in range(1500):
        module = TreeBuilder(Random(seed), 60).module()
        assert parse(print_module(module)) == module, seed


def test_blanks_and_comments_change_nothing() -> None:
    gaps = [" ", "\n", "\t", " // note\n", " /* a /* b */ c */", "\r\n", "\u2028"]
    for seed in range(200):
        random = Random(seed)
        module = TreeBuilder(random, 40).module()
        texts = tokenize(print_module(module)).texts
        assert parse("".join(random.choice(gaps) + text for text in texts)) == module, seed


def test_no_blank_but_the_needed_changes_nothing() -> None:
    """Blanks are removed where two tokens cannot be read as other tokens."""
    marks = set("<>=!&|+-*/%^")
    for seed in range(200):
        module = TreeBuilder(Random(seed), 40).module()
        text = ""
        for word in tokenize(print_module(module)).texts[:-1]:
            last, first = text[-1:], word[0]
            words = (last.isalnum() or last in "_.") and (first.isalnum() or first in "_.")
            text += f" {word}" if words or (last in marks and first in marks) else word
        assert parse(text) == module, seed


def test_an_outline_has_the_names_that_functions_use() -> None:
    """Its names are those of the whole tree, whatever hides what."""
    for seed in range(600):
        module = TreeBuilder(Random(seed), 60).module()
        declarations = tuple(
            replace(each, name=f"function{index}") if isinstance(each, s.Function) else each
            for index, each in enumerate(module.declarations)
        )
        text = print_module(replace(module, declarations=declarations))
        whole, short = parse(text), outline(text)
        names = {each.name for each in whole.declarations if not isinstance(each, s.ConstAssert)}
        for each, other in zip(whole.declarations, short.declarations, strict=True):
            if isinstance(each, s.Function) and isinstance(other, s.Function):
                assert other.name == each.name
                assert own_names(other, names) == own_names(each, names), (seed, each.name)
                assert other.attributes == each.attributes
            else:
                assert other == each, seed
