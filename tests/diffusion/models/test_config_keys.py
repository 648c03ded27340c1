"""Keys of configs that newer tools may add: harmless ones load, ones that change results do not."""

from __future__ import annotations

from typing import Any, Final

import pytest

from diffusion.errors import ModelFormatError
from diffusion.models.config import ClipTextConfig, SchedulerConfig, TinyVaeConfig, VaeConfig
from diffusion.models.fields import noted_keys
from diffusion.models.unet_config import UNetConfig
from tests.diffusion.checkpoints.small_folder import SCHEDULER, TEXT, UNET, VAE

FILE: Final = "config.json"
# Each config's class, and a mapping that it reads.
CONFIGS: Final[dict[str, tuple[Any, dict[str, Any]]]] = {
    "unet": (UNetConfig, UNET),
    "vae": (VaeConfig, VAE),
    "tiny VAE": (TinyVaeConfig, {}),
    "text encoder": (ClipTextConfig, TEXT),
    "scheduler": (SchedulerConfig, SCHEDULER),
}


def read(name: str, **changes: object) -> object:
    """Read a config after changing keys of its file."""
    config, mapping = CONFIGS[name]
    return config.from_json(mapping | changes, FILE)


def refusal(name: str, **changes: object) -> ModelFormatError:
    """Return the error that reading a changed config raises."""
    with pytest.raises(ModelFormatError) as caught:
        read(name, **changes)
    return caught.value


@pytest.mark.parametrize("value", [None, False])
@pytest.mark.parametrize("name", CONFIGS)
def test_an_unknown_option_that_is_off_loads(name: str, value: object) -> None:
    assert read(name, brand_new_option=value) == read(name)


AVERAGING: Final = {
    "decay": 0.9999,
    "inv_gamma": 1.0,
    "min_decay": 0.0,
    "optimization_step": 37000,
    "power": 0.6666666666666666,
    "update_after_step": 0,
    "use_ema_warmup": False,
}
"""As in the config of the published SDXL inpainting UNet."""
TOOL: Final = {
    "architectures": ["UNet2DConditionModel"],
    "dtype": "float16",
    "gradient_checkpointing": True,
    "name_or_path": "a/b",
    "torch_dtype": "bfloat16",
    "transformers_version": "5.0.0",
}


@pytest.mark.parametrize("name", [name for name in CONFIGS if name != "scheduler"])
def test_the_average_of_training_changes_nothing(name: str) -> None:
    assert read(name, **AVERAGING) == read(name)
    assert read(name, **dict.fromkeys(AVERAGING, "odd")) == read(name)
    assert refusal("scheduler", power=0.5).field == "'power'"


@pytest.mark.parametrize("name", CONFIGS)
def test_notes_of_tools_change_nothing(name: str) -> None:
    assert read(name, **TOOL) == read(name)
    assert read(name, _brand_new={"note": 1}) == read(name)


def test_only_notes_are_noted() -> None:
    mapping = {"power": 1, "_note": 2, "in_channels": 4, "dtype": None, "attention_type": "x"}
    assert noted_keys(mapping) == ["power", "dtype"]


@pytest.mark.parametrize("value", [True, 1, 0.5, "a", [1], {"a": {"b": None}}])
def test_an_unknown_option_of_a_text_encoder_loads(value: object) -> None:
    assert read("text encoder", brand_new_option=value) == read("text encoder")


@pytest.mark.parametrize("value", [True, 0, 1, 0.5, "", "a", [], {"a": 1}, float("nan")])
@pytest.mark.parametrize("name", [name for name in CONFIGS if name != "text encoder"])
def test_an_unknown_option_that_is_not_off_is_refused(name: str, value: object) -> None:
    error = refusal(name, brand_new_option=value)
    assert error.field == "'brand_new_option'"
    assert "must be absent, null or false as an unknown key, got" in str(error)
    assert "this option is not supported" in str(error)
    assert "if it is a note of the tool that wrote the file, remove it" in str(error)


