"""Prompts with learned words against diffusers, and pictures that follow them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.numpy import save_file

from diffusion import Pipeline, Settings
from diffusion.adapters import LoraFolder
from diffusion.errors import ModelMismatchError, ModelNotFoundError, SettingsError
from diffusion.infotext.grammar import parse_infotext
from diffusion.text.inversions import InversionFolder, TextualInversion, hash_of_inversion
from gpucore import Device
from tests.diffusion.bundled_model import pixels
from tests.diffusion.golden_families import networks
from tests.diffusion.text.inversions.inversion_files import LAYOUTS, write_word
from tests.goldens.inversion_cases import MODELS, NEGATIVE, PROMPT, WORDS, word_vectors
from tests.goldens.loader import load, relative_error

SETTINGS = Settings("a red apple", width=32, height=32, steps=2, guidance=3.0, seed=5)


def pipeline_with(device: Device, place: Path, model: str, layout: str = "") -> Pipeline:
    """Return a golden model with a folder of both words."""
    for word in WORDS:
        write_word(place / "below" / f"{word}.safetensors", model, word, layout)
    return Pipeline(networks(device, model), embeddings=InversionFolder(place))


def embed_all(pipeline: Pipeline, prompt: str, negative: str) -> dict[str, NDArray[np.floating]]:
    """Return what the golden file has, by its keys."""
    found = pipeline.embed(prompt, negative)
    arrays = {name: getattr(found, name) for name in ("prompt", "negative", "pooled")}
    arrays["negative_pooled"] = found.negative_pooled
    return {name: array for name, array in arrays.items() if array is not None}


@pytest.mark.parametrize("model", MODELS)
def test_embeddings_are_those_of_diffusers(device: Device, tmp_path: Path, model: str) -> None:
    pipeline = pipeline_with(device, tmp_path, model)
    found = embed_all(pipeline, PROMPT, NEGATIVE)
    expected = {
        key.partition("/")[2]: array
        for key, array in load("inversions").items()
        if key.startswith(f"{model}/")
    }
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        assert relative_error(found[name], array) < 1e-4, name
    plain = embed_all(Pipeline(networks(device, model)), PROMPT, NEGATIVE)
    assert relative_error(plain["prompt"], expected["prompt"]) > 0.1


@pytest.mark.parametrize("layout", [each for each in LAYOUTS if each != "pair"])
def test_every_layout_gives_the_same_bits(device: Device, tmp_path: Path, layout: str) -> None:
    found = embed_all(pipeline_with(device, tmp_path / "a", "sd2", layout), PROMPT, NEGATIVE)
    first = embed_all(pipeline_with(device, tmp_path / "b", "sd2"), PROMPT, NEGATIVE)
    np.testing.assert_array_equal(found["prompt"], first["prompt"])
    np.testing.assert_array_equal(found["negative"], first["negative"])


def test_vectors_of_tokens_give_the_bits_of_the_tokens(device: Device, tmp_path: Path) -> None:
    """A word whose vectors are two tokens' embeddings is those tokens, weights included."""
    nets = networks(device, "sd2")
    table = nets.text.encoders[0].network.text_model.embeddings.token_embedding.weight
    ids = nets.tokenizer.tokens("a dog")
    write_word(tmp_path / "kept.safetensors", "sd2", "bluetree")
    save_file({"emb_params": table.parts[0].read()[ids]}, tmp_path / "zebra.safetensors")
    pipeline = Pipeline(nets, embeddings=InversionFolder(tmp_path))
    for prompt in ("{}", "a house, ({}:1.3) a tree", "x " * 80 + "{}"):
        learned, plain = (pipeline.embed(prompt.format(word)) for word in ("ZEBRA", "a dog"))
        np.testing.assert_array_equal(learned.prompt, plain.prompt)


def test_vectors_of_the_output_replace_rows_alone(device: Device, tmp_path: Path) -> None:
    nets = networks(device, "sd2")
    width = nets.text.encoders[0].network.text_model.embeddings.token_embedding.weight.shape[1]
    vectors = np.random.default_rng(4).standard_normal((2, width)).astype(np.float32)
    zeros = np.zeros_like(vectors)
    save_file({"emp_params": zeros}, tmp_path / "kept.safetensors")
    both = {"emp_params": zeros, "emp_params_out": vectors}
    save_file(both, tmp_path / "zebra.safetensors")
    pipeline = Pipeline(nets, embeddings=InversionFolder(tmp_path))
    plain, found = (pipeline.embed(f"a {word} house").prompt for word in ("kept", "zebra"))
    np.testing.assert_array_equal(found[2:4], vectors)
    kept = [row for row in range(len(plain)) if row not in (2, 3)]
    np.testing.assert_array_equal(found[kept], plain[kept])
    assert not np.array_equal(found[2:4], plain[2:4])


