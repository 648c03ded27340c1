"""Random syntax trees printed and parsed back: ``parse(print_module(m)) == m``."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gpucore.wgsl import Module, parse, print_module
from gpucore.wgsl import syntax as s
from gpucore.wgsl.lexer import KEYWORDS, RESERVED, tokenize
from gpucore.wgsl.printer import print_expression

NAMES = st.sampled_from(
    ["a", "b", "x1", "f32", "vec4", "array", "off", "größe", "_y", "read", "compute", "subgroup_id"]
) | st.from_regex(r"[a-zA-Z][a-zA-Z0-9_]{0,8}", fullmatch=True).filter(
    lambda name: name not in KEYWORDS and name not in RESERVED
)
LITERALS = st.builds(
    s.Literal,
    st.sampled_from(
        ["true", "false", "0", "1u", "7i", "1.5", ".5f", "2.", "1e-3", "0x1F", "0x1.8p2h"]
    )
    | st.integers(0, 2**31).map(str)
    | st.floats(0, allow_nan=False, allow_infinity=False).map(repr),
)
ASSIGNMENTS = st.sampled_from("= += -= *= /= %= &= |= ^= <<= >>=".split())
BINARY = st.sampled_from("* / % + - << >> < > <= >= == != && || & | ^".split())


def few(strategy: st.SearchStrategy, least: int = 0, most: int = 3) -> st.SearchStrategy:  # type: ignore[type-arg]
    return st.lists(strategy, min_size=least, max_size=most).map(tuple)


def names_with(inner: st.SearchStrategy[s.Expression]) -> st.SearchStrategy[s.Name]:
    return st.builds(s.Name, NAMES, few(inner))


def grown(inner: st.SearchStrategy[s.Expression]) -> st.SearchStrategy[s.Expression]:
    return st.one_of(
        st.builds(s.Binary, BINARY, inner, inner),
        st.builds(s.Unary, st.sampled_from("-!~*&"), inner),
        st.builds(s.Call, names_with(inner), few(inner)),
        st.builds(s.Index, inner, inner),
        st.builds(s.Member, inner, NAMES),
        names_with(inner),
    )


EXPRESSIONS: st.SearchStrategy[s.Expression] = st.recursive(
    LITERALS | st.builds(s.Name, NAMES), grown, max_leaves=12
)
TYPES = names_with(st.recursive(st.builds(s.Name, NAMES) | LITERALS, names_with, max_leaves=4))
ATTRIBUTES = few(st.builds(s.Attribute, NAMES, few(EXPRESSIONS)), 0, 2)
TARGETS = st.recursive(
    st.builds(s.Name, NAMES),
    lambda inner: st.one_of(
        st.builds(s.Index, inner, EXPRESSIONS),
        st.builds(s.Member, inner, NAMES),
        st.builds(s.Unary, st.sampled_from("*&"), inner),
    ),
    max_leaves=3,
)
LOCALS = st.one_of(
    st.builds(s.Variable, st.just("var"), NAMES, TYPES, st.none() | EXPRESSIONS),
    st.builds(s.Variable, st.sampled_from(["let", "const"]), NAMES, st.none() | TYPES, EXPRESSIONS),
)
UPDATES = st.one_of(
    st.builds(s.Assign, TARGETS, ASSIGNMENTS, EXPRESSIONS),
    st.builds(s.Assign, st.none(), st.just("="), EXPRESSIONS),
    st.builds(s.Step, TARGETS, st.sampled_from(["++", "--"])),
    st.builds(s.CallStatement, st.builds(s.Call, names_with(EXPRESSIONS), few(EXPRESSIONS))),
)
SIMPLE: st.SearchStrategy[s.Statement] = st.one_of(
    LOCALS,
    UPDATES,
    st.builds(s.ConstAssert, EXPRESSIONS),
    st.builds(s.Return, st.none() | EXPRESSIONS),
    st.sampled_from([s.Break(), s.Continue(), s.Discard()]),
)


def compound(inner: st.SearchStrategy[s.Statement]) -> st.SearchStrategy[s.Statement]:
    blocks = st.builds(s.Block, few(inner), ATTRIBUTES)
    continuing = st.builds(
        lambda block, last: s.Block(block.statements + last, block.attributes),
        blocks,
        few(st.builds(s.BreakIf, EXPRESSIONS), 0, 1),
    )
    selectors = few(EXPRESSIONS | st.none(), 1, 3)
    return st.one_of(
        blocks,
        st.builds(
            s.If,
            few(st.builds(s.IfClause, EXPRESSIONS, blocks), 1, 3),
            st.none() | blocks,
            ATTRIBUTES,
        ),
        st.builds(
            s.Switch,
            EXPRESSIONS,
            few(st.builds(s.CaseClause, selectors, blocks)),
            ATTRIBUTES,
            ATTRIBUTES,
        ),
        st.builds(s.Loop, blocks, st.none() | continuing, ATTRIBUTES),
        st.builds(
            s.For,
            st.none() | LOCALS | UPDATES,
            st.none() | EXPRESSIONS,
            st.none() | UPDATES,
            blocks,
            ATTRIBUTES,
        ),
        st.builds(s.While, EXPRESSIONS, blocks, ATTRIBUTES),
    )


STATEMENTS = st.recursive(SIMPLE, compound, max_leaves=6)
DIRECTIVES = st.one_of(
    st.builds(s.Enable, few(NAMES, 1)),
    st.builds(s.Requires, few(NAMES, 1)),
    st.builds(s.Diagnostic, NAMES, NAMES | st.builds("{}.{}".format, NAMES, NAMES)),
)
SPACES = st.sampled_from([(None, None), ("workgroup", None), ("storage", "read_write")])
DECLARATIONS = st.one_of(
    st.builds(
        lambda space, *rest: s.Variable("var", *rest[:3], *space, rest[3]),
        SPACES,
        NAMES,
        TYPES,
        st.none() | EXPRESSIONS,
        ATTRIBUTES,
    ),
    st.builds(
        s.Variable,
        st.just("override"),
        NAMES,
        TYPES,
        st.none() | EXPRESSIONS,
        attributes=ATTRIBUTES,
    ),
    st.builds(s.Variable, st.just("const"), NAMES, st.none() | TYPES, EXPRESSIONS),
    st.builds(s.ConstAssert, EXPRESSIONS),
    st.builds(s.Alias, NAMES, TYPES),
    st.builds(s.Struct, NAMES, few(st.builds(s.StructMember, NAMES, TYPES, ATTRIBUTES), 1)),
    st.builds(
        lambda result, *rest: s.Function(*rest[:3], *result, rest[3]),
        st.just((None, ())) | st.tuples(TYPES, ATTRIBUTES),
        NAMES,
        few(st.builds(s.Parameter, NAMES, TYPES, ATTRIBUTES)),
        st.builds(s.Block, few(STATEMENTS), ATTRIBUTES),
        ATTRIBUTES,
    ),
)
MODULES = st.builds(Module, few(DIRECTIVES, 0, 2), few(DECLARATIONS, 0, 3))

SLOW = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True
)


@SLOW
@given(MODULES)
def test_printed_modules_parse_back_to_the_same_tree(module: Module) -> None:
    text = print_module(module)
    again = parse(text)
    assert again == module
    assert print_module(again) == text


@settings(parent=SLOW, max_examples=600)
@given(EXPRESSIONS)
def test_printed_expressions_parse_back_to_the_same_tree(expression: s.Expression) -> None:
    (found,) = parse(f"const x = {print_expression(expression)};").declarations
    assert isinstance(found, s.Variable)
    assert found.value == expression


@settings(parent=SLOW, max_examples=60)
@given(MODULES, st.randoms(use_true_random=False))
def test_blanks_and_comments_change_nothing(module: Module, random: object) -> None:
    tokens = tokenize(print_module(module))
    gaps = [" ", "\n", "\t", " // note\n", "/* a /* b */ c */", "\r\n", "\u2028"]
    choose = random.choice  # type: ignore[attr-defined]
    assert parse("".join(choose(gaps) + text for text in tokens.texts)) == module


@settings(parent=SLOW, max_examples=60)
@given(MODULES)
def test_no_blank_but_the_needed_changes_nothing(module: Module) -> None:
    """Tokens are set side by side wherever the two still lex as the same two tokens."""
    tokens = tokenize(print_module(module))
    text = ""
    for kind, word in zip(tokens.kinds, tokens.texts, strict=True):
        word_like = kind in ("ident", "number") or word.isidentifier()
        last = text[-1:]
        joined = (last.isalnum() or last in "_.") and (word_like or word[:1] in ".")
        clash = last and last in "<>=!&|+-*/%^" and word[:1] and word[0] in "<>=&|+-*/"
        text += f" {word}" if joined or clash else word
    assert parse(text) == module
