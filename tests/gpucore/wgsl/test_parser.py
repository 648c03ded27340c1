"""Trees of real programs, the grammar's refusals, and the places of errors."""

from __future__ import annotations

import pytest

from gpucore.wgsl import WgslSyntaxError, parse, print_module
from gpucore.wgsl.syntax import (
    Alias,
    Assign,
    Attribute,
    Binary,
    Block,
    Break,
    BreakIf,
    Call,
    CallStatement,
    CaseClause,
    ConstAssert,
    Diagnostic,
    Enable,
    Expression,
    For,
    Function,
    If,
    IfClause,
    Index,
    Literal,
    Loop,
    Member,
    Module,
    Name,
    Parameter,
    Requires,
    Return,
    Statement,
    Step,
    Struct,
    StructMember,
    Switch,
    Unary,
    Variable,
    While,
)

A, B, C, D = (Name(letter) for letter in "abcd")
ONE, TWO = Literal("1"), Literal("2")


def statement(source: str) -> Statement:
    (function,) = parse(f"fn f() {{ {source} }}").declarations
    assert isinstance(function, Function)
    (found,) = function.body.statements
    return found


def expression(source: str) -> Expression:
    found = statement(f"_ = {source};")
    assert isinstance(found, Assign)
    return found.value


@pytest.mark.parametrize(
    ("source", "tree"),
    [
        ("a + b * c", Binary("+", A, Binary("*", B, C))),
        ("a - b - c", Binary("-", Binary("-", A, B), C)),
        ("a / b % c", Binary("%", Binary("/", A, B), C)),
        ("(a + b) * c", Binary("*", Binary("+", A, B), C)),
        ("a + b < c * d", Binary("<", Binary("+", A, B), Binary("*", C, D))),
        ("a < b && c > d", Binary("&&", Binary("<", A, B), Binary(">", C, D))),
        ("a && b && c", Binary("&&", Binary("&&", A, B), C)),
        ("(a && b) || c", Binary("||", Binary("&&", A, B), C)),
        ("a & b & c", Binary("&", Binary("&", A, B), C)),
        ("a << 1", Binary("<<", A, ONE)),
        ("a >> 1 == b", Binary("==", Binary(">>", A, ONE), B)),
        ("-a * !b", Binary("*", Unary("-", A), Unary("!", B))),
        ("~a & -b", Binary("&", Unary("~", A), Unary("-", B))),
        ("*a.b", Unary("*", Member(A, "b"))),
        ("(*a).b", Member(Unary("*", A), "b")),
        ("&a[1].b", Unary("&", Member(Index(A, ONE), "b"))),
        ("a - -1", Binary("-", A, Unary("-", ONE))),
        ("a(b, c,)", Call(A, (B, C))),
        ("a()[1].xy", Member(Index(Call(A, ()), ONE), "xy")),
        ("vec4<f32>(1)", Call(Name("vec4", (Name("f32"),)), (ONE,))),
        ("array<a, 2>(b)", Call(Name("array", (A, TWO)), (B,))),
        ("a * &b", Binary("*", A, Unary("&", B))),
        ("true", Literal("true")),
        ("0x1.8p3f", Literal("0x1.8p3f")),
    ],
)
def test_expressions(source: str, tree: Expression) -> None:
    assert expression(source) == tree


@pytest.mark.parametrize(
    ("source", "column"),
    [
        ("a & b == c", 7),
        ("a & b | c", 7),
        ("a + b & c", 7),
        ("a << b + c", 8),
        ("a << b << c", 8),
        ("a < b < c", 7),
        ("a == b != c", 8),
        ("a && b || c", 8),
        ("a || b & c", 8),
        ("a < b & c", 7),
        ("a + b << c", 7),
    ],
)
def test_operators_that_need_parentheses(source: str, column: int) -> None:
    with pytest.raises(WgslSyntaxError, match="needs parentheses") as caught:
        parse(f"const x =\n{source};")
    assert (caught.value.line, caught.value.column) == (2, column)
    assert caught.value.source_line == f"{source};"


