"""Scheduling and alternation: the WebUI's documented rules, hostile texts, and any text."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from diffusion.errors import SettingsError
from diffusion.prompts import MAX_VARIANTS, schedule_prompt

STEPS = 10

CASES: dict[str, list[tuple[int, str]]] = {
    # text: the last of its ten places that each text has, in the WebUI's own examples
    "test": [(10, "test")],
    "a [b:3]": [(3, "a "), (10, "a b")],
    "a [b: 3]": [(3, "a "), (10, "a b")],
    "a [[[b]]:2]": [(2, "a "), (10, "a [[b]]")],
    "[(a:2):3]": [(3, ""), (10, "(a:2)")],
    "a [b : c : 1] d": [(1, "a b  d"), (10, "a  c  d")],
    "a[b:[c:d:2]:1]e": [(1, "abe"), (2, "ace"), (10, "ade")],
    "a [unbalanced": [(10, "a [unbalanced")],
    "a [b:.5] c": [(5, "a  c"), (10, "a b c")],
    # (The WebUI's own example of this is not what it does.)
    "a [{b|d{:.5] c": [(10, "a [{b|d{:.5] c")],
    "((a][:b:c [d:3]": [(3, "((a][:b:c "), (10, "((a][:b:c d")],
    "[a|(b:1.1)]": [(n + 1, ("a", "(b:1.1)")[n % 2]) for n in range(10)],
    "[fe|]male": [(n + 1, ("female", "male")[n % 2]) for n in range(10)],
    "[fe|||]male": [(1, "female"), (4, "male"), (5, "female"), (8, "male"), (9, "female")]
    + [(10, "male")],
    # Ends that are no end, or beyond it.
    "[a:b:0]": [(10, "b")],
    "[a:b:-1]": [(10, "b")],
    "[a:b:1e9]": [(10, "a")],
    "[a:b:1e999]": [(10, "a")],
    "[a:b:-1e999]": [(10, "b")],
    "[a:b:1.0]": [(10, "a")],
    "[a:b:0.29]": [(2, "a"), (10, "b")],
    "[a::3]": [(3, "a"), (10, "")],
    "[:b:3]": [(3, ""), (10, "b")],
    "[:3]": [(10, "")],
    "[::3]": [(10, "")],
    "[|]": [(10, "")],
    "[a|]": [(n + 1, ("a", "")[n % 2]) for n in range(10)],
    # Nested, in both directions, and in brackets that weigh.
    "[[a|b]:c:2]": [(1, "a"), (2, "b"), (10, "c")],
    "[[a:b:2]|c]": [(1, "a"), (2, "c"), (3, "b"), (4, "c"), (5, "b"), (6, "c"), (7, "b")]
    + [(8, "c"), (9, "b"), (10, "c")],
    "([a:b:4]:1.2)": [(4, "(a:1.2)"), (10, "(b:1.2)")],
    "[(cat:1.1)|(dog:0.9)]": [(n + 1, ("(cat:1.1)", "(dog:0.9)")[n % 2]) for n in range(10)],
    # None of these, so text.
    "[a:b:c:3]": [(10, "[a:b:c:3]")],
    "[a:b]": [(10, "[a:b]")],
    "[a:b:nan]": [(10, "[a:b:nan]")],
    "[a:b:1.2.3]": [(10, "[a:b:1.2.3]")],
    "[a:b:]": [(10, "[a:b:]")],
    "[a:b:[3]]": [(10, "[a:b:[3]]")],
    "[a (b:c:3]": [(10, "[a (b:c:3]")],
    "a:b:3]": [(10, "a:b:3]")],
    "a|b": [(10, "a|b")],
    "(a:b:3)": [(10, "(a:b:3)")],
    "<lora:x:1>": [(10, "<lora:x:1>")],
    # A bar of no alternation, or a backslash before nothing: the whole prompt is text.
    "a|b [c:d:3]": [(10, "a|b [c:d:3]")],
    "[a:b:3] (c|d)": [(10, "[a:b:3] (c|d)")],
    "[a:b:3] [c|d": [(10, "[a:b:3] [c|d")],
    "[a:b:3]\\": [(10, "[a:b:3]\\")],
    "[a:b:3]\\\n": [(10, "[a:b:3]\\\n")],
    # A bracket that cannot be read makes text of those around it, not of those within.
    "[x [a:b] y:c:3]": [(10, "[x [a:b] y:c:3]")],
    "[x) [a:b:3] y:c:3]": [(3, "[x) a y:c:3]"), (10, "[x) b y:c:3]")],
    "(a [b) c:d:3]": [(10, "(a [b) c:d:3]")],
    "(a:b:c [d:3])": [(3, "(a:b:c )"), (10, "(a:b:c d)")],
    # Escapes are kept for the grammar of weights, and separate nothing.
    r"[a\:b:c:2]": [(2, r"a\:b"), (10, "c")],
    r"[a\|b|c]": [(n + 1, (r"a\|b", "c")[n % 2]) for n in range(10)],
    r"\[a:b:3]": [(10, r"\[a:b:3]")],
    r"[a:b:3\]": [(10, r"[a:b:3\]")],
    "a\\": [(10, "a\\")],
}


def stretches(text: str, steps: int = STEPS, done: int | None = None) -> list[tuple[int, str]]:
    """Return the last step of each stretch of steps with one text, and the text."""
    found = schedule_prompt("prompt", text, steps, done)
    assert len(found.order) == steps
    assert len(set(found.texts)) == len(found.texts)
    ends: list[tuple[int, str]] = []
    for step, index in enumerate(found.order):
        if ends and ends[-1][1] == found.texts[index]:
            ends.pop()
        ends.append((step + 1, found.texts[index]))
    return ends


@pytest.mark.parametrize("text", CASES)
def test_the_text_of_each_step(text: str) -> None:
    assert stretches(text) == CASES[text]


@pytest.mark.parametrize(
    ("text", "ends"),
    [
        ("a [b:.5] c", [(10, "a b c")]),
        ("a [b:1.5] c", [(5, "a  c"), (10, "a b c")]),
        ("a [b:14] c", [(4, "a  c"), (10, "a b c")]),
        ("a [b:8] c", [(10, "a b c")]),
    ],
)
def test_a_second_pass_counts_on(text: str, ends: list[tuple[int, str]]) -> None:
    assert stretches(text, done=10) == ends


def test_calls_are_numbered_from_0_and_texts_from_1() -> None:
    found = schedule_prompt("prompt", "[a:b:2]", 4)
    assert [found.texts[found.at(call)] for call in range(5)] == ["a", "a", "a", "b", "b"]
    found = schedule_prompt("prompt", "[a|b|c]", 4)
    assert [found.texts[found.at(call)] for call in range(5)] == ["a", "a", "b", "c", "a"]


def test_calls_that_were_not_planned_have_the_first_text() -> None:
    found = schedule_prompt("prompt", "[a:b:2]", 4)
    assert [found.texts[found.at(call)] for call in (5, 6, 100)] == ["a", "a", "a"]


@pytest.mark.parametrize("text", ["[a:b:1]" * 9, "[a|b]" * 50, "[a|b|c]" * 9 + "[d|e]"])
def test_only_what_differs_is_kept(text: str) -> None:
    assert len(schedule_prompt("prompt", text, 1000).texts) <= 6


def test_too_many_changes_are_refused() -> None:
    text = "".join(f"[{'|'.join('x' * n)}]" for n in (7, 11, 13))
    with pytest.raises(SettingsError, match=f"negative .* more than {MAX_VARIANTS} ways"):
        schedule_prompt("negative", text, 1000)
    switches = "".join(f"[a:b:{n}]" for n in range(1, 400))
    with pytest.raises(SettingsError, match="ways"):
        schedule_prompt("prompt", switches, 1000)
    assert len(schedule_prompt("prompt", switches, 200).texts) == 200


Meaning = Callable[[int], str]


class Node(NamedTuple):
    """A prompt as written, and the text that it must have at a step (from 0)."""

    text: str
    at: Meaning


def literal_node(text: str) -> Node:
    return Node(text, lambda step: text)


def join_nodes(parts: list[Node]) -> Node:
    return Node("".join(p.text for p in parts), lambda step: "".join(p.at(step) for p in parts))


def switch_node(given: tuple[Node, Node, int]) -> Node:
    a, b, end = given
    return Node(f"[{a.text}:{b.text}:{end}]", lambda step: (a if step < end else b).at(step))


def alternation_node(options: list[Node]) -> Node:
    text = "[" + "|".join(option.text for option in options) + "]"
    return Node(text, lambda step: options[step % len(options)].at(step))


def round_bracket_node(inner: Node) -> Node:
    return Node(f"({inner.text}:1.3)", lambda step: f"({inner.at(step)}:1.3)")


def square_bracket_node(inner: Node) -> Node:
    return Node(f"[x{inner.text}x]", lambda step: f"[x{inner.at(step)}x]")


LEAVES = st.text("ab ,.1\n", max_size=5).map(literal_node) | st.sampled_from(
    [literal_node(text) for text in (r"\[", r"\]", r"\(", r"\)", r"\:", r"\|", "\\\\")]
)
TREES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.tuples(inner, inner, st.integers(0, 12)).map(switch_node),
        st.lists(inner, min_size=2, max_size=4).map(alternation_node),
        inner.map(round_bracket_node),
        inner.map(square_bracket_node),
        st.lists(inner, max_size=4).map(join_nodes),
    ),
    max_leaves=20,
)


@given(TREES)
def test_nested_prompts_have_the_meaning_of_their_tree(tree: Node) -> None:
    found = schedule_prompt("prompt", tree.text, STEPS)
    texts = [found.texts[found.at(step + 1)] for step in range(STEPS)]
    assert texts == [tree.at(step) for step in range(STEPS)]


@given(st.text("ab()[]\\:1.-+ |e"), st.integers(1, 12))
def test_any_text_is_a_prompt(text: str, steps: int) -> None:
    found = schedule_prompt("prompt", text, steps)
    for each in found.texts:
        rest = iter(text)
        assert all(letter in rest for letter in each), "letters keep their order"
    if not re.search(r"\[.*\]", text, re.DOTALL):
        assert found.texts == (text,)


HOSTILE = ["[a:b:3]", "[", "]", "[a|b]", "(", "[(", ":", "|", "[a:", "[[a:b:3]:c:4]", "\\", "[a|"]


@pytest.mark.parametrize("unit", HOSTILE)
@pytest.mark.parametrize("end", ["", ":3]", "]"])
def test_time_is_linear(unit: str, end: str) -> None:
    """Eight times the text takes 8 times the time where linear, 64 times where quadratic."""

    def seconds(length: int) -> float:
        text = unit * (length // len(unit)) + end * (length // 8)
        start = time.thread_time()
        schedule_prompt("prompt", text, 20)
        return time.thread_time() - start

    most = 32 * min(seconds(5_000) for _ in range(5)) + 0.01
    assert any(seconds(40_000) <= most for _ in range(5))
