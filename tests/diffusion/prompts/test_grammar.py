"""The grammar of weights: documented rules, hostile texts, and properties of any text."""

from __future__ import annotations

import math
import re
import time
from itertools import pairwise
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diffusion.prompts import WeightedText, parse_prompt

CASES: dict[str, list[tuple[str, float]]] = {
    # text: spans of its only section
    "": [],
    "normal text": [("normal text", 1)],
    "an (important) word": [("an ", 1), ("important", 1.1), (" word", 1)],
    "((a))": [("a", 1.21)],
    "(a:1.5)": [("a", 1.5)],
    "(a : 1.5 )": [("a ", 1.5)],
    "(a:.5)": [("a", 0.5)],
    "(a:2.)": [("a", 2)],
    "(a:+2)": [("a", 2)],
    "(a:-2)": [("a", -2)],
    "(a:0)": [("a", 0)],
    "((a:1.5))": [("a", 1.65)],
    "((a:20):0.1)": [("a", 2)],
    "[a]": [("a", 1 / 1.1)],
    "([a])": [("a", 1)],
    "(a)(b)": [("ab", 1.1)],
    "()": [],
    "(:2)": [],
    # Escapes: the character itself; a backslash before anything else goes.
    r"\(a\) \[b\]": [("(a) [b]", 1)],
    r"(\))": [(")", 1.1)],
    r"a\\(b)": [("a\\", 1), ("b", 1.1)],
    r"a\b": [("ab", 1)],
    "a\\": [("a", 1)],
    # Unbalanced: an unclosed one weighs to the end, one that closes nothing is text.
    "(a": [("a", 1.1)],
    "a (b": [("a ", 1), ("b", 1.1)],
    "((a) b": [("a", 1.21), (" b", 1.1)],
    "a) b": [("a) b", 1)],
    "[a": [("a", 1 / 1.1)],
    "a]": [("a]", 1)],
    "a:1.5)": [("a:1.5)", 1)],
    "[a:1.5)": [("a:1.5)", 1 / 1.1)],
    "((a][:b:c [d:3]": [("a]", 1.21), (":b:c ", 1.1), ("d:3", 1)],
    # The two kinds are paired apart from each other.
    "(a [b) c]": [("a ", 1.1), ("b", 1), (" c", 1 / 1.1)],
    # Not numbers, so text.
    "(a:...)": [("a:...", 1.1)],
    "(a:1.2.3)": [("a:1.2.3", 1.1)],
    "(a:1e400)": [("a:1e400", 1.1)],
    "(a:-inf)": [("a:-inf", 1.1)],
    "(a:nan)": [("a:nan", 1.1)],
    "(a:+)": [("a:+", 1.1)],
    "(a:1 2)": [("a:1 2", 1.1)],
    "(a:\u00b2)": [("a:\u00b2", 1.1)],
    # Digits of other scripts are digits; full-width brackets are text.
    "(a:\u0661.\u0665)": [("a", 1.5)],
    "\uff08a\uff09": [("\uff08a\uff09", 1)],
    # Left for later: text in brackets.
    "[a:b:0.5]": [("a:b:0.5", 1 / 1.1)],
    "[a|b]": [("a|b", 1 / 1.1)],
    "[|]": [("|", 1 / 1.1)],
    "a AND b": [("a AND b", 1)],
    "<lora:../x:nan>": [("<lora:../x:nan>", 1)],
    # All of it together: weights of a house on a hill.
    "a (((house:1.3)) [on] a (hill:0.5), sun, (((sky))).": [
        ("a ", 1),
        ("house", 1.3 * 1.21),
        (" ", 1.1),
        ("on", 1),
        (" a ", 1.1),
        ("hill", 0.55),
        (", sun, ", 1.1),
        ("sky", 1.1**4),
        (".", 1.1),
    ],
}

SECTIONS: dict[str, list[list[tuple[str, float]]]] = {
    "a BREAK b": [[("a", 1)], [("b", 1)]],
    "a BREAK\n b, BREAKS break": [[("a", 1)], [("b, BREAKS break", 1)]],
    "BREAK": [[], []],
    "BREAK a": [[], [("a", 1)]],
    "a BREAK": [[("a", 1)], []],
    "a BREAK BREAK b": [[("a", 1)], [], [("b", 1)]],
    "(a BREAK b:2) c": [[("a", 2), ("BREAK", -2), ("b", 2), (" c", 1)]],
    "[(a BREAK b)] c": [[("a", 1)], [("b c", 1)]],
    "a:BREAK:b": [[("a:", 1)], [(":b", 1)]],
}


def round_weights(sections: list[list[WeightedText]]) -> list[list[tuple[str, float]]]:
    return [[(span.text, round(span.weight, 9)) for span in spans] for spans in sections]


