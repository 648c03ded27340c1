"""A folder as a single file and back: the same configs, the same bits, the same pictures."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from diffusion import Pipeline, Result, Settings
from diffusion.checkpoints import (
    ModelFile,
    ModelFolder,
    open_model,
    open_safetensors,
    save_safetensors,
)
from diffusion.checkpoints.conversion import save_folder, save_single, save_tensors
from diffusion.checkpoints.parameter_names import IGNORED_NAMES
from diffusion.checkpoints.single_file import CONFIG_KEY
from diffusion.errors import ModelFormatError, ModelNotFoundError, OutputError, SettingsError
from diffusion.pipeline.loading import load_networks
from gpucore import Device
from tests.diffusion.checkpoints.small_folder import write_folder
from tests.goldens.configs import MODELS
from tests.goldens.family_folders import write_family
from tests.goldens.folders import write_model

BUNDLED = Path(__file__).parents[3] / "models" / "emoji"
TOKENIZER = BUNDLED / "tokenizer"


def configs(model: ModelFolder) -> tuple[object, ...]:
    return model.unet, model.vae, dict(model.text_encoders), model.scheduler


def assert_same_weights(left: ModelFolder, right: ModelFolder) -> None:
    """Assert equal names, element types and bits."""
    for part in ("unet", "vae", *left.text_encoders):
        one, other = left.weights(part), right.weights(part)  # type: ignore[arg-type]
        assert one.entries.keys() - IGNORED_NAMES == other.entries.keys() - IGNORED_NAMES
        for name in one.entries.keys() - IGNORED_NAMES:
            assert one.entries[name].dtype == other.entries[name].dtype
            assert np.array_equal(one.read(name), other.read(name)), name


@pytest.mark.parametrize("model", ["emoji", *MODELS])
def test_there_and_back(model: str, tmp_path: Path) -> None:
    source = BUNDLED
    if model != "emoji":
        source = tmp_path / "source"
        write_model(source, model)
    folder = ModelFolder(source)
    single = tmp_path / "single.safetensors"
    save_single(folder, single)
    file = ModelFile(single, tokenizer=source / "tokenizer")
    assert configs(file) == configs(folder)
    assert file.unused_names() == []
    assert_same_weights(folder, file)
    save_folder(file, tmp_path / "back")
    back = ModelFolder(tmp_path / "back")
    assert configs(back) == configs(folder)
    assert_same_weights(folder, back)
    for name in ("vocab.json", "merges.txt"):
        copied = (tmp_path / "back" / "tokenizer" / name).read_bytes()
        assert copied == (source / "tokenizer" / name).read_bytes()
    assert not list(tmp_path.glob(".*")), "no drafts are left"


def test_names_are_those_of_the_original_code(tmp_path: Path) -> None:
    save_single(ModelFolder(BUNDLED), tmp_path / "a.safetensors")
    file = open_safetensors(tmp_path / "a.safetensors")
    shapes = {name: entry.shape for name, entry in file.entries.items()}
    assert shapes["model.diffusion_model.input_blocks.0.0.weight"] == (64, 4, 3, 3)
    assert shapes["first_stage_model.decoder.mid.attn_1.proj_out.weight"] == (96, 96, 1, 1)
    start = "cond_stage_model.transformer.text_model.encoder.layers.0"
    assert shapes[f"{start}.self_attn.q_proj.weight"] == (128, 128)
    assert file.metadata["format"] == "pt"


def test_open_clip_names_for_gelu_encoders(tmp_path: Path) -> None:
    write_model(tmp_path / "four", "four_levels")
    folder = ModelFolder(tmp_path / "four")
    save_single(folder, tmp_path / "a.safetensors")
    file = open_safetensors(tmp_path / "a.safetensors")
    start = "cond_stage_model.model.transformer.resblocks.1.attn"
    fused = file.read(f"{start}.in_proj_bias")
    weights = folder.weights("text_encoder")
    layer = "text_model.encoder.layers.1.self_attn"
    parts = [weights.read(f"{layer}.{part}.bias") for part in ("q_proj", "k_proj", "v_proj")]
    assert np.array_equal(fused, np.concatenate(parts))
    assert file.entry(f"{start}.in_proj_weight").shape == (3 * 48, 48)


@pytest.mark.parametrize(("dtype", "eps"), [("F32", 0.0), ("BF16", 2.0**-8), ("F8_E4M3", 2.0**-4)])
def test_element_types(dtype: str, eps: float, tmp_path: Path) -> None:
    """Rounding to nearest errs by at most half a unit in the last place (relative ``eps``)."""
    folder = ModelFolder(BUNDLED)
    save_single(folder, tmp_path / "a.safetensors", dtype)
    file = ModelFile(tmp_path / "a.safetensors", tokenizer=TOKENIZER)
    assert {entry.dtype for entry in file.file.entries.values()} == {dtype}
    for part in ("unet", "vae", "text_encoder"):
        weights, narrow = folder.weights(part), file.weights(part)
        narrow.check({name: entry.shape for name, entry in weights.entries.items()})
        for name in weights.entries:
            exact = weights.read(name).astype(np.float64)
            error = np.abs(narrow.read(name).astype(np.float64) - exact)
            smallest = 2.0**-10 if dtype == "F8_E4M3" else 0.0  # half a subnormal step
            assert (error <= np.maximum(eps * np.abs(exact), smallest)).all()


def picture(model: ModelFolder, device: Device) -> bytes:
    pipeline = Pipeline(load_networks(model, device))
    settings = Settings("a red apple", "blurry", 64, 64, steps=2, guidance=3.0, seed=3)
    *_, last = pipeline.generate(settings)
    assert isinstance(last, Result)
    return last.images[0].tobytes()


def test_pictures_are_equal(device: Device, tmp_path: Path) -> None:
    """Single file and folder of the same weights, whatever their element type."""
    save_single(ModelFolder(BUNDLED), tmp_path / "single.safetensors")
    save_single(ModelFolder(BUNDLED), tmp_path / "wide.safetensors", "F32")
    expected = picture(ModelFolder(BUNDLED), device)
    assert len(set(expected)) > 10
    for name in ("single", "wide"):
        file = open_model(tmp_path / f"{name}.safetensors", tokenizer=TOKENIZER)
        assert picture(file, device) == expected


# ---------------------------------------------------------------- what cannot be


def test_a_file_without_a_tokenizer(tmp_path: Path) -> None:
    path = tmp_path / "single.safetensors"
    save_single(ModelFolder(BUNDLED), path)
    with pytest.raises(ModelNotFoundError, match="a single file holds no tokenizer"):
        open_model(path)
    (tmp_path / "tokenizer").symlink_to(TOKENIZER)
    assert isinstance(open_model(path), ModelFile)
    with pytest.raises(SettingsError, match=r"prediction must be one of .*; got 'x'"):
        ModelFile(path, prediction="x")  # type: ignore[arg-type]
    with pytest.raises(SettingsError, match="'sample'; leave it out: the file has its own"):
        ModelFile(path, prediction="sample")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "must be valid JSON"),
        ("[]", "must be a JSON object"),
        ("{}", "must have an object model_index.json"),
        ('{"model_index.json": 1}', "must have an object model_index.json"),
        ('{"a": ' + "[" * 20 + "]" * 20 + "}", "must nest at most 16 levels deep"),
        ('{"a": 1, "a": 2}', "must be unique, got it twice"),
    ],
)
def test_hostile_configs_in_metadata(text: str, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    save_safetensors(path, {"a": np.zeros(1, np.float16)}, {CONFIG_KEY: text})
    with pytest.raises(ModelFormatError, match=reason):
        ModelFile(path, tokenizer=TOKENIZER)


def test_configs_in_metadata_are_checked_like_a_folders(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    save_single(ModelFolder(BUNDLED), path)
    file = open_safetensors(path)
    tree = json.loads(file.metadata[CONFIG_KEY])
    tree["unet/config.json"]["block_out_channels"] = [10**9]
    save_safetensors(path, {}, {CONFIG_KEY: json.dumps(tree)})
    with pytest.raises(ModelFormatError, match="block_out_channels"):
        ModelFile(path, tokenizer=TOKENIZER)


def test_a_model_with_other_parameters(tmp_path: Path) -> None:
    folder = ModelFolder(write_folder(tmp_path / "model"))
    with pytest.raises(
        ModelFormatError, match=r"'a\.(weight|bias)': must have a name in single files, got none"
    ):
        save_single(folder, tmp_path / "a.safetensors")
    assert not (tmp_path / "a.safetensors").exists()


def test_nothing_is_overwritten_or_left_over(tmp_path: Path) -> None:
    taken = tmp_path / "taken"
    taken.mkdir()
    (taken / "mine").touch()
    with pytest.raises(OutputError, match="does not exist yet"):
        save_folder(ModelFolder(BUNDLED), taken)
    with pytest.raises(OutputError):
        save_tensors(open_safetensors(BUNDLED / "vae" / "diffusion_pytorch_model.safetensors"),
                     tmp_path / "none" / "a.safetensors")  # fmt: skip
    assert [path.name for path in tmp_path.rglob("*")] == ["taken", "mine"]


# ---------------------------------------------------------------- the other families


@pytest.mark.parametrize("family", ["sd2", "xl_base", "xl_refiner"])
def test_two_text_encoders_and_their_projection(family: str, tmp_path: Path) -> None:
    folder = ModelFolder(write_family(tmp_path / "source", family))
    save_single(folder, tmp_path / "single.safetensors")
    tokenizer = next(iter(folder.tokenizers.values()))
    file = ModelFile(tmp_path / "single.safetensors", tokenizer=tokenizer)
    assert configs(file) == configs(folder)
    assert file.is_xl is folder.is_xl
    assert file.asks_for_score is folder.asks_for_score
    assert_same_weights(folder, file)
    save_folder(file, tmp_path / "back")
    back = ModelFolder(tmp_path / "back")
    assert configs(back) == configs(folder)
    assert_same_weights(folder, back)
    for encoder, place in back.tokenizers.items():
        padding = file.padding(encoder)
        notes = json.loads((place / "tokenizer_config.json").read_text(encoding="utf-8"))
        assert padding in (None, notes["pad_token"])


def test_a_consistency_model_there_and_back(device: Device, tmp_path: Path) -> None:
    """Its guidance is read by a layer of its own, and the pictures are the same."""
    folder = ModelFolder(write_family(tmp_path / "source", "consistency"))
    single = tmp_path / "single.safetensors"
    save_single(folder, single)
    name = "model.diffusion_model.time_embed.cond_proj.weight"
    assert len(open_safetensors(single).entry(name).shape) == 2
    file = ModelFile(single, tokenizer=folder.tokenizers["text_encoder"])
    assert configs(file) == configs(folder)
    assert file.unused_names() == []
    assert_same_weights(folder, file)
    save_folder(file, tmp_path / "back")
    assert_same_weights(folder, ModelFolder(tmp_path / "back"))
    drawn = [
        np.asarray(Pipeline(load_networks(model, device)).draw(Settings("a cat", seed=3))[0])
        for model in (folder, file)
    ]
    np.testing.assert_array_equal(*drawn)


def test_names_of_models(tmp_path: Path) -> None:
    save_single(ModelFolder(BUNDLED), tmp_path / "dream.v2.safetensors")
    assert ModelFile(tmp_path / "dream.v2.safetensors", tokenizer=TOKENIZER).name == "dream.v2"
    assert ModelFolder(BUNDLED).name == "emoji"
    cached = tmp_path / "models--some--model--xl" / "snapshots" / ("0" * 40)
    cached.parent.mkdir(parents=True)
    cached.symlink_to(BUNDLED)
    assert ModelFolder(cached).name == "some/model--xl"


@pytest.mark.parametrize(
    "name", ["vocab.json", "merges.txt", "special_tokens_map.json", "tokenizer_config.json"]
)
@pytest.mark.parametrize("content", ["a secret of words", "a: b c\n" * 3_000_000], ids=len)
def test_a_link_to_what_is_no_part_of_a_tokenizer(name: str, content: str, tmp_path: Path) -> None:
    """Links are usual, as in the Hub's cache; another file's content is not copied."""
    write_model(tmp_path / "model", "two_levels")
    secret = tmp_path / "secret"
    secret.write_text(content, encoding="utf-8")
    place = tmp_path / "model" / "tokenizer" / name
    place.unlink(missing_ok=True)
    place.symlink_to(secret)
    with pytest.raises(ModelFormatError, match=name):
        save_folder(ModelFolder(tmp_path / "model"), tmp_path / "new")
    assert {each.name for each in tmp_path.iterdir()} == {"model", "secret"}
