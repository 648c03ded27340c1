"""Model folders: what is found, what is missing, what is damaged, what is hostile."""

from __future__ import annotations

import json
import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from diffusion.checkpoints import ModelFolder, open_safetensors, save_safetensors
from diffusion.errors import ModelError, ModelFormatError, ModelNotFoundError, SettingsError
from tests.diffusion.checkpoints.small_folder import (
    JSON_FILES,
    WEIGHT_FILES,
    edit_json,
    load,
    random_tensors,
    write_folder,
    write_json,
)

PARTS = ("unet", "vae", "text_encoder")
BUNDLED = Path(__file__).parents[3] / "models" / "emoji"
UNET_FILE = WEIGHT_FILES["unet"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_folder(tmp_path / "model")


# ---------------------------------------------------------------- sound folders


def test_bundled_model() -> None:
    model = ModelFolder(BUNDLED)
    assert model.unet.in_channels == model.vae.latent_channels == 4
    assert model.unet.cross_attention_dim == model.text_encoders["text_encoder"].hidden_size
    assert (model.tokenizers["text_encoder"] / "merges.txt").is_file()
    assert not model.is_xl
    for part in PARTS:
        weights = model.weights(part)  # type: ignore[arg-type]
        assert len(weights.entries) > 40
        name = next(iter(weights.entries))
        assert weights.read(name).shape == weights.entries[name].shape


def test_sd15_as_old_tools_wrote_it(folder: Path) -> None:
    model = ModelFolder(folder)
    assert model.unet.heads == (8, 8, 8, 8)
    assert model.unet.time_embed_dim == 1280
    assert not model.unet.use_linear_projection
    assert model.unet.down_block_types[-1] == "DownBlock2D"
    assert model.vae.scaling_factor == 0.18215
    assert model.vae.downscale == 8
    assert model.text_encoders["text_encoder"].hidden_act == "quick_gelu"
    assert model.scheduler.prediction_type == "epsilon"
    assert model.scheduler.timestep_spacing == "leading"
    assert not model.scheduler.set_alpha_to_one


def test_sd21(folder: Path) -> None:
    edit_json(
        folder,
        "unet/config.json",
        attention_head_dim=[5, 10, 20, 20],
        cross_attention_dim=1024,
        use_linear_projection=True,
        upcast_attention=None,
        dual_cross_attention=False,
        num_class_embeds=None,
        only_cross_attention=False,
    )
    edit_json(
        folder, "text_encoder/config.json", hidden_size=1024, hidden_act="gelu",
        num_attention_heads=16, num_hidden_layers=23,
    )  # fmt: skip
    edit_json(
        folder,
        "scheduler/scheduler_config.json",
        _class_name="DPMSolverMultistepScheduler",
        prediction_type="v_prediction",
        algorithm_type="dpmsolver++",
        # json.dumps writes the word -Infinity, as diffusers does.
        lambda_min_clipped=-float("inf"),
    )
    model = ModelFolder(folder)
    assert model.unet.heads == (5, 10, 20, 20)
    assert model.unet.use_linear_projection
    assert model.scheduler.prediction_type == "v_prediction"
    assert model.scheduler.timestep_spacing == "linspace"


def test_configs_are_values(folder: Path) -> None:
    first, second = ModelFolder(folder).unet, ModelFolder(folder).unet
    assert first == second
    assert hash(first) == hash(second)
    assert replace(first, heads=(4, 4, 4, 4)) != first


def test_every_key_of_the_current_versions_is_known() -> None:
    """The bundled folder is written by a current version, all options in it."""
    config = json.loads((BUNDLED / "unet/config.json").read_text(encoding="utf-8"))
    assert len(config) >= 50
    assert ModelFolder(BUNDLED).unet.block_out_channels == tuple(config["block_out_channels"])


# ---------------------------------------------------------------- weights


@pytest.mark.parametrize("prefix", ["", "text_model."])
def test_both_spellings_of_the_text_encoder(prefix: str, folder: Path) -> None:
    file = folder / "text_encoder" / "model.safetensors"
    stored = random_tensors(f"{prefix}final_layer_norm.weight", f"{prefix}embeddings.position_ids")
    save_safetensors(file, stored)
    weights = ModelFolder(folder).weights("text_encoder")
    assert set(weights.entries) == {
        "text_model.final_layer_norm.weight",
        "text_model.embeddings.position_ids",
    }
    found = weights.read("text_model.final_layer_norm.weight")
    assert np.array_equal(found, stored[f"{prefix}final_layer_norm.weight"])
    weights.check({"text_model.final_layer_norm.weight": (4,)})


def test_one_tensor_under_two_spellings(folder: Path) -> None:
    both = random_tensors("text_model.encoder.a", "encoder.a")
    save_safetensors(folder / "text_encoder" / "model.safetensors", both)
    with pytest.raises(ModelFormatError, match="once, got it under two spellings"):
        ModelFolder(folder).weights("text_encoder")


def test_old_names_of_the_vae_attention(folder: Path) -> None:
    start = "decoder.mid_block.attentions.0."
    old = {"query": "to_q", "key": "to_k", "value": "to_v", "proj_attn": "to_out.0"}
    stored = random_tensors(
        *(f"{start}{name}.{kind}" for name in old for kind in ("weight", "bias"))
    )
    stored |= random_tensors(f"{start}group_norm.weight", "decoder.conv_in.weight")
    save_safetensors(folder / "vae" / WEIGHT_FILES["vae"], stored)
    weights = ModelFolder(folder).weights("vae")
    for name, new in old.items():
        assert np.array_equal(weights.read(f"{start}{new}.bias"), stored[f"{start}{name}.bias"])
    assert {f"{start}group_norm.weight", "decoder.conv_in.weight"} < set(weights.entries)
    assert len(weights.entries) == len(stored)


def test_a_variant_is_taken_by_name_or_for_want_of_another(folder: Path) -> None:
    plain = folder / "unet" / UNET_FILE
    half = folder / "unet" / "diffusion_pytorch_model.fp16.safetensors"
    save_safetensors(half, random_tensors("half"))
    assert set(ModelFolder(folder).weights("unet").entries) == {"a.weight", "a.bias"}
    assert set(ModelFolder(folder, variant="fp16").weights("unet").entries) == {"half"}
    with pytest.raises(ModelNotFoundError, match=r"diffusion_pytorch_model\.fp16\.safetensors"):
        ModelFolder(folder, variant="fp16").weights("vae")
    plain.unlink()
    assert set(ModelFolder(folder).weights("unet").entries) == {"half"}
    with pytest.raises(SettingsError, match="variant"):
        ModelFolder(folder, variant="../x")


def split_unet_weights(folder: Path, index: str = f"{UNET_FILE}.index.json") -> dict[str, str]:
    """Replace the UNet's weights by two files and an index."""
    (folder / "unet" / UNET_FILE).unlink()
    places = {}
    for number, name in enumerate(("a.weight", "b.weight"), 1):
        shard = f"diffusion_pytorch_model-0000{number}-of-00002.safetensors"
        save_safetensors(folder / "unet" / shard, random_tensors(name))
        places[name] = shard
    write_json(folder / "unet" / index, {"metadata": {"total_size": 16}, "weight_map": places})
    return places


@pytest.mark.parametrize(
    "index", [f"{UNET_FILE}.index.json", f"{UNET_FILE}.index.fp16.json"], ids=["plain", "fp16"]
)
def test_weights_in_several_files(index: str, folder: Path) -> None:
    places = split_unet_weights(folder, index)
    weights = ModelFolder(folder).weights("unet")
    assert set(weights.entries) == set(places)
    for name, shard in places.items():
        stored = open_safetensors(folder / "unet" / shard).read(name)
        assert np.array_equal(weights.read(name), stored)


@pytest.mark.parametrize(
    "name",
    [
        "../vae/diffusion_pytorch_model.safetensors",
        "..\\vae\\diffusion_pytorch_model.safetensors",
        "/etc/passwd.safetensors",
        "C:x.safetensors",
        "..safetensors",
        "a\0.safetensors",
        "\x9b31m.safetensors",
        "a\u202e.safetensors",
        "\ud800.safetensors",
        "sub/a.safetensors",
        "passwd",
        "x" * 300 + ".safetensors",
        7,
        None,
        ["a.safetensors"],
    ],
)
def test_an_index_leads_nowhere_else(name: object, folder: Path) -> None:
    places = split_unet_weights(folder)
    write_json(folder / "unet" / f"{UNET_FILE}.index.json", {"weight_map": places | {"c": name}})
    with pytest.raises(
        ModelFormatError,
        match=r"must name (files in the index's own folder|\.safetensors files), got",
    ) as caught:
        ModelFolder(folder).weights("unet")
    assert caught.value.field == "weight_map"
    assert str(caught.value).isprintable()


def test_index_and_files_must_agree(folder: Path) -> None:
    places = split_unet_weights(folder)
    index = folder / "unet" / f"{UNET_FILE}.index.json"
    for wrong in (places | {"c.weight": places["a.weight"]}, {"a.weight": places["b.weight"]}):
        write_json(index, {"weight_map": wrong})
        with pytest.raises(
            ModelFormatError, match=r"must have the tensors that \S+ lists; they differ in"
        ):
            ModelFolder(folder).weights("unet")
    write_json(index, {"weight_map": places | {"c.weight": "absent.safetensors"}})
    with pytest.raises(ModelNotFoundError, match=r"absent\.safetensors"):
        ModelFolder(folder).weights("unet")
    write_json(index, {"weight_map": {f"t{n}": f"{n}.safetensors" for n in range(257)}})
    with pytest.raises(ModelFormatError, match="must name at most 256 files, got 257"):
        ModelFolder(folder).weights("unet")
    nothing: list[object] = [{}, {"weight_map": {}}, {"weight_map": [1]}]
    for empty in nothing:
        write_json(index, empty)
        with pytest.raises(ModelFormatError, match="weight_map: must be an object with entries"):
            ModelFolder(folder).weights("unet")


# ---------------------------------------------------------------- missing pieces


@pytest.mark.parametrize(
    "name", [*JSON_FILES, *(f"{p}/{f}" for p, f in WEIGHT_FILES.items()), "tokenizer/vocab.json",
             "tokenizer/merges.txt"]
)  # fmt: skip
def test_missing_file(name: str, folder: Path) -> None:
    (folder / name).unlink()
    with pytest.raises(ModelNotFoundError) as caught:
        load(folder)
    assert Path(caught.value.path) == folder / name
    assert caught.value.hint


@pytest.mark.parametrize("part", ["unet", "vae", "text_encoder", "tokenizer", "scheduler"])
def test_missing_part(part: str, folder: Path) -> None:
    (folder / part).rename(folder / "elsewhere")
    with pytest.raises(ModelNotFoundError, match=part):
        load(folder)


def test_no_folder(tmp_path: Path) -> None:
    for path in (tmp_path / "none", tmp_path / "nul\0"):
        with pytest.raises(ModelNotFoundError, match="no such model folder"):
            ModelFolder(path)
    with pytest.raises(ModelFormatError, match="cannot be read"):
        ModelFolder(tmp_path / ("x" * 5000))
    save_safetensors(tmp_path / "one.safetensors", random_tensors("a"))
    with pytest.raises(ModelFormatError, match="must be a folder, got a single file"):
        ModelFolder(tmp_path / "one.safetensors")
    with pytest.raises(ModelNotFoundError, match="has one at its top"):
        ModelFolder(tmp_path)


def test_other_weights_are_named(folder: Path) -> None:
    (folder / "unet" / UNET_FILE).rename(folder / "unet" / "other.safetensors")
    with pytest.raises(ModelNotFoundError, match=r"the folder has 'other\.safetensors'"):
        load(folder)


# ---------------------------------------------------------------- damaged JSON


@pytest.mark.parametrize("name", JSON_FILES)
@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "must be valid JSON"),
        (b'{"a": 1', "must be valid JSON"),
        (b"[1, 2]", "must be a JSON object"),
        (b"null", "must be a JSON object"),
        (b'{"a": 1, "a": 2}', "the key 'a' must be unique, got it twice"),
        (b'{"a": "\xff"}', "must be UTF-8 text"),
        (b"\xef\xbb\xbf{}", "must be valid JSON"),
        (b'{"a": ' + b"[" * 20 + b"]" * 20 + b"}", "must nest at most 16 levels deep"),
        (b'{"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "must nest at most 16 levels deep"),
        (b'{"a": ' + b"9" * 5000 + b"}", "must be valid JSON"),
        (b'{"a": "' + b"x" * 2**20 + b'"}', "must be at most 1048576 bytes, got more"),
        (b"<!doctype html><html>", "this is a web page"),
        (b"version https://git-lfs.github.com/spec/v1\n", "git-LFS pointer"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_damaged_json(name: str, content: bytes, reason: str, folder: Path) -> None:
    (folder / name).write_bytes(content)
    with pytest.raises(ModelFormatError, match=reason) as caught:
        load(folder)
    assert Path(caught.value.file) == folder / name
    assert str(caught.value).isprintable()
    assert len(caught.value.reason) < 300


# ---------------------------------------------------------------- hostile and unsupported configs

HOSTILE: list[tuple[str, str, object]] = [
    ("unet/config.json", "block_out_channels", [10**9, 640, 1280, 1280]),
    ("unet/config.json", "block_out_channels", []),
    ("unet/config.json", "block_out_channels", [32] * 1000),
    ("unet/config.json", "block_out_channels", "320"),
    ("unet/config.json", "block_out_channels", [320.0, 640, 1280, 1280]),
    ("unet/config.json", "block_out_channels", [True, 640, 1280, 1280]),
    ("unet/config.json", "layers_per_block", 10**9),
    ("unet/config.json", "layers_per_block", 0),
    ("unet/config.json", "layers_per_block", -1),
    ("unet/config.json", "layers_per_block", 128),
    ("unet/config.json", "attention_head_dim", 7),
    ("unet/config.json", "attention_head_dim", [8, 8]),
    ("unet/config.json", "attention_head_dim", 0),
    ("unet/config.json", "norm_num_groups", 33),
    ("unet/config.json", "norm_num_groups", None),
    ("unet/config.json", "norm_eps", float("nan")),
    ("unet/config.json", "norm_eps", float("inf")),
    ("unet/config.json", "norm_eps", -1e-5),
    ("unet/config.json", "norm_eps", "1e-5"),
    ("unet/config.json", "norm_eps", 0),
    ("unet/config.json", "sample_size", ...),
    ("unet/config.json", "sample_size", 10**12),
    ("unet/config.json", "use_linear_projection", 1),
    ("unet/config.json", "use_linear_projection", "false"),
    ("unet/config.json", "flip_sin_to_cos", None),
    ("unet/config.json", "down_block_types", ["AttnDownBlock2D"] * 4),
    ("unet/config.json", "down_block_types", ["DownBlock2D"] * 3),
    ("unet/config.json", "up_block_types", {"a": 1}),
    ("unet/config.json", "mid_block_type", "UNetMidBlock2DSimpleCrossAttn"),
    ("unet/config.json", "act_fn", "mish"),
    ("unet/config.json", "class_embed_type", "timestep"),
    ("unet/config.json", "dual_cross_attention", True),
    ("unet/config.json", "addition_embed_type", "text_image"),
    ("unet/config.json", "addition_time_embed_dim", 256),
    ("unet/config.json", "projection_class_embeddings_input_dim", 2816),
    ("unet/config.json", "time_cond_proj_dim", 10**9),
    ("unet/config.json", "time_cond_proj_dim", "256"),
    ("unet/config.json", "transformer_layers_per_block", [1, 2, 10]),
    ("unet/config.json", "transformer_layers_per_block", [1, 2, 10, 10**9]),
    ("unet/config.json", "transformer_layers_per_block", [1, 2, [1, 1, 1], 1]),
    ("unet/config.json", "transformer_layers_per_block", [1, 2, [], 1]),
    ("unet/config.json", "transformer_layers_per_block", [1, 2, [[1], 1], 1]),
    ("unet/config.json", "reverse_transformer_layers_per_block", [1, 1, [1, 1], 1]),
    ("unet/config.json", "layers_per_block", [2, 2]),
    ("unet/config.json", "only_cross_attention", 1),
    ("unet/config.json", "only_cross_attention", [True, False]),
    ("unet/config.json", "cross_attention_dim", [768, 768, 768, 1024]),
    ("unet/config.json", "mid_block_type", 1),
    ("unet/config.json", "num_attention_heads", 8),
    ("unet/config.json", "conv_in_kernel", 1),
    ("unet/config.json", "in_channels", 3),
    ("unet/config.json", "out_channels", 8),
    ("unet/config.json", "cross_attention_dim", 1024),
    ("unet/config.json", "_class_name", "UNet3DConditionModel"),
    ("unet/config.json", "brand_new_option", True),
    ("unet/config.json", "\x1b[31mred", True),
    ("vae/config.json", "block_out_channels", [128, 10**9]),
    ("vae/config.json", "latent_channels", 16),
    ("vae/config.json", "scaling_factor", 0),
    ("vae/config.json", "scaling_factor", 10**400),
    ("vae/config.json", "shift_factor", 0.1),
    ("vae/config.json", "use_quant_conv", False),
    ("vae/config.json", "down_block_types", ["DownEncoderBlock2D"] * 3),
    ("vae/config.json", "norm_num_groups", 3),
    ("text_encoder/config.json", "vocab_size", 10**9),
    ("text_encoder/config.json", "hidden_size", 10**9),
    ("text_encoder/config.json", "num_attention_heads", 5),
    ("text_encoder/config.json", "num_hidden_layers", 10**6),
    ("text_encoder/config.json", "max_position_embeddings", 10**6),
    ("text_encoder/config.json", "hidden_act", "relu"),
    ("text_encoder/config.json", "model_type", "t5"),
    ("text_encoder/config.json", "pruned_heads", {"0": [1]}),
    ("scheduler/scheduler_config.json", "beta_start", float("nan")),
    ("scheduler/scheduler_config.json", "beta_start", ...),
    ("scheduler/scheduler_config.json", "beta_end", 0.0001),
    ("scheduler/scheduler_config.json", "beta_schedule", "squaredcos_cap_v2"),
    ("scheduler/scheduler_config.json", "num_train_timesteps", 10**9),
    ("scheduler/scheduler_config.json", "prediction_type", "flow_prediction"),
    ("scheduler/scheduler_config.json", "rescale_betas_zero_snr", "yes"),
    ("scheduler/scheduler_config.json", "trained_betas", [0.1]),
    ("scheduler/scheduler_config.json", "shift", 3.0),
    ("model_index.json", "_class_name", "StableDiffusionXLPipeline"),
    ("model_index.json", "_class_name", ...),
    ("model_index.json", "unet", ["diffusers", "UNet3DConditionModel"]),
    ("model_index.json", "text_encoder", ["transformers", "CLIPTextModelWithProjection"]),
    ("model_index.json", "tokenizer", {"a": [1]}),
    ("model_index.json", "text_encoder", [None, None]),
    ("model_index.json", "text_encoder_2", ["transformers", "CLIPTextModel"]),
    ("model_index.json", "force_zeros_for_empty_prompt", "true"),
]


@pytest.mark.parametrize(("file", "key", "value"), HOSTILE)
def test_hostile_config(file: str, key: str, value: object, folder: Path) -> None:
    edit_json(folder, file, **{key: value})
    tracemalloc.start()
    try:
        with pytest.raises(ModelFormatError) as caught:
            ModelFolder(folder)
        assert tracemalloc.get_traced_memory()[1] < 4 * 2**20, "nothing is sized from it"
    finally:
        tracemalloc.stop()
    error = caught.value
    # A width that does not fit its neighbours is reported where the two meet.
    where = "in_channels" if (file, key) == ("vae/config.json", "latent_channels") else key
    assert error.field.strip("'") in (where, where.replace("\x1b", "\\x1b"))
    assert error.hint
    assert str(error).isprintable()


def test_notes_and_unused_parts_are_no_matter(folder: Path) -> None:
    edit_json(folder, "unet/config.json", _any_note=[1, {"a": 2}])
    unused = {"safety_checker": ["x", "Y"], "image_encoder": ["x", "Z"]}
    off = {"new_part": [None, None], "new_option": False, "other_option": None, "dtype": "f16"}
    edit_json(folder, "model_index.json", **unused, **off)
    opened = ModelFolder(folder)
    assert opened.unet.in_channels == 4
    assert opened.notes() == {}
    edit_json(folder, "unet/config.json", decay=0.9999, dtype="float16")
    edit_json(folder, "scheduler/scheduler_config.json", torch_dtype="float16")
    assert ModelFolder(folder).notes() == {
        "unet/config.json": ["decay", "dtype"],
        "scheduler/scheduler_config.json": ["torch_dtype"],
    }


@pytest.mark.parametrize("value", [["x", "Y"], "text", 1, 0, True, ["x"], {"a": 1}])
def test_an_unknown_part_is_refused(value: object, folder: Path) -> None:
    edit_json(folder, "model_index.json", brand_new=value)
    with pytest.raises(ModelFormatError, match="'brand_new': must be a known part"):
        ModelFolder(folder)


def test_a_vast_tokenizer_is_refused(folder: Path) -> None:
    with (folder / "tokenizer" / "vocab.json").open("wb") as file:
        file.truncate(2**22 + 1)
    with pytest.raises(ModelError, match="must be at most 4194304 bytes, got 4194305"):
        ModelFolder(folder)


def test_names_of_pickles_are_shown_escaped(folder: Path) -> None:
    """The one place where a name that the folder chose is told."""
    for file in (folder / "vae").glob("*.safetensors"):
        file.unlink()
    (folder / "vae" / "\x1b[31m\n.bin").touch()
    with pytest.raises(
        ModelFormatError, match="must be safetensors, got a Python pickle"
    ) as caught:
        ModelFolder(folder).weights("vae")
    assert str(caught.value).isprintable()
