"""Learned words in prompts: which name is found, and the chunk that its vectors go to."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest

from diffusion.checkpoints.bundled import bundled_model
from diffusion.prompts import EMPHASES, Chunk, LearnedWord, NamedWord, WordTable, chunk_prompt
from diffusion.text.tokenizer import ClipTokenizer

COMMA = 0


class Numbers:
    """A tokenizer of numbers: ``7`` is token 7, a comma token 0."""

    capacity = 75
    comma: int | None = COMMA

    def tokens(self, text: str) -> list[int]:
        return [COMMA if word == "," else int(word) for word in text.split()]


def word(name: str, count: int) -> LearnedWord:
    return LearnedWord(name, (np.zeros((count, 4), np.float32),))


def table(words: Mapping[tuple[int, ...], LearnedWord]) -> WordTable:
    return WordTable(NamedWord(tokens, lambda one=each: one) for tokens, each in words.items())  # type: ignore[misc]


def chunk(
    text: str, words: Mapping[tuple[int, ...], LearnedWord], mode: str = "original"
) -> list[Chunk]:
    return chunk_prompt("prompt", text, EMPHASES.find(mode), Numbers(), table(words))


def places(chunks: list[Chunk]) -> list[list[tuple[int, str]]]:
    return [[(place, each.name) for place, each in one.words] for one in chunks]


def numbers(count: int, first: int = 1) -> str:
    return " ".join(str(first + index) for index in range(count))


def test_the_longest_name_is_found() -> None:
    words = {(7,): word("short", 1), (7, 8): word("long", 2), (7, 8, 9): word("longest", 3)}
    (found,) = chunk("1 7 8 9 7 8 7 1 8", words)
    assert places([found]) == [[(1, "longest"), (4, "long"), (6, "short")]]
    assert found.tokens == (1, 0, 0, 0, 0, 0, 0, 1, 8)
    assert found.weights == (1.0,) * 9


def test_each_vector_has_the_weight_of_the_word() -> None:
    (found,) = chunk("1 (7:1.5) [7]", {(7,): word("w", 3)})
    assert found.weights == (1.0, 1.5, 1.5, 1.5, *[pytest.approx(1 / 1.1)] * 3)
    (ignored,) = chunk("(7:1.5)", {(7,): word("w", 2)}, "ignore")
    assert (ignored.weights, len(ignored.words)) == ((1.0, 1.0), 1)


def test_a_name_across_weights_is_no_name() -> None:
    (found,) = chunk("7 (8:1.5)", {(7, 8): word("w", 1)})
    assert found.words == ()


@pytest.mark.parametrize(
    ("before", "count", "expected"),
    [
        (70, 5, [75]),
        (71, 5, [71, 5]),
        (75, 1, [75, 1]),
        (74, 75, [74, 75]),
        (0, 75, [75]),
    ],
)
def test_a_word_is_never_cut(before: int, count: int, expected: list[int]) -> None:
    """What does not fit opens the next chunk, as in the WebUI, without a look at commas."""
    text = numbers(before, 100).replace("103", ",") + " 7"
    found = chunk(text, {(7,): word("w", count)})
    assert [len(each.tokens) for each in found] == expected
    assert places(found)[-1] == [(0 if len(expected) == 2 else before, "w")]


def test_a_full_chunk_goes_back_to_its_comma() -> None:
    """Then the word follows the phrase, and moves with it when that is cut off later."""
    text = f"{numbers(60, 100)} , {numbers(14, 200)} 7"
    found = chunk(text, {(7,): word("w", 2)})
    assert [len(each.tokens) for each in found] == [61, 16]
    assert places(found) == [[], [(14, "w")]]
    moved = chunk(f"{numbers(60, 100)} , {numbers(12, 200)} 7 300", {(7,): word("w", 2)})
    assert [len(each.tokens) for each in moved] == [61, 15]
    assert places(moved) == [[], [(12, "w")]]


def test_names_are_found_as_the_webui_finds_them() -> None:
    """They are cut into tokens: letters may be small or capital, spaces and letters end a name."""
    folder = bundled_model() / "tokenizer"
    tokenizer = ClipTokenizer(folder, 77)
    words = WordTable(
        NamedWord(tuple(tokenizer.tokens(name)), lambda name=name: word(name, 1))  # type: ignore[misc]
        for name in ("EasyNegative", "bad-hands-5", "cat", "cat dog", "")
    )

    def find(text: str) -> list[str]:
        chunks = chunk_prompt("prompt", text, EMPHASES.find("original"), tokenizer, words)
        return [each.name for one in chunks for _, each in one.words]

    assert find("a photo, easynegative, EASYNEGATIVE") == ["EasyNegative", "EasyNegative"]
    assert find("(bad-hands-5:1.2), [Bad-Hands-5]") == ["bad-hands-5", "bad-hands-5"]
    assert find("cat dog, cat, dog cat") == ["cat dog", "cat", "cat"]
    assert find("category, cats, easy negative") == []
    assert find("embedding:easynegative") == ["EasyNegative"]
    assert find("") == []