@pytest.mark.parametrize(
    ("name", "key", "value", "expected"),
    [
        ("text encoder", "add_cross_attention", True, "must be False, got True"),
        ("text encoder", "is_decoder", True, "must be False, got True"),
        ("text encoder", "is_encoder_decoder", 0, "must be False, got 0"),
        ("text encoder", "model_type", "t5", "must be 'clip_text_model', got 't5'"),
        ("text encoder", "position_embedding_type", "relative_key", "must be 'absolute' or None"),
        ("text encoder", "pruned_heads", {"0": [1]}, "must be {} or None, got {'0': [1]}"),
        ("text encoder", "quantization_config", {"bits": 4}, "must be None, got {'bits': 4}"),
        ("text encoder", "rope_parameters", {"rope_theta": 1e4}, "must be None, got"),
        ("text encoder", "rope_scaling", {"factor": 2.0}, "must be None, got"),
        ("text encoder", "sliding_window", 16, "must be None, got 16"),
        ("text encoder", "hidden_act", "relu", "must be quick_gelu or gelu, got 'relu'"),
        ("unet", "act_fn", "mish", "must be 'silu' or 'swish', got 'mish'"),
        ("unet", "attention_type", "gated", "must be 'default', got 'gated'"),
        ("unet", "dual_cross_attention", True, "must be False, got True"),
        ("vae", "mid_block_add_attention", False, "must be True, got False"),
        ("vae", "latents_mean", [0.5], "must be None, got [0.5]"),
        ("tiny VAE", "upsample_fn", "bilinear", "must be 'nearest', got 'bilinear'"),
        ("scheduler", "thresholding", True, "must be False, got True"),
        ("scheduler", "trained_betas", [0.1], "must be None, got [0.1]"),
    ],
)
def test_an_option_that_changes_the_result_is_refused(
    name: str, key: str, value: object, expected: str
) -> None:
    error = refusal(name, **{key: value})
    assert error.field == key
    assert expected in error.reason
    assert "this option is not supported; use a Stable Diffusion" in error.hint


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("layer_norm_eps", float("nan"), "must be a number from 1e-12 to 1, got nan"),
        ("layer_norm_eps", float("inf"), "must be a number from 1e-12 to 1, got inf"),
        ("layer_norm_eps", 10**400, "must be a number from 1e-12 to 1, got 1000"),
        ("layer_norm_eps", "1e-5", "must be a number from 1e-12 to 1, got '1e-5'"),
        ("layer_norm_eps", True, "must be a number from 1e-12 to 1, got True"),
        ("hidden_size", 768.0, "must be a whole number from 1 to 16384, got 768.0"),
        ("hidden_size", True, "must be a whole number from 1 to 16384, got True"),
        ("hidden_size", None, "must be a whole number from 1 to 16384, got None"),
        ("hidden_size", 2**64, "must be a whole number from 1 to 16384, got 18446744073709551616"),
        ("hidden_size", [[[[768]]]], "must be a whole number from 1 to 16384, got [[[[768]]]]"),
        ("hidden_size", {"a": 768}, "must be a whole number from 1 to 16384, got {'a': 768}"),
        ("num_attention_heads", 5, "must divide 768 channels, got 5"),
    ],
)
def test_hostile_values_of_a_text_encoder(key: str, value: object, expected: str) -> None:
    error = refusal("text encoder", **{key: value})
    assert error.field == key
    assert expected in error.reason
    assert str(error).isprintable()
    assert len(str(error)) < 300


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("block_out_channels", [], "must have 1 to 8 entries, got 0"),
        ("layers_per_block", [2, 2], "must be a list of 4, one for each level, got [2, 2]"),
        ("down_block_types", "DownBlock2D", "must be a list of 4, one for each level"),
        ("attention_head_dim", 7, "must divide [320, 640, 1280, 1280] channels, got [7, 7, 7, 7]"),
        ("norm_num_groups", 33, "must divide each of [320, 640, 1280, 1280] channels, got 33"),
        ("layers_per_block", 128, "must make at most 1024 blocks with the transformers, got"),
        ("use_linear_projection", 1, "must be true or false, got 1"),
        ("only_cross_attention", [True, 0, True, True], "must be true or false, got 0"),
    ],
)
def test_hostile_values_of_a_unet(key: str, value: object, expected: str) -> None:
    error = refusal("unet", **{key: value})
    assert error.field == key
    assert expected in error.reason
