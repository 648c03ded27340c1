"""SDXL's two tokenizers and encoders: padding, one vocabulary, the pooled text.

Captured networks give the same bits as without a capture, whatever was encoded before.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from diffusion.checkpoints import ModelFolder
from diffusion.errors import ModelFormatError
from diffusion.pipeline.loading import load_networks
from diffusion.pipeline.networks import Networks
from diffusion.prompts import EMPHASES, Chunk, chunk_prompt
from diffusion.text.encoder import EncodedText, TextEncoder
from diffusion.text.tokenizer import ClipTokenizer
from gpucore import Device, Graph, f32, i32
from tests.diffusion.golden_families import networks
from tests.goldens.family_folders import write_family

ORIGINAL = EMPHASES.find("original")
SHORT, OTHER, LONG = "a red apple", "a blue house", " BREAK ".join(["a dog, a cat"] * 9)


def load_model(device: Device, place: Path, model: str = "xl_base") -> Networks:
    """Load a model for one test, which may change its weights."""
    return load_networks(ModelFolder(write_family(place, model)), device, f32)


def chunk_all(made: Networks, *prompts: str) -> list[list[Chunk]]:
    return [chunk_prompt("prompt", text, ORIGINAL, made.tokenizer) for text in prompts]


def read_all(found: EncodedText) -> list[NDArray[Any]]:
    return [each.read() for each in found if each is not None]


def encode_directly(encoder: TextEncoder, rows: list[list[int]], skip: int) -> EncodedText:
    """Run the network without a graph."""
    ids = np.array(rows, np.int32)
    positions = np.tile(np.arange(ids.shape[1]), (len(rows), 1))
    first = np.argmax(ids == encoder.tokenizer.end, axis=1)
    ends = first + np.arange(len(rows)) * ids.shape[1]
    return encoder.record(
        *(encoder.device.buffer_from_array(each, i32) for each in (ids, positions, ends)), skip
    )


def test_padding_of_short_texts(tmp_path: Path) -> None:
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


@pytest.mark.parametrize("kept", [0, 1, -1])
def test_merges_that_were_cut_at_a_lines_end(tmp_path: Path, kept: int) -> None:
    """The rest would be a valid tokenizer, but with other tokens than in training."""
    folder = write_family(tmp_path, "xl_base") / "tokenizer"
    file = folder / "merges.txt"
    lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
    file.write_text("".join(lines[:kept]), encoding="utf-8")
    with pytest.raises(ModelFormatError, match=r"merges\.txt: merges: tokens .* cut; download"):
        ClipTokenizer(folder, 77)


def test_tokens_that_were_added_need_no_merge(tmp_path: Path) -> None:
    folder = write_family(tmp_path, "xl_base") / "tokenizer"
    file = folder / "vocab.json"
    tokens = list(json.loads(file.read_text(encoding="utf-8")))
    written = [tokens + ["sks", "<cat-toy>"], ["<pad>", *tokens], [*tokens[-2:], *tokens[:-2]]]
    for each in written:
        file.write_text(json.dumps({token: i for i, token in enumerate(each)}), encoding="utf-8")
        assert ClipTokenizer(folder, 77).tokens("apple") == [each.index("apple</w>")]


def test_a_tokenizer_of_another_model(device: Device, tmp_path: Path) -> None:
    """Its tokens would lie beyond the end of the embeddings."""
    folder = ModelFolder(write_family(tmp_path, "sd2"))
    file = tmp_path / "tokenizer" / "vocab.json"
    vocabulary = json.loads(file.read_text(encoding="utf-8"))
    file.write_text(json.dumps(vocabulary | {"more": len(vocabulary)}), encoding="utf-8")
    with pytest.raises(ModelFormatError, match="goes up to 600, and the encoder knows 600"):
        load_networks(folder, device)


@pytest.mark.parametrize("model", ["xl_base", "sd2"])
def test_a_captured_encoder_gives_the_bits_of_a_direct_one(device: Device, model: str) -> None:
    """Calls in any order give the same bits, and do not change earlier results."""
    made = networks(device, model)
    for encoder in made.text.encoders:
        row = {text: encoder.tokenizer([text])[0] for text in (SHORT, OTHER, "", LONG)}
        batches = [[row[SHORT]], [row[OTHER], row[SHORT]], [row[LONG]], [row[""], row[OTHER]]]
        batches.append([row[SHORT], row[OTHER], row[LONG]] * 6)  # more than are encoded at once
        cases = [(rows, skip) for skip in (0, 1) for rows in (*batches, *batches[::-1])]
        found = [encoder.encode(*case) for case in cases]
        for kept, case in zip(found, cases, strict=True):
            direct = encode_directly(encoder, *case)
            assert (kept.pooled is None) == (direct.pooled is None)
            for actual, expected in zip(read_all(kept), read_all(direct), strict=True):
                np.testing.assert_array_equal(actual, expected)


def test_a_prompt_does_not_see_the_one_before(device: Device, tmp_path: Path) -> None:
    """Results are those of a newly loaded model: no tokens, ends or weights are left behind."""
    cases = [(SHORT, OTHER), (LONG, "(a:1.3) dog"), ("", SHORT), (OTHER, SHORT)]
    used, fresh = networks(device, "xl_base"), load_model(device, tmp_path)
    for prompts in (*cases, *cases):
        actual = used.text.encode_prompts(chunk_all(used, *prompts), ORIGINAL)
        fresh.text.release()
        expected = fresh.text.encode_prompts(chunk_all(fresh, *prompts), ORIGINAL)
        for one, other in zip(read_all(actual), read_all(expected), strict=True):
            np.testing.assert_array_equal(one, other)


def test_a_second_prompt_is_a_replay(device: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    made = networks(device, "xl_base")
    made.text.encode_prompts(chunk_all(made, SHORT), ORIGINAL)

    def refuse(*_: object) -> None:
        raise AssertionError("recorded again")

    monkeypatch.setattr(TextEncoder, "record", refuse)
    made.text.encode_prompts(chunk_all(made, OTHER), ORIGINAL)
    made.text.release()
    with pytest.raises(AssertionError, match="recorded again"):
        made.text.encode_prompts(chunk_all(made, OTHER), ORIGINAL)


def test_changed_weights(device: Device, tmp_path: Path) -> None:
    """Weights written in place count at once, those in new buffers after `release`."""
    made = load_model(device, tmp_path)
    encoder = made.text.encoders[1]
    rows = encoder.tokenizer([SHORT, OTHER])
    plain = encoder.encode(rows, 0).context.read()
    product = encoder.network.text_model.encoder.layers[0].mlp.fc1.weight.buffer
    product.write(product.read() * np.float32(1.5))
    adapted = encoder.encode(rows, 0).context.read()
    assert not np.array_equal(adapted, plain)
    table = encoder.network.text_model.embeddings.token_embedding.weight
    learned = table.parts[0].read()
    learned[encoder.tokenizer.tokens("apple")] = 0.3
    table.fill(learned, device, f32)
    made.text.release()
    states = encoder.encode(rows, 0).context.read()
    np.testing.assert_array_equal(states, encode_directly(encoder, rows, 0).context.read())
    assert not np.array_equal(states[0], adapted[0])
    np.testing.assert_array_equal(states[1], adapted[1])


def test_memory_of_captured_encoders(
    device: Device, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The graphs used last are kept, and `release` gives all memory back."""
    made = load_model(device, tmp_path)
    for encoder in made.text.encoders:
        monkeypatch.setattr(encoder.graphs, "most", 1)

    def live(*prompts: str) -> int:
        made.text.encode_prompts(chunk_all(made, *prompts), ORIGINAL)
        return device.memory.live

    before = device.memory.live
    one = live(SHORT)
    assert live(SHORT, OTHER) > one > before
    assert live(OTHER) == one
    made.text.release()
    assert device.memory.live == before


@pytest.mark.parametrize("owner", [Graph, TextEncoder])
def test_an_interrupted_encoding_leaves_nothing_behind(
    device: Device, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, owner: type
) -> None:
    made = load_model(device, tmp_path)
    expected = read_all(made.text.encode_prompts(chunk_all(made, OTHER), ORIGINAL))
    made.text.release()
    before = device.memory.live
    name = "replay" if owner is Graph else "record"
    original = getattr(owner, name)

    def interrupt(*arguments: Any) -> None:
        original(*arguments)
        raise KeyboardInterrupt

    monkeypatch.setattr(owner, name, interrupt)
    with pytest.raises(KeyboardInterrupt):
        made.text.encode_prompts(chunk_all(made, SHORT), ORIGINAL)
    monkeypatch.undo()
    found = read_all(made.text.encode_prompts(chunk_all(made, OTHER), ORIGINAL))
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)
    made.text.release()
    assert device.memory.live == before
