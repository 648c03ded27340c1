"""Token ids are those of transformers' CLIPTokenizer with ftfy, which the WebUI uses."""
# ruff: noqa: RUF001 - odd characters are the point

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path
from typing import Any

import ftfy
import pytest

from diffusion.checkpoints.bundled import bundled_model
from diffusion.errors import ModelFormatError
from diffusion.text.tokenizer import ClipTokenizer
from tests.goldens.family_folders import write_family
from tests.goldens.loader import FOLDER
from tests.goldens.vocabulary import tokens, write_tokenizer


def entries(name: str) -> list[dict[str, Any]]:
    document = json.loads((FOLDER / f"tokenizer_{name}.json").read_text(encoding="ascii"))
    found: list[dict[str, Any]] = document["prompts"]
    return found


@pytest.fixture(name="golden", scope="module")
def golden_tokenizer(tmp_path_factory: pytest.TempPathFactory) -> ClipTokenizer:
    folder = tmp_path_factory.mktemp("tokenizer")
    write_tokenizer(folder, max_length=77)
    return ClipTokenizer(folder, 77)


@pytest.mark.parametrize("entry", entries("golden"), ids=lambda entry: ascii(entry["prompt"])[:40])
def test_ids_in_the_golden_vocabulary(golden: ClipTokenizer, entry: dict[str, Any]) -> None:
    assert golden([entry["prompt"]]) == [entry["ids"]]


@pytest.mark.parametrize("entry", entries("emoji"), ids=lambda entry: ascii(entry["prompt"])[:40])
def test_ids_in_the_bundled_vocabulary(entry: dict[str, Any]) -> None:
    emoji = ClipTokenizer(bundled_model() / "tokenizer", 77)
    assert emoji([entry["prompt"]]) == [entry["ids"]]


@pytest.mark.parametrize(
    ("typed", "plain"),
    [
        ("it’s", "it's"),
        ("“x”", '"x"'),
        ("ﬁne ﬂat", "fine flat"),
        ("ＲＥＤ ａｐｐｌｅ１", "red apple1"),
        ("cat &amp; dog", "cat & dog"),
        ("&lt;red&gt;", "<red>"),
        ("cafÃ©", "café"),
        ("cafe\u0301", "café"),
    ],
)
def test_what_looks_alike_has_the_same_tokens(
    golden: ClipTokenizer, typed: str, plain: str
) -> None:
    assert golden.tokens(typed) == golden.tokens(plain)


def test_plain_texts_need_no_mending() -> None:
    """They are not given to ftfy, whose import takes time."""
    plain = [chr(code) for code in range(128) if chr(code).isprintable() and chr(code) != "&"]
    for first in plain:
        text = "".join(f"{first}{second}" for second in plain)
        assert ftfy.fix_text(text) == text
        assert ftfy.fix_text(first) == first


@pytest.mark.parametrize("model", ["sd2", "xl_base"])
def test_the_padding_token_in_a_prompt_is_a_word(tmp_path: Path, model: str) -> None:
    """SD 2.x and XL's second encoder pad with "!", number 0; typed, it ends a word."""
    write_family(tmp_path, model)
    numbers = tokens()
    for name in ("tokenizer", "tokenizer_2"):
        if (tmp_path / name).is_dir():
            tokenizer = ClipTokenizer(tmp_path / name, 77, "!")
            assert tokenizer.row([])[2:] == [numbers["!"]] * 75
            assert tokenizer.tokens("cat!") == [numbers["cat</w>"], numbers["!</w>"]]
            assert tokenizer.tokens("! !!") == [
                numbers["!</w>"],
                numbers["!"],
                numbers["!</w>"],
            ]


@pytest.mark.parametrize(
    "content", ["[[]]", '{"a": [[], []]}', '{"a": {}}', "[]", '{"a": 1.5}', "{"]
)
def test_vocabularies_that_are_no_flat_map(tmp_path: Path, content: str) -> None:
    write_tokenizer(tmp_path, max_length=77)
    (tmp_path / "vocab.json").write_text(content, encoding="utf-8")
    with pytest.raises(ModelFormatError, match=r"vocabulary: (is not a map|lacks)"):
        ClipTokenizer(tmp_path, 77)


def test_a_vocabulary_of_lists_is_refused_before_it_is_built(tmp_path: Path) -> None:
    """Read as JSON, its 4 MB would take 24 times as much."""
    write_tokenizer(tmp_path, max_length=77)
    (tmp_path / "vocab.json").write_text('{"a":[' + "[]," * 1_300_000 + "[]]}", encoding="utf-8")
    tracemalloc.start()
    try:
        with pytest.raises(ModelFormatError, match="is not a map of tokens to numbers"):
            ClipTokenizer(tmp_path, 77)
        assert tracemalloc.get_traced_memory()[1] < 24e6
    finally:
        tracemalloc.stop()