def test_statements() -> None:
    assert statement("var x: f32;") == Variable("var", "x", Name("f32"))
    assert statement("let x = a;") == Variable("let", "x", None, A)
    assert statement("var<function> x = 1;") == Variable("var", "x", None, ONE, "function")
    assert statement("a[1] += b;") == Assign(Index(A, ONE), "+=", B)
    assert statement("a >>= 1;") == Assign(A, ">>=", ONE)
    assert statement("*a = b;") == Assign(Unary("*", A), "=", B)
    assert statement("(a) = b;") == Assign(A, "=", B)
    assert statement("_ = a;") == Assign(None, "=", A)
    assert statement("a.b++;") == Step(Member(A, "b"), "++")
    assert statement("a(b);") == CallStatement(Call(A, (B,)))
    assert statement("a<b>(c);") == CallStatement(Call(Name("a", (B,)), (C,)))
    assert statement("const_assert a < b;") == ConstAssert(Binary("<", A, B))
    assert statement("return;") == Return()
    assert statement("return a;") == Return(A)
    assert statement(";;{ ; }") == Block(())
    assert statement("while a { break; }") == While(A, Block((Break(),)))


def test_compound_statements() -> None:
    empty, off = Block(()), Attribute("diagnostic", (Name("off"), Member(A, "b")))
    assert statement("if a { } else if (b) { } else { }") == If(
        (IfClause(A, empty), IfClause(B, empty)), empty
    )
    assert statement("@diagnostic(off, a.b) if a @diagnostic(off, a.b) { }") == If(
        (IfClause(A, Block((), (off,))),), None, (off,)
    )
    assert statement("switch a { case 1, 2: { } case default { } default: { } }") == Switch(
        A,
        (CaseClause((ONE, TWO), empty), CaseClause((None,), empty), CaseClause((None,), empty)),
    )
    assert statement("switch (a) { case 1, default, { } }") == Switch(
        A, (CaseClause((ONE, None), empty),)
    )
    assert statement("for (var i = 1; i < a; i++) { }") == For(
        Variable("var", "i", None, ONE),
        Binary("<", Name("i"), A),
        Step(Name("i"), "++"),
        empty,
    )
    assert statement("for (;;) { }") == For(None, None, None, empty)
    assert statement("loop { a(); continuing { b(); break if c; } }") == Loop(
        Block((CallStatement(Call(A, ())),)),
        Block((CallStatement(Call(B, ())), BreakIf(C))),
    )


def test_module_scope() -> None:
    source = """
        enable f16, subgroups,; ;
        requires readonly_and_readwrite_storage_textures;
        diagnostic(off, chromium.subgroup_matrix_uniformity);
        alias word = vec4<u32>;
        struct S { @align(16) a: f32, b: array<word>, };
        @id(1) override n: u32 = 2;
        const c = 1;
        const_assert c == 1;
        @group(0) @binding(1) var<storage, read_write> d: S;
        @compute @workgroup_size(n, 2) fn main(@builtin(local_invocation_index) i: u32) { }
        @must_use fn g(p: ptr<function, f32>) -> @location(0) f32 { return *p; }
    """
    i, u32, f32 = Name("local_invocation_index"), Name("u32"), Name("f32")
    assert parse(source) == Module(
        (
            Enable(("f16", "subgroups")),
            Requires(("readonly_and_readwrite_storage_textures",)),
            Diagnostic("off", "chromium.subgroup_matrix_uniformity"),
        ),
        (
            Alias("word", Name("vec4", (u32,))),
            Struct(
                "S",
                (
                    StructMember("a", f32, (Attribute("align", (Literal("16"),)),)),
                    StructMember("b", Name("array", (Name("word"),))),
                ),
            ),
            Variable("override", "n", u32, TWO, attributes=(Attribute("id", (ONE,)),)),
            Variable("const", "c", None, ONE),
            ConstAssert(Binary("==", C, ONE)),
            Variable(
                "var",
                "d",
                Name("S"),
                None,
                "storage",
                "read_write",
                (Attribute("group", (Literal("0"),)), Attribute("binding", (ONE,))),
            ),
            Function(
                "main",
                (Parameter("i", u32, (Attribute("builtin", (i,)),)),),
                Block(()),
                attributes=(Attribute("compute"), Attribute("workgroup_size", (Name("n"), TWO))),
            ),
            Function(
                "g",
                (Parameter("p", Name("ptr", (Name("function"), f32))),),
                Block((Return(Unary("*", Name("p"))),)),
                f32,
                (Attribute("location", (Literal("0"),)),),
                (Attribute("must_use"),),
            ),
        ),
    )


