"""SDXL's two tokenizers and encoders: padding, one vocabulary, the pooled text."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from diffusion.checkpoints import ModelFolder
from diffusion.errors import ModelFormatError
from diffusion.networks import load_networks
from diffusion.prompts import EMPHASES, chunk_prompt
from diffusion.tokenizer import ClipTokenizer
from gpucore import Device
from tests.diffusion.golden_families import networks
from tests.goldens.family_folders import write_family

ORIGINAL = EMPHASES.find("original")


def test_what_fills_short_texts_up(tmp_path: Path) -> None:
    write_family(tmp_path, "xl_base")
    first, second = (ClipTokenizer(tmp_path / name, 77) for name in ("tokenizer", "tokenizer_2"))
    assert first.row([5]) == [598, 5, *[599] * 75]
    assert second.row([5]) == [598, 5, 599, *[0] * 74]
    assert ClipTokenizer(tmp_path / "tokenizer", 77, "!").row([5]) == second.row([5])
    assert first.shares_tokens(second)
    assert not first.shares_tokens(ClipTokenizer(tmp_path / "tokenizer", 24))


def test_tokenizers_must_know_the_same_tokens(device: Device, tmp_path: Path) -> None:
    """A prompt is cut into chunks once, for both encoders."""
    folder = ModelFolder(write_family(tmp_path, "xl_base"))
    file = tmp_path / "tokenizer_2" / "vocab.json"
    vocabulary = json.loads(file.read_text(encoding="utf-8"))
    vocabulary["!"], vocabulary['"'] = vocabulary['"'], vocabulary["!"]
    file.write_text(json.dumps(vocabulary), encoding="utf-8")
    with pytest.raises(ModelFormatError, match="differs from that of the first tokenizer"):
        load_networks(folder, device)


def test_the_pooled_text_is_the_first_chunks_unweighted(device: Device) -> None:
    made = networks(device, "xl_base")

    def pooled(text: str) -> np.ndarray:  # type: ignore[type-arg]
        chunks = chunk_prompt("prompt", text, ORIGINAL, made.tokenizer)
        context, found = made.text.encode_prompts([chunks, chunks], ORIGINAL)
        assert found is not None
        assert context.shape == (2, 77 * len(chunks), 64)
        rows = found.read()
        np.testing.assert_array_equal(rows[0], rows[1])
        return rows

    plain = pooled("a red apple")
    np.testing.assert_array_equal(pooled("a red apple BREAK a blue house"), plain)
    np.testing.assert_array_equal(pooled("a (red:1.4) apple"), plain)
    assert not np.array_equal(pooled("a blue house BREAK a red apple"), plain)


def test_skipped_layers_leave_the_pooled_text_alone(device: Device) -> None:
    made = networks(device, "xl_base")
    chunks = [chunk_prompt("prompt", "a red apple", ORIGINAL, made.tokenizer)]
    states, pooled = zip(
        *(made.text.encode_prompts(chunks, ORIGINAL, skip) for skip in (0, 1)), strict=True
    )
    assert not np.array_equal(states[0].read(), states[1].read())
    np.testing.assert_array_equal(pooled[0].read(), pooled[1].read())


def test_hostile_tokenizers(tmp_path: Path) -> None:
    folder = write_family(tmp_path, "xl_base") / "tokenizer"
    for name in ("special_tokens_map.json", "tokenizer_config.json"):
        (folder / name).unlink()
        with (folder / name).open("wb") as file:
            file.truncate(8 << 30)  # takes no room on the disk, and all of the memory when read
    assert ClipTokenizer(folder, 77).row([5]) == [598, 5, *[599] * 75]
    vocabulary = json.loads((folder / "vocab.json").read_text(encoding="utf-8"))
    (folder / "vocab.json").write_text(json.dumps(vocabulary | {"\ud800": 600}), encoding="utf-8")
    with pytest.raises(ModelFormatError, match="a token that is no text"):
        ClipTokenizer(folder, 77)


def test_a_tokenizer_of_another_model(device: Device, tmp_path: Path) -> None:
    """Its tokens would be read from beyond the end of the embeddings."""
    folder = ModelFolder(write_family(tmp_path, "sd2"))
    file = tmp_path / "tokenizer" / "vocab.json"
    vocabulary = json.loads(file.read_text(encoding="utf-8"))
    file.write_text(json.dumps(vocabulary | {"more": len(vocabulary)}), encoding="utf-8")
    with pytest.raises(ModelFormatError, match="goes up to 600, and the encoder knows 600"):
        load_networks(folder, device)
