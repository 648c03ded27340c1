"""A vocabulary of 600 tokens in CLIP's format, made by rule for the golden models.

CLIP's vocabulary is: a character for each byte, the same again with an end-of-word mark, one
token a merge, the start and the end token. The merges here spell out a few dozen words.
"""

import json
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from tests.goldens.configs import VOCABULARY_SIZE

START, END = "<|startoftext|>", "<|endoftext|>"

_END_OF_WORD = "</w>"
_WORDS = (
    "a an the of on in with and photo picture drawing apple red green blue yellow table house "
    "cat dog tree water light dark blurry low high quality style flat cartoon small big old new"
).split()


def byte_characters() -> list[str]:
    """Return the 256 characters that stand for bytes, in the vocabulary's order.

    Bytes that print in Latin-1 stand for themselves and come first; the others, in order, take
    the code points from 256 on (the rule of GPT-2's byte-level BPE, which CLIP shares).
    """
    printing = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    return [chr(code) for code in (*printing, *range(256, 256 + 256 - len(printing)))]


def merges() -> list[tuple[str, str]]:
    """Return the merges in the order of their ranks."""
    unique = dict.fromkeys(chain.from_iterable(_spelling(word) for word in _WORDS))
    return list(unique)[: VOCABULARY_SIZE - 2 * 256 - 2]


def _spelling(word: str) -> Iterator[tuple[str, str]]:
    """Return the merges that join a word from its left, letter by letter."""
    letters = [*word[:-1], word[-1] + _END_OF_WORD]
    for end in range(1, len(letters)):
        yield "".join(letters[:end]), letters[end]


def tokens() -> dict[str, int]:
    """Return every token's id."""
    characters = byte_characters()
    marked = [character + _END_OF_WORD for character in characters]
    joined = [left + right for left, right in merges()]
    every = [*characters, *marked, *joined, START, END]
    assert len(every) == VOCABULARY_SIZE
    return {token: index for index, token in enumerate(every)}


def write_tokenizer(folder: Path, *, max_length: int) -> None:
    """Write `folder` as transformers' CLIPTokenizer keeps it; prompts end at `max_length`."""
    folder.mkdir(parents=True, exist_ok=True)
    special = {"bos_token": START, "eos_token": END, "pad_token": END, "unk_token": END}
    config = {"model_max_length": max_length, "tokenizer_class": "CLIPTokenizer"} | special
    lines = ["#version: 0.2", *(f"{left} {right}" for left, right in merges())]
    (folder / "merges.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (folder / "vocab.json").write_text(json.dumps(tokens(), ensure_ascii=False), encoding="utf-8")
    (folder / "tokenizer_config.json").write_text(json.dumps(config), encoding="utf-8")
    (folder / "special_tokens_map.json").write_text(json.dumps(special), encoding="utf-8")