@pytest.mark.parametrize(
    ("source", "line", "column", "message"),
    [
        ("fn f() {\n  let x = 1u\n  let y = 2u;\n}", 2, 13, "expected ';'"),
        ("struct S {\n  a: f32\n  b: f32,\n}", 2, 9, "expected ',' or '}' in struct 'S'"),
        ("fn f(a: f32\n  b: f32) {}", 1, 12, "expected ',' or ')'"),
        ("fn f() {\n  a(1\n  2);\n}", 2, 6, "expected ',' or ')'"),
        ("fn f() {\n  if a\n    return;\n}", 2, 7, "expected '{'"),
        ("fn f() {\n  x = ;\n}", 2, 7, "expected an expression, found ';'"),
        ("fn f() {\n  if a {\n", 3, 1, "'{' of line 2, column 8 is never closed"),
        ("fn f( {\n}", 1, 7, "a parameter name"),
        ("fn f(a: u32 b: u32) { }", 1, 13, "expected ',' or ')'"),
        ("fn f() -> { }", 1, 11, "the type of the result of 'f'"),
        ("struct S {\n  a: f32;\n}", 2, 9, "expected ',' or '}' in struct 'S'"),
        ("struct S { }", 1, 12, "at least one member"),
        ("var<storage read> a: f32;", 1, 13, "expected '>' to close 'var<', found 'read'"),
        ("fn target() { }", 1, 4, "the reserved word 'target'"),
        ("fn if() { }", 1, 4, "found 'if'"),
        ("const a: f32;", 1, 13, "expected '=' and a value"),
        ("var a;", 1, 6, "needs a type or a value"),
        ("alias a f32;", 1, 9, "expected '='"),
        ("fn f() { 1 = 2; }", 1, 10, "expected a statement"),
        ("fn f() { f() = 2; }", 1, 10, "cannot be assigned to"),
        ("fn f() { a + b; }", 1, 12, "expected an assignment or a call"),
        ("fn f() { a; }", 1, 11, "expected an assignment or a call"),
        ("fn f() { (a)(b); }", 1, 13, "expected an assignment or a call"),
        ("fn f() { loop { break if a; } }", 1, 17, "'break if' may only end"),
        ("fn f() { loop { continuing { break if a; b(); } } }", 1, 30, "'break if' may only end"),
        ("fn f() { loop { continuing { } b(); } }", 1, 32, "expected '}'"),
        ("fn f() { for (var i = 0, i < 1; i++) { } }", 1, 24, "expected ';'"),
        ("fn f() { switch a { case 1 b(); } }", 1, 28, "expected '{'"),
        ("fn f() { switch a { b: { } } }", 1, 21, "expected 'case', 'default' or '}'"),
        ("fn f() { @a let x = 1; }", 1, 13, "attributes are not allowed before 'let'"),
        ("@a struct S { a: f32 }", 1, 4, "attributes are not allowed"),
        ("const a = b<>(c);", 1, 13, "template list cannot be empty"),
        ("const a = (1;", 1, 13, "to close '('"),
        ("const a = b[1;", 1, 14, "to close '['"),
        ("const a = b(1;", 1, 14, "expected ',' or ')'"),
        ("const a = b.1;", 1, 12, "expected ';'"),
        ("const a = b.;", 1, 13, "a member name"),
        ("fn f() { } enable f16;", 1, 12, "'enable' must come before"),
        ("enable f16", 1, 11, "the end of the source"),
        ("diagnostic(off);", 1, 15, "expected ','"),
        ("}", 1, 1, "expected a declaration, found '}'"),
        ("let a = 1;", 1, 1, "expected a declaration"),
        ("fn f() { let x: array<f32 = 1; }", 1, 22, "expected '='"),
        ("@ fn f() { }", 1, 6, "attributes are not allowed before 'f'"),
        ("@1 fn f() { }", 1, 2, "the name of an attribute"),
        ("fn f() { a--b; }", 1, 13, "expected ';'"),
        ("const x = a +;", 1, 14, "expected an expression"),
        ("fn f() { else { } }", 1, 10, "expected a statement, found 'else'"),
    ],
)
def test_errors_have_their_place(source: str, line: int, column: int, message: str) -> None:
    with pytest.raises(WgslSyntaxError) as caught:
        parse(source)
    error = caught.value
    assert message in error.message
    assert (error.line, error.column) == (line, column)
    assert error.source_line == (source.split("\n") + [""])[line - 1]


