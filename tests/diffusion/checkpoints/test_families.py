"""Folders of SD 2.x, SDXL, its refiner and others: how families are recognised, what must fit."""

from __future__ import annotations

from pathlib import Path

import pytest

from diffusion.checkpoints import ModelFolder
from diffusion.errors import ModelError, ModelFormatError, ModelNotFoundError
from diffusion.models.unet_config import UNetConfig
from tests.diffusion.checkpoints.small_folder import edit_json
from tests.goldens import family_folders
from tests.goldens.family_folders import write_family


def unet_config(model: str, **changes: object) -> UNetConfig:
    config = family_folders.config(model, "unet") | changes
    return UNetConfig.from_json(config, Path("unet/config.json"))


def test_sd2(tmp_path: Path) -> None:
    model = ModelFolder(write_family(tmp_path, "sd2"))
    assert list(model.text_encoders) == ["text_encoder"]
    assert not model.is_xl
    assert not model.zeros_for_empty_prompt
    assert model.scheduler.prediction_type == "v_prediction"
    assert model.unet.down_depths == ((1, 1), (1, 1))
    assert model.unet.up_depths == ((1, 1, 1), (1, 1, 1))


def test_xl_base(tmp_path: Path) -> None:
    model = ModelFolder(write_family(tmp_path, "xl_base"))
    assert list(model.text_encoders) == ["text_encoder", "text_encoder_2"]
    assert model.is_xl
    assert model.zeros_for_empty_prompt
    assert not model.asks_for_score
    assert model.unet.down_depths == ((1,), (2,), (3,))
    assert model.unet.up_depths == ((1, 1), (2, 2), (3, 3))
    assert model.unet.mid_depth == 3
    assert model.vae.scaling_factor == 0.13025


def test_xl_refiner(tmp_path: Path) -> None:
    model = ModelFolder(write_family(tmp_path, "xl_refiner"))
    assert list(model.text_encoders) == ["text_encoder_2"]
    assert model.asks_for_score
    assert not model.zeros_for_empty_prompt


def test_depths_within_a_level() -> None:
    config = unet_config("asymmetric")
    assert config.layers_per_block == (1, 2, 2)
    assert config.down_depths == ((0,), (2, 1), (1, 3))
    assert config.up_depths == ((1, 1), (2, 1, 1), (2, 1, 3))
    assert config.mid_depth == 0
    assert config.only_cross_attention == (False, True, False)
    assert unet_config("asymmetric", mid_block_type="UNetMidBlock2DCrossAttn").mid_depth == 1
    with pytest.raises(ModelFormatError, match="reverse_transformer_layers_per_block: is missing"):
        unet_config("asymmetric", reverse_transformer_layers_per_block=None)


@pytest.mark.parametrize(
    "pipeline", ["StableDiffusionXLImg2ImgPipeline", "StableDiffusionXLInpaintPipeline"]
)
def test_other_pipelines_of_a_family(pipeline: str, tmp_path: Path) -> None:
    edit_json(write_family(tmp_path, "xl_base"), "model_index.json", _class_name=pipeline)
    assert ModelFolder(tmp_path).is_xl


@pytest.mark.parametrize(
    ("model", "file", "key", "value"),
    [
        ("sd2", "model_index.json", "_class_name", "StableDiffusionXLPipeline"),
        ("xl_base", "model_index.json", "_class_name", "StableDiffusionPipeline"),
        ("xl_base", "model_index.json", "text_encoder_2", [None, None]),
        ("xl_base", "unet/config.json", "addition_time_embed_dim", 16),
        ("xl_base", "unet/config.json", "addition_time_embed_dim", None),
        ("xl_base", "unet/config.json", "projection_class_embeddings_input_dim", 10**9),
        ("xl_base", "unet/config.json", "cross_attention_dim", 40),
        ("xl_base", "text_encoder_2/config.json", "projection_dim", 10**9),
        ("xl_base", "text_encoder_2/config.json", "projection_dim", 0),
    ],
)
def test_what_does_not_fit(model: str, file: str, key: str, value: object, tmp_path: Path) -> None:
    edit_json(write_family(tmp_path, model), file, **{key: value})
    with pytest.raises(ModelFormatError) as caught:
        ModelFolder(tmp_path)
    assert caught.value.field in (key, "projection_class_embeddings_input_dim")
    assert caught.value.hint


def test_the_refiner_needs_a_score(tmp_path: Path) -> None:
    write_family(tmp_path, "xl_refiner")
    edit_json(tmp_path, "model_index.json", requires_aesthetics_score=False)
    with pytest.raises(ModelFormatError, match="must be 16 \\+ 48 for text and sizes"):
        ModelFolder(tmp_path)


@pytest.mark.parametrize("part", ["text_encoder_2", "tokenizer_2"])
def test_a_missing_second_part(part: str, tmp_path: Path) -> None:
    write_family(tmp_path, "xl_base")
    (tmp_path / part).rename(tmp_path / "elsewhere")
    with pytest.raises(ModelNotFoundError, match=part):
        ModelFolder(tmp_path)


def test_every_hostile_error_is_one_line(tmp_path: Path) -> None:
    write_family(tmp_path, "xl_base")
    edit_json(tmp_path, "model_index.json", _class_name="\x1b[31m\n")
    with pytest.raises(ModelError) as caught:
        ModelFolder(tmp_path)
    assert str(caught.value).isprintable()
