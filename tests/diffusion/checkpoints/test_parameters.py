"""The right format with the wrong model in it: what is missing, extra, misshapen, mistyped."""

from __future__ import annotations

from pathlib import Path

import pytest

from diffusion.checkpoints import ModelFolder, TensorEntry, check_parameters
from diffusion.checkpoints.parameter_names import model_kind
from diffusion.errors import ModelMismatchError, Shape

BUNDLED = Path(__file__).parents[3] / "models" / "emoji"
UNET = {"time_embedding.linear_1.weight": (8, 4), "time_embedding.linear_1.bias": (8,)}


def entries(shapes: dict[str, Shape], dtype: str = "F16") -> dict[str, TensorEntry]:
    return {name: TensorEntry(dtype, shape, 0, 0) for name, shape in shapes.items()}


def mismatch(expected: dict[str, Shape], found: dict[str, TensorEntry]) -> ModelMismatchError:
    with pytest.raises(ModelMismatchError) as caught:
        check_parameters(expected, found, "unet.safetensors")
    return caught.value


@pytest.mark.parametrize("dtype", ["F16", "BF16", "F32", "F64"])
def test_equal_parameters_pass(dtype: str) -> None:
    check_parameters(UNET, entries(UNET, dtype), "f")


def test_positions_of_old_files_are_ignored() -> None:
    positions = TensorEntry("I64", (1, 77), 0, 616)
    found = entries(UNET) | {"text_model.embeddings.position_ids": positions}
    check_parameters(UNET, found, "f")


def test_transposed() -> None:
    error = mismatch(UNET, entries(UNET | {"time_embedding.linear_1.weight": (4, 8)}))
    assert error.misshapen == (("time_embedding.linear_1.weight", (8, 4), (4, 8)),)
    assert "'time_embedding.linear_1.weight' is [4, 8], not [8, 4]" in str(error)
    assert "download the whole folder again" in str(error)


def test_missing_and_extra_are_both_named() -> None:
    error = mismatch(UNET, entries({"time_embedding.linear_1.weight": (8, 4), "x": (1,)}))
    assert error.missing == ("time_embedding.linear_1.bias",)
    assert error.extra == ("x",)
    assert "lacks 'time_embedding.linear_1.bias'; has unknown 'x'" in str(error)


def test_numbers_that_are_not_floating() -> None:
    error = mismatch(UNET, entries(UNET, "I8"))
    assert error.mistyped[0] == ("time_embedding.linear_1.weight", "I8")


def test_at_most_five_are_named() -> None:
    many: dict[str, Shape] = {f"layer.{index}": (1,) for index in range(40)}
    message = str(mismatch(many, {}))
    assert message.count("layer.") == 5
    assert "and 35 more" in message
    five: dict[str, Shape] = {f"layer.{index}": (1,) for index in range(5)}
    assert "more" not in str(mismatch(five, {}))


def test_names_cannot_forge_the_message() -> None:
    message = str(mismatch(UNET, entries(UNET | {"\u202eevil" + "n" * 400: (1,)})))
    assert message.isprintable()
    assert len(message) < 300


@pytest.mark.parametrize(
    ("name", "title"),
    [
        ("add_embedding.linear_1.weight", "an SDXL UNet"),
        ("lora_unet_down_blocks_0.lora_up.weight", "a LoRA"),
        ("unet.up.processor.to_q_lora.down.weight", ""),
        ("base_model.lora_A.weight", "a LoRA"),
        ("model.diffusion_model.input_blocks.0.0.weight", "a single-file checkpoint"),
        ("controlnet_cond_embedding.conv_in.weight", "a ControlNet"),
        ("emb_params", "a textual-inversion embedding"),
        ("clip_l", "a textual-inversion embedding"),
        ("vision_model.embeddings.class_embedding", "a CLIP vision encoder"),
        ("text_model.encoder.layers.0.self_attn.q_proj.weight", "a CLIP text encoder"),
        ("encoder.conv_in.weight", "a VAE"),
    ],
)
def test_the_family_is_named(name: str, title: str) -> None:
    assert model_kind([name]) == title
    if title:
        message = str(mismatch(UNET, entries({name: (1,)})))
        assert f"this looks like {title}; give a Stable Diffusion UNet" in message


def test_bundled_parts_in_each_others_places() -> None:
    folder = ModelFolder(BUNDLED)
    shapes = {
        part: {name: entry.shape for name, entry in folder.weights(part).entries.items()}
        for part in ("unet", "vae", "text_encoder")
    }
    assert [model_kind(names) for names in shapes.values()] == [
        "a Stable Diffusion UNet",
        "a VAE",
        "a CLIP text encoder",
    ]
    folder.weights("vae").check(shapes["vae"])
    with pytest.raises(ModelMismatchError, match="looks like a VAE"):
        folder.weights("vae").check(shapes["unet"])