def test_pictures_follow_the_files_at_once(device: Device, tmp_path: Path) -> None:
    pipeline = pipeline_with(device, tmp_path, "sd2")
    bare = Pipeline(networks(device, "sd2"))
    worded = replace(SETTINGS, prompt="a bluetree", negative="<red-house>")
    first, plain = pixels(pipeline, worded), pixels(bare, worded)
    assert not np.array_equal(first, plain)
    np.testing.assert_array_equal(pixels(pipeline, SETTINGS), pixels(bare, SETTINGS))
    path = tmp_path / "below" / "bluetree.safetensors"
    save_file({"emb_params": word_vectors("<red-house>", 40)}, path)
    changed = pixels(pipeline, worded)
    assert not np.array_equal(changed, first)
    path.unlink()
    with pytest.raises(ModelNotFoundError, match="there is no such file"):
        pixels(pipeline, worded)


def test_settings_name_files_and_words(device: Device, tmp_path: Path) -> None:
    pipeline = pipeline_with(device, tmp_path, "sd2")
    file = write_word(tmp_path / "other" / "x.safetensors", "sd2", "<red-house>")
    named = replace(SETTINGS, inversions=(TextualInversion(file, "my word"),))
    with_word = pixels(pipeline, replace(named, prompt="a My Word"))
    np.testing.assert_array_equal(
        with_word, pixels(pipeline, replace(SETTINGS, prompt="a <red-house>"))
    )
    infotext = parse_infotext(pipeline.draw(replace(named, prompt="a my word"))[0].infotext)
    assert infotext.settings["TI hashes"] == f"my word: {hash_of_inversion(file)}"
    with pytest.raises(ModelNotFoundError):
        pixels(pipeline, replace(SETTINGS, prompt="abc", inversions=(TextualInversion("abc"),)))
    with pytest.warns(UserWarning, match="embedding 'my word' changes nothing: no prompt has"):
        next(pipeline.generate(replace(named, prompt="a dog")))
    for wrong in (
        TextualInversion(""),
        TextualInversion("x", " "),
        TextualInversion("x", "y" * 999),
    ):
        with pytest.raises(SettingsError, match="embedding"):
            replace(SETTINGS, inversions=(wrong,)).check()


def test_the_infotext_has_the_words_of_all_passes(device: Device, tmp_path: Path) -> None:
    pipeline = pipeline_with(device, tmp_path, "sd2")
    hashes = {path.stem: hash_of_inversion(path) for path in (tmp_path / "below").iterdir()}

    def field(settings: Settings) -> str | None:
        complete = settings.with_defaults(pipeline.defaults)
        return pipeline.adapter_fields(complete).get("TI hashes")

    assert field(SETTINGS) is None
    both = ", ".join(f"{word}: {hashes[word]}" for word in ("<red-house>", "bluetree"))
    assert field(replace(SETTINGS, prompt="[a:BLUETREE:1]", negative="<red-house>")) == both


def test_files_of_one_word_are_refused_where_it_is_drawn(device: Device, tmp_path: Path) -> None:
    pipeline = pipeline_with(device, tmp_path, "sd2")
    write_word(tmp_path / "again" / "BlueTree.safetensors", "sd2", "bluetree")
    pipeline.inversions.folder = InversionFolder(tmp_path)
    next(pipeline.generate(SETTINGS))
    with pytest.raises(SettingsError, match=r"BlueTree.* and .*bluetree.* have this word"):
        next(pipeline.generate(replace(SETTINGS, prompt="a bluetree")))


def test_other_families_are_named_where_the_word_is_drawn(device: Device, tmp_path: Path) -> None:
    write_word(tmp_path / "bluetree.safetensors", "xl_base", "bluetree")
    pipeline = Pipeline(networks(device, "sd2"), embeddings=InversionFolder(tmp_path))
    next(pipeline.generate(SETTINGS))
    with pytest.raises(ModelMismatchError, match="made for Stable Diffusion XL"):
        next(pipeline.generate(replace(SETTINGS, prompt="a bluetree")))


def test_a_lora_brings_words_along(device: Device, tmp_path: Path) -> None:
    nets = networks(device, "sd2")
    module = "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn2_to_k"
    save_file(
        {
            f"{module}.lora_up.weight": np.zeros((16, 1), np.float32),
            f"{module}.lora_down.weight": np.zeros((1, 40), np.float32),
            "bundle_emb.bluetree.string_to_param.*": word_vectors("bluetree", 40),
        },
        tmp_path / "a.safetensors",
    )
    folder = tmp_path / "words"
    pipeline = Pipeline(nets, loras=LoraFolder(tmp_path))
    expected = pipeline_with(device, folder, "sd2").embed("a bluetree")
    np.testing.assert_array_equal(pipeline.embed("a bluetree<lora:a:1>").prompt, expected.prompt)
    assert not np.array_equal(pipeline.embed("a bluetree").prompt, expected.prompt)
    with pipeline.loras.use(SETTINGS):
        pipeline.release()


def test_comfyuis_spelling_is_the_word_alone(device: Device, tmp_path: Path) -> None:
    pipeline = pipeline_with(device, tmp_path, "sd2")
    found = pipeline.embed("a embedding:bluetree").prompt
    np.testing.assert_array_equal(found, pipeline.embed("a bluetree").prompt)
    next(pipeline.generate(replace(SETTINGS, prompt="a (embedding:BlueTree:1.1)")))
    with pytest.warns(UserWarning, match="embedding:absent is drawn as text"):
        next(pipeline.generate(replace(SETTINGS, prompt="embedding:bluetree embedding:absent")))