@pytest.mark.parametrize("text", CASES)
def test_brackets(text: str) -> None:
    expected = [(piece, round(weight, 9)) for piece, weight in CASES[text]]
    assert round_weights(parse_prompt(text)) == [expected]


@pytest.mark.parametrize("text", SECTIONS)
def test_breaks(text: str) -> None:
    assert round_weights(parse_prompt(text)) == SECTIONS[text]


def test_weights_of_any_size_are_finite() -> None:
    for text in (
        "(" * 20_000 + "a",
        "(" * 931 + "a" + ")" * 931,
        "(a:" + "9" * 60_000 + ")",
        "((a:-" + "9" * 400 + "):" + "9" * 400 + ")",
        "(" * 20_000 + "(a:0)",
        "[" * 20_000 + "(" * 20_000 + "a",
        "(b [a:" + "9" * 400 + ")" + "[" * 9000,
    ):
        for spans in parse_prompt(text):
            assert all(math.isfinite(span.weight) for span in spans)
    assert parse_prompt("(" * 931 + "a")[0][0].weight == pytest.approx(1.1**931)
    assert parse_prompt("(" * 20_000 + "(a:0)")[0][0].weight == 0
    assert 0 <= parse_prompt("[" * 20_000 + "a")[0][0].weight < 1e-300


class Node(NamedTuple):
    """A prompt as written, and the weighted pieces that it must mean."""

    text: str
    pieces: list[tuple[str, float]]


def bracket_node(parts: list[Node], opening: str, closing: str, factor: float) -> Node:
    pieces = [(text, weight * factor) for part in parts for text, weight in part.pieces]
    return Node(opening + "".join(part.text for part in parts) + closing, pieces)


def escape(text: str) -> str:
    return re.sub(r"[()\[\]\\]", r"\\\g<0>", text)


PARTS = ["(", ")", "[", "]", "BREAK", " ", ":1)", ":", "\\", "a"]
PLAIN = st.text(st.characters(codec=None)).filter(lambda text: "BREAK" not in text)
# No colon: before a closing bracket it could make a number of the text.
LEAVES = st.text("abc ()[]\\1.,|", min_size=1).map(lambda text: Node(escape(text), [(text, 1.0)]))
FACTORS = st.sampled_from(["0.5", "1.3", "-2", "0", "+.25", "1."])
TREES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner).map(lambda parts: bracket_node(parts, "(", ")", 1.1)),
        st.lists(inner).map(lambda parts: bracket_node(parts, "[", "]", 1 / 1.1)),
        st.tuples(st.lists(inner), FACTORS).map(
            lambda each: bracket_node(each[0], "(", f":{each[1]})", float(each[1]))
        ),
        st.lists(inner).map(lambda parts: bracket_node(parts, "", "", 1.0)),
    ),
)


@settings(deadline=None)
@given(TREES)
def test_nested_brackets_multiply(tree: Node) -> None:
    expected = [(letter, weight) for text, weight in tree.pieces for letter in text]
    found = [(letter, span.weight) for span in parse_prompt(tree.text)[0] for letter in span.text]
    assert [letter for letter, _ in found] == [letter for letter, _ in expected]
    weights = [weight for _, weight in expected]
    assert [weight for _, weight in found] == pytest.approx(weights, rel=1e-12)


@given(PLAIN)
def test_escaped_text_comes_back_whole(text: str) -> None:
    assert parse_prompt(escape(text)) == [[WeightedText(text, 1.0)] if text else []]


@given(
    st.one_of(st.text(), st.text("ab()[]\\:1.-+ |"), st.lists(st.sampled_from(PARTS)).map("".join))
)
def test_any_text_is_a_prompt(text: str) -> None:
    sections = parse_prompt(text)
    rest = iter(text)
    assert len(sections) >= 1
    for spans in sections:
        for span in spans:
            assert span.text
            assert math.isfinite(span.weight)
            assert all(letter in rest for letter in span.text), "letters keep their order"
        assert all(a.weight != b.weight for a, b in pairwise(spans))


HOSTILE = ["(", ")", "[(", "](", " ", ": ", ":1", ":1 ", "(a:1.1)", "(a)b", "BREAK ", "BREAK", "\\"]


@pytest.mark.parametrize("unit", HOSTILE)
@pytest.mark.parametrize("end", ["", "(a:"])
def test_time_is_linear(unit: str, end: str) -> None:
    """Eight times the text takes 8 times the time where linear, 64 times where quadratic."""

    def seconds(length: int) -> float:
        text = end + unit * (length // len(unit))
        start = time.thread_time()
        parse_prompt(text)
        return time.thread_time() - start

    most = 48 * min(seconds(8_000) for _ in range(7)) + 0.01
    assert any(seconds(64_000) <= most for _ in range(7))
