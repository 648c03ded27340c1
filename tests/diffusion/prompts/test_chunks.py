"""Chunks of 75 tokens: where long prompts are cut, and what hostile ones come to."""

from __future__ import annotations

import functools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diffusion.checkpoints.bundled import bundled_model
from diffusion.errors import SettingsError
from diffusion.prompts import EMPHASES, MAX_CHUNKS, Chunk, chunk_prompt, read_script
from diffusion.text.tokenizer import ClipTokenizer

COMMA = 0
ORIGINAL = EMPHASES.find("original")


class Words:
    """A tokenizer of numbers: ``7`` is token 7, a comma token 0. Its chunks are of CLIP's size."""

    capacity = 75
    comma: int | None = COMMA

    def tokens(self, text: str) -> list[int]:
        return [COMMA if word == "," else int(word) for word in text.split()]


def chunks(text: str, emphasis: str = "original") -> list[Chunk]:
    return chunk_prompt("prompt", text, EMPHASES.find(emphasis), Words())


def numbers(count: int, commas: tuple[int, ...] = ()) -> str:
    """Return tokens 1, 2, ...; commas stand at the given places, counted from 0."""
    return " ".join("," if place in commas else str(place + 1) for place in range(count))


def lengths(text: str) -> list[int]:
    return [len(chunk.tokens) for chunk in chunks(text)]


@pytest.mark.parametrize(
    ("count", "expected"),
    [
        (0, [0]),
        (1, [1]),
        (74, [74]),
        (75, [75]),
        (76, [75, 1]),
        (149, [75, 74]),
        (150, [75, 75]),
        (151, [75, 75, 1]),
    ],
)
def test_chunks_hold_75_tokens(count: int, expected: list[int]) -> None:
    found = chunks(numbers(count))
    assert [len(chunk.tokens) for chunk in found] == expected
    assert [token for chunk in found for token in chunk.tokens] == list(range(1, count + 1))
    assert all(chunk.weights == (1.0,) * len(chunk.tokens) for chunk in found)


@pytest.mark.parametrize(
    ("commas", "expected"),
    [
        ((54,), [75, 25]),  # 21 from the end: too far
        ((55,), [56, 44]),  # 20: the text after it moves
        ((55, 60), [61, 39]),  # the last comma counts
        ((74,), [75, 25]),  # nothing stands after it
        ((60, 75), [75, 25]),  # the 76th token is a comma itself: nothing is torn
        ((75,), [75, 25]),
        ((60, 99), [61, 39]),  # a later one does not matter
    ],
)
def test_a_phrase_is_not_torn(commas: tuple[int, ...], expected: list[int]) -> None:
    assert lengths(numbers(100, commas)) == expected


def test_backtracking_knows_only_commas_of_its_chunk() -> None:
    assert lengths(numbers(76, (70,)) + " " + numbers(75)) == [71, 75, 5]
    assert lengths("1 , 2 BREAK " + numbers(76)) == [3, 75, 1]


def test_a_vocabulary_without_comma_does_not_backtrack() -> None:
    words = Words()
    words.comma = None
    found = chunk_prompt("prompt", numbers(76, (70,)), ORIGINAL, words)
    assert [len(chunk.tokens) for chunk in found] == [75, 1]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1 BREAK 2", [1, 1]),
        ("1 BREAK", [1]),
        ("BREAK 1", [0, 1]),
        ("BREAK", [0]),
        ("1 BREAK BREAK 2", [1, 0, 1]),
        (numbers(75) + " BREAK 1", [75, 1]),
    ],
)
def test_break_ends_a_chunk(text: str, expected: list[int]) -> None:
    assert lengths(text) == expected


def test_weights_move_with_their_tokens() -> None:
    found = chunks(numbers(60) + ", (".replace(",", " ,") + numbers(30) + ":1.5) 7")
    assert [len(chunk.tokens) for chunk in found] == [61, 31]
    assert found[0].weights == (1.0,) * 61
    assert found[1].weights == (1.5,) * 30 + (1.0,)