def test_the_text_of_an_error_shows_line_and_caret() -> None:
    with pytest.raises(WgslSyntaxError) as caught:
        parse("fn f() {\n\tlet x = a $ b;\n}")
    assert str(caught.value).split("\n") == [
        "line 2, column 12: character '$' (U+0024) does not belong in WGSL",
        "    \tlet x = a $ b;",
        "    \t          ^",
    ]


def test_a_long_source_line_is_cut_around_the_caret() -> None:
    source = "const a = " + "1 + " * 100 + "$" + " + 1" * 20 + ";"
    with pytest.raises(WgslSyntaxError) as caught:
        parse(source)
    _, shown, caret = str(caught.value).split("\n")
    assert caught.value.column == source.index("$") + 1
    assert len(shown) == 104
    assert shown[len(caret) - 1] == "$"


@pytest.mark.parametrize(
    ("opening", "closing"),
    [("(", ")"), ("f(1 + ", ")"), ("-", ""), ("x[", "]"), ("vec2<", ">"), ("!(", ")")],
)
def test_deep_expressions_are_refused_with_a_clear_error(opening: str, closing: str) -> None:
    for depth, good in ((40, True), (100_000, False)):
        source = f"const x = {' '.join([opening] * depth)} 1 {closing * depth};"
        if good:
            parse(source)
        else:
            with pytest.raises(WgslSyntaxError, match="nested"):
                parse(source)


def test_blocks_nest_as_deep_as_the_specification_asks() -> None:
    # Limit of the spec: 127 levels of braces in a function.
    source = "fn f() " + "{ if a " * 126 + "{ }" + "}" * 126
    printed = print_module(parse(source))
    assert printed.count("if a {") == 126
    assert print_module(parse(printed)) == printed
    with pytest.raises(WgslSyntaxError, match="nested deeper than 127"):
        parse("fn f() " + "{ if a " * 127 + "{ }" + "}" * 127)


def test_long_chains_are_fine_up_to_512_operators() -> None:
    module = parse("const x = " + " + ".join(["a * b"] * 513) + ";")
    assert print_module(module).count("+") == 512
    with pytest.raises(WgslSyntaxError, match="more than 512 operators"):
        parse("const x = " + " + ".join(["a"] * 514) + ";")
    with pytest.raises(WgslSyntaxError, match="more than 512 accessors"):
        parse("const x = a" + ".b" * 513 + ";")


def test_a_long_else_if_ladder_is_no_nesting() -> None:
    source = "fn f() { if a { } " + "else if a { } " * 500 + "}"
    module = parse(source)
    assert parse(print_module(module)) == module
