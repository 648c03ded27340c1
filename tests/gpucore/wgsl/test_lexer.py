"""Tokens, literals, comments, template lists, and the places of tokens."""

from __future__ import annotations

import pytest

from gpucore.wgsl import WgslSyntaxError
from gpucore.wgsl.lexer import tokenize


def kinds(source: str) -> list[str]:
    return tokenize(source).kinds


def texts(source: str) -> list[str]:
    return tokenize(source).texts[:-1]


@pytest.mark.parametrize(
    "literal",
    """0 1 0u 12i 0x0 0X1F 0xffu 0x7fi 1.0 1. .5 1e5 1E+5 1.5e-3 1f 0f 0h 12h 1.5h 1e3f 1.f .5h
    0x1p4 0x1P-4 0x1.8 0x.8 0x1. 0x1.8p1 0x1.8p+1f 0x.8p-2h 0xfp1 0x1.fp3f 5lu 5li 1.5lf
    4294967295u 0123456789.5e12""".split(),
)
def test_number_literals_are_one_token(literal: str) -> None:
    tokens = tokenize(f"({literal})")
    assert tokens.kinds == ["(", "number", ")", "end"]
    assert tokens.texts[1] == literal


@pytest.mark.parametrize(
    "text", ["12abc", "0xg", "01", "1u32", "1.0u", "0x", "1e", "1ff", "0x1p", "1_000", "1.5x"]
)
def test_malformed_numbers_are_refused(text: str) -> None:
    with pytest.raises(WgslSyntaxError, match="not a number literal") as caught:
        tokenize(f"a = {text};")
    assert (caught.value.line, caught.value.column) == (1, 5)


def test_maximal_munch_of_operators() -> None:
    source = (
        "a >>= b >= c >> d << e <<= f <= g == h != i -> j && k || l ++ -- += -= *= /= %= &= |= ^="
    )
    operators = [kind for kind in kinds(source)[:-1] if kind != "ident"]
    assert operators == [part for part in source.split() if not part.isalpha()]


def test_comments_leave_no_token_and_nest() -> None:
    source = "a /* one /* two */ still */ b // to the end /* of line\nc /**/ d /* // */ e"
    assert texts(source) == ["a", "b", "c", "d", "e"]


@pytest.mark.parametrize("line_break", ["\n", "\r\n", "\r", "\v", "\f", "\x85", "\u2028", "\u2029"])
def test_every_line_break_ends_a_comment_and_counts_as_one_line(line_break: str) -> None:
    tokens = tokenize(f"// x{line_break}  a /* {line_break} */ b")
    assert tokens.texts[:-1] == ["a", "b"]
    assert (tokens[0].line, tokens[0].column) == (2, 3)
    assert (tokens[1].line, tokens[1].column) == (3, 5)


def test_an_open_block_comment_is_an_error_where_it_opens() -> None:
    with pytest.raises(WgslSyntaxError, match="never closed") as caught:
        tokenize("a\n  /* b /* c */\nd")
    assert (caught.value.line, caught.value.column) == (2, 3)
    assert caught.value.source_line == "  /* b /* c */"


def test_places_of_tokens() -> None:
    tokens = tokenize("fn f() {\n\tlet x = 1u;\n}")
    found = [(t.text, t.line, t.column) for t in (tokens[i] for i in range(len(tokens)))]
    assert found[:5] == [("fn", 1, 1), ("f", 1, 4), ("(", 1, 5), (")", 1, 6), ("{", 1, 8)]
    assert found[5:] == [
        ("let", 2, 2),
        ("x", 2, 6),
        ("=", 2, 8),
        ("1u", 2, 10),
        (";", 2, 12),
        ("}", 3, 1),
        ("", 3, 2),
    ]


@pytest.mark.parametrize("name", ["größe", "变量", "e\u0301", "_1", "x²"[:1], "Δέλτα"])
def test_names_may_be_of_any_script(name: str) -> None:
    tokens = tokenize(f"({name})")
    assert tokens.kinds == ["(", "ident", ")", "end"]
    assert tokens.texts[1] == name


