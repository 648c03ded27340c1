"""Comments, ``AND`` and its weights, and what a whole prompt says over the steps."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from diffusion.errors import SettingsError
from diffusion.prompts import MAX_PARTS, read_script


def parts(prompt: str) -> list[tuple[str, float]]:
    found = read_script(prompt, None, 1)
    return list(zip(found.variants[0], found.weights, strict=True))


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        ("a cat", [("a cat", 1)]),
        ("a cat AND a dog", [("a cat", 1), (" a dog", 1)]),
        ("a cat :1.2 AND a dog:0.8", [("a cat", 1.2), (" a dog", 0.8)]),
        ("a :-0.5 AND b : .5 AND c: 2. ", [("a", -0.5), (" b", 0.5), (" c", 2)]),
        ("(a:1.2) AND b", [("(a:1.2)", 1), (" b", 1)]),
        ("a: b AND c:", [("a: b", 1), (" c:", 1)]),
        ("AND a", [("", 1), (" a", 1)]),
        ("a AND", [("a", 1), ("", 1)]),
        ("a AND AND b", [("a", 1), ("", 1), (" b", 1)]),
        ("BAND and ANDY", [("BAND and ANDY", 1)]),
        ("[a AND b]", [("[a", 1), (" b]", 1)]),
        ("a:1e3 AND b:nan", [("a:1e3", 1), (" b:nan", 1)]),
        # A text alone has a weight, too.
        ("a cat :1.2", [("a cat", 1.2)]),
        ("a cat:.5\n", [("a cat", 0.5)]),
        ("a cat at 10:30 ,", [("a cat at 10:30 ,", 1)]),
    ],
)
def test_and(prompt: str, expected: list[tuple[str, float]]) -> None:
    assert parts(prompt) == expected


@pytest.mark.filterwarnings("ignore:prompt. weights beyond")
@pytest.mark.parametrize("text", ["a cat at 10:30", "portrait, 16:9 "])
def test_a_time_at_the_end_is_a_weight_and_a_warning_says_so(text: str) -> None:
    with pytest.warns(UserWarning, match="last number is read as its weight; end it otherwise"):
        [(_, weight)] = parts(text)
    assert weight in (9, 10)


def test_weights_of_any_size_are_cut() -> None:
    with pytest.warns(UserWarning, match="weights beyond ±10 are cut"):
        assert parts(f"a:{'9' * 400} AND b:-11") == [("a", 10), (" b", -10)]


def test_too_many_parts() -> None:
    assert len(parts(" AND ".join("a" * MAX_PARTS))) == MAX_PARTS
    with pytest.raises(SettingsError, match="at most 16 parts"):
        parts(" AND ".join("a" * (MAX_PARTS + 1)))


@pytest.mark.parametrize(
    ("prompt", "text"),
    [
        ("a# b", "a"),
        ("# a\nb", "\nb"),
        ("a # b AND c\nd", "a \nd"),
        (r"a \# b", r"a \# b"),
        (r"a \\# b", "a \\\\"),
        ("#", ""),
        ("a#b\n#c\n[d#:e:1]\nf", "a\n\n[d\nf"),
    ],
)
def test_comments(prompt: str, text: str) -> None:
    assert parts(prompt) == [(text, 1)]
    assert read_script("", prompt, 1).variants == ((text, ""),)


def test_rows_over_the_steps() -> None:
    found = read_script("[a:b:2] AND c :0.5", "[x|y]", 4)
    assert found.weights == (1.0, 0.5)
    assert [found.variants[found.at(call)] for call in range(6)] == [
        ("x", "a", " c"),
        ("x", "a", " c"),
        ("y", "a", " c"),
        ("x", "b", " c"),
        ("y", "b", " c"),
        ("x", "a", " c"),
    ]


def test_and_is_a_word_in_a_negative_prompt() -> None:
    assert read_script("a", "b AND c :2", 1).variants == (("b AND c :2", "a"),)


def test_without_guidance_there_is_no_negative_prompt() -> None:
    assert read_script("[a:b:1]", None, 2).variants == (("a",), ("b",))


def test_a_second_pass_counts_on() -> None:
    assert read_script("[a:b:1.5]", None, 4, 10).order == (0, 0, 1, 1)


def test_all_is_text_where_nothing_is_read() -> None:
    text = "[a:b:2] AND c # d"
    assert read_script(text, "#", 3, reads_syntax=False).variants == (("#", text),)
    assert read_script(text, None, 3, reads_syntax=False).order == (0, 0, 0)


@given(st.text(), st.text("aAND:1.# \\[]|"), st.integers(1, 9))
def test_any_text_is_a_prompt(negative: str, prompt: str, steps: int) -> None:
    found = read_script(prompt, negative, steps)
    assert len(found.order) == steps
    assert {len(row) for row in found.variants} == {1 + len(found.weights)}
    assert len(set(found.variants)) == len(found.variants)