def test_modes_that_do_not_weigh() -> None:
    assert chunks("(1:2) BREAK 2", "ignore") == [Chunk((1,), (1.0,)), Chunk((2,), (1.0,))]
    assert chunks("(1:2) 2", "no_norm") == [Chunk((1, 2), (2.0, 1.0))]
    tokenizer = bundled()
    (literal,) = chunk_prompt("prompt", "(a:2) BREAK", EMPHASES.find("none"), tokenizer)
    assert literal.tokens == tuple(tokenizer.tokens("(a:2) BREAK"))


@pytest.mark.parametrize(
    ("text", "weight"), [("(1:11)", 10), ("(1:-11)", -10), ("(" * 931 + "1", 10)]
)
def test_weights_beyond_ten_are_cut_with_a_warning(text: str, weight: float) -> None:
    with pytest.warns(UserWarning, match="negative: weights beyond ±10 are cut"):
        (chunk,) = chunk_prompt("negative", text, ORIGINAL, Words())
    assert chunk.weights == (weight,)


def test_ten_itself_is_allowed() -> None:
    assert chunks("(1:10)")[0].weights == (10,)


def test_too_many_chunks_are_refused() -> None:
    longest = numbers(75 * MAX_CHUNKS)
    assert len(chunks(longest)) == MAX_CHUNKS
    for text in (longest + " 1", "BREAK " * MAX_CHUNKS + "1", "BREAK " * 10_900 + "1"):
        with pytest.raises(SettingsError, match=r"prompt .* more than 128 chunks of 75 tokens"):
            chunks(text)


@functools.cache
def bundled() -> ClipTokenizer:
    return ClipTokenizer(bundled_model() / "tokenizer", 77)


UNICODE = {
    "zero-width joiners": "\U0001f469\u200d\U0001f680 \U0001f468\u200d\U0001f469\u200d\U0001f467",
    "right to left": "\u05e9\u05dc\u05d5\u05dd \u202e(\u0627\u0644\u0642\u0637)",
    "NUL": "a\0b \0 (c\0:1)",
    "lone surrogates": "a\ud800 \udfff",
    "combining marks": "a" + "\u0301" * 1000,
    "decomposed": "e\u0301 \u00e9",
    "full-width brackets": "\uff08a\uff1a1.5\uff09",
    "terminal codes": "\x1b[31m %s {x} <img onerror>\r\n",
}


@pytest.mark.parametrize("name", UNICODE)
def test_unicode(name: str) -> None:
    text = UNICODE[name]
    for emphasis in EMPHASES:
        found = chunk_prompt("prompt", text, emphasis, bundled())
        assert all(len(chunk.tokens) == len(chunk.weights) <= 75 for chunk in found)
    plain = chunk_prompt("prompt", text, EMPHASES.find("none"), bundled())
    assert [token for chunk in plain for token in chunk.tokens] == bundled().tokens(text)


@settings(deadline=None)
@given(st.text("ab,. \u00e9\U0001f34e", max_size=400))
def test_no_token_is_lost(text: str) -> None:
    found = chunk_prompt("prompt", text, ORIGINAL, bundled())
    assert [token for chunk in found for token in chunk.tokens] == bundled().tokens(text)
    assert all(0 < len(chunk.tokens) <= 75 for chunk in found) or len(found) == 1


@pytest.mark.parametrize("unit", ["İ", "[a:b:3]", "a "])
def test_vast_texts_are_refused_by_their_length_alone(unit: str) -> None:
    """Tokens of a text of "İ" take 1,000 times its size."""
    vast = unit * (1_000_000 // len(unit))

    class NoTokens:
        capacity, comma = 75, None

        def tokens(self, text: str) -> list[int]:
            raise AssertionError("it was read")

    message = "characters'; at most 65536 are read; shorten it"
    with pytest.raises(SettingsError, match=message):
        chunk_prompt("prompt", vast, EMPHASES.find("original"), NoTokens())
    for prompt, negative in ((vast, ""), ("", vast)):
        with pytest.raises(SettingsError, match=message):
            read_script(prompt, negative, 20)