@pytest.mark.parametrize(
    ("source", "column"),
    [("a $ b", 3), ("a\0", 2), ('"text"', 1), ("a # b", 3), ("x² = 1", 2), ("'c'", 1), ("€", 1)],
)
def test_foreign_characters_are_refused_where_they_stand(source: str, column: int) -> None:
    with pytest.raises(WgslSyntaxError, match="does not belong in WGSL") as caught:
        tokenize(source)
    assert (caught.value.line, caught.value.column) == (1, column)


def test_two_underscores_may_not_open_a_name() -> None:
    assert kinds("a__b _c") == ["ident", "ident", "end"]
    with pytest.raises(WgslSyntaxError, match="two underscores") as caught:
        tokenize("ok\n __bad")
    assert (caught.value.line, caught.value.column) == (2, 2)


def test_keywords_reserved_words_and_names_are_told_apart() -> None:
    assert kinds("fn\u2028if\x85f\u200e") == ["fn", "if", "ident", "end"]
    assert kinds("fn target _ targets f32 array") == [
        *("fn", "reserved", "_", "ident", "ident", "ident", "end")
    ]


def mark_templates(source: str) -> str:
    """Return the source without blanks, with template brackets as « and »."""
    tokens = tokenize(source)
    marks = {"template<": "«", "template>": "»"}
    pairs = zip(tokens.kinds[:-1], tokens.texts[:-1], strict=True)
    return "".join(marks.get(kind, text) for kind, text in pairs)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("array<f32>", "array«f32»"),
        ("array<vec4<f32>>", "array«vec4«f32»»"),
        ("array<array<vec2<u32>,4>>(x)", "array«array«vec2«u32»,4»»(x)"),
        ("vec3<f32>=b", "vec3«f32»=b"),
        ("array<vec4<f32>>=b", "array«vec4«f32»»=b"),
        ("var<storage, read>x", "var«storage,read»x"),
        ("array<i32, (a > b)>", "array«i32,(a>b)»"),
        ("array<i32, a + (b >> 1)>", "array«i32,a+(b>>1)»"),
        ("array<i32, select(1, 2, n <= 4)>", "array«i32,select(1,2,n<=4)»"),
        ("array<i32, x[a < b]>", "array«i32,x[a<b]»"),
        ("a<b>(c)", "a«b»(c)"),
        ("f(a<b, c>d)", "f(a«b,c»d)"),
        ("f(a<b, (c>d))", "f(a<b,(c>d))"),
        ("f(a<b), c>d", "f(a<b),c>d"),
        ("x[a<b], c>d", "x[a<b],c>d"),
        ("a<b && c>d", "a<b&&c>d"),
        ("a<b || c>d", "a<b||c>d"),
        ("a<b; c>d", "a<b;c>d"),
        ("if a<b { c>d", "ifa<b{c>d"),
        ("a<b: c>d", "a<b:c>d"),
        ("a<b = c>d", "a<b=c>d"),
        ("a<b == c>(d)", "a«b==c»(d)"),
        ("a<b != c>(d)", "a«b!=c»(d)"),
        ("a<b, c >= d", "a«b,c»=d"),
        ("1<b, c>d", "1<b,c>d"),
        ("true<b, c>d", "true<b,c>d"),
        ("a<<b>c", "a<<b>c"),
        ("a<=b>c", "a<=b>c"),
        ("a<-b>c", "a«-b»c"),
        ("a >> b", "a>>b"),
        ("a < b >> c", "a«b»>c"),
        ("a >>= b", "a>>=b"),
        ("bufferView<array<vec4<u32>>>(&m, 0)", "bufferView«array«vec4«u32»»»(&m,0)"),
        (
            "load<subgroup_matrix_left<f16, 16, 16>, row>",
            "load«subgroup_matrix_left«f16,16,16»,row»",
        ),
    ],
)
def test_template_list_discovery(source: str, expected: str) -> None:
    assert mark_templates(source) == expected


@pytest.mark.parametrize("source", ["a > = b", "a > > b", "a >== b", "a >>== b"])
def test_separated_or_overlong_closing_brackets_are_not_joined(source: str) -> None:
    assert not {">=", ">>", ">>="} & set(kinds(source))
