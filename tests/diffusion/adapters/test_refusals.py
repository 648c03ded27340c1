"""Files that are refused: other families, unknown names, wrong ranks, hostile numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from diffusion.adapters import AdaptedModel, AdaptedPart, MergedAdapter, Merger, open_adapter
from diffusion.errors import ModelFormatError, ModelMismatchError
from gpucore import Device, f32
from tests.diffusion.golden_families import networks

MODULE = "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn2_to_k"
WIDTHS = (16, 40)
"""Outputs and inputs of that module in the golden SD 2.x."""


def tensors(module: str = MODULE, **changes: Any) -> dict[str, Any]:
    """Return a sound adapter of one module, with other tensors in place of some."""
    outputs, inputs = WIDTHS
    found = {
        "lora_up.weight": np.ones((outputs, 2), np.float32),
        "lora_down.weight": np.ones((2, inputs), np.float32),
        "alpha": np.array(2, np.float32),
    } | {f"lora_{key}.weight" if key != "alpha" else key: value for key, value in changes.items()}
    return {f"{module}.{key}": np.asarray(value) for key, value in found.items()}


@pytest.fixture
def model(device: Device) -> AdaptedModel:
    nets = networks(device, "sd2")
    return AdaptedModel.of({"unet": nets.unet}, nets.folder.unet)


def save(path: Path, content: dict[str, Any]) -> Path:
    save_file(content, path / "a.safetensors")
    return path / "a.safetensors"


def test_a_sound_file_is_opened(model: AdaptedModel, tmp_path: Path) -> None:
    adapter = open_adapter(save(tmp_path, tensors()), model)
    assert adapter.kinds == {"LoRA"}
    assert [each.part for each in adapter.changes] == ["unet"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"down": np.ones((3, 40), np.float32)}, "wrong shape"),
        ({"up": np.ones((17, 2), np.float32)}, "wrong shape"),
        ({"down": np.ones((0, 40), np.float32)}, "wrong shape"),
        ({"down": np.ones((2, 40), np.int32)}, "wrong type"),
        ({"alpha": np.ones(2, np.float32)}, "wrong shape"),
        ({"mid": np.ones((2, 2, 3, 3), np.float32)}, "wrong shape"),
    ],
)
def test_wrong_shapes_are_named(
    model: AdaptedModel, tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(ModelMismatchError, match=f"{message}.*attn2_to_k"):
        open_adapter(save(tmp_path, tensors(**changes)), model)


@pytest.mark.parametrize(
    "triangles",
    [
        np.ones((10, 5)),  # no triangle has 5 elements
        np.ones((10, 3)),  # blocks of 3 do not divide 40 inputs
        np.ones((9, 6)),  # 40 inputs have 10 blocks of 4
        np.ones((0, 6)),
        np.ones((10, 0)),
        np.ones(6),
    ],
)
def test_rotations_of_inputs_must_fit_the_inputs(
    model: AdaptedModel, tmp_path: Path, triangles: Any
) -> None:
    content = {f"{MODULE}.oft_R.weight": triangles.astype(np.float32)}
    with pytest.raises(ModelMismatchError, match=r"wrong shape.*attn2_to_k"):
        open_adapter(save(tmp_path, content), model)


@pytest.mark.parametrize(
    ("width", "family"), [(768, "1.x"), (2048, "XL"), (1280, "XL refiner"), (99, "another family")]
)
def test_other_families_are_named(
    model: AdaptedModel, tmp_path: Path, width: int, family: str
) -> None:
    path = save(tmp_path, tensors(down=np.ones((2, width), np.float32)))
    with pytest.raises(ModelMismatchError, match=rf"it was made for .*{family}"):
        open_adapter(path, model)


def test_five_unknown_names_are_told_and_counted(model: AdaptedModel, tmp_path: Path) -> None:
    content: dict[str, Any] = {}
    for number in range(4):
        content |= tensors(f"lora_unet_nowhere_{number}")
    with pytest.raises(ModelMismatchError, match=r"has unknown .* and 7 more") as caught:
        open_adapter(save(tmp_path, content), model)
    assert len(caught.value.extra) == 12


def test_incomplete_and_mixed_modules_are_refused(model: AdaptedModel, tmp_path: Path) -> None:
    content = tensors()
    del content[f"{MODULE}.lora_up.weight"]
    with pytest.raises(ModelFormatError, match="one kind of adapter, complete"):
        open_adapter(save(tmp_path, content), model)
    content = tensors() | {f"{MODULE}.hada_w1_a": np.ones((2, 2), np.float32)}
    with pytest.raises(ModelFormatError, match="one kind of adapter, complete"):
        open_adapter(save(tmp_path, content), model)
    with pytest.raises(ModelFormatError, match="must have tensors"):
        open_adapter(save(tmp_path, {}), model)


def test_a_module_in_two_spellings_is_refused(model: AdaptedModel, tmp_path: Path) -> None:
    dotted = "unet.down_blocks.0.attentions.0.transformer_blocks.0.attn2.to_k"
    with pytest.raises(ModelFormatError, match="must be there once"):
        open_adapter(save(tmp_path, tensors() | tensors(dotted)), model)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"alpha": np.array(np.nan, np.float32)}, "must be finite"),
        ({"alpha": np.array(1e38, np.float32)}, "a factor of at most"),
        ({"up": np.full((16, 2), np.inf, np.float32)}, "must be finite"),
        ({"up": np.full((16, 2), 1e300)}, "must be finite"),
        ({"up": np.full((16, 2), 3e38, np.float32)}, "weights infinite or NaN"),
    ],
)
def test_numbers_that_are_not_finite_leave_the_model_as_it_was(
    device: Device, model: AdaptedModel, tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    nets = networks(device, "sd2")
    merger = Merger(device, {"unet": AdaptedPart(nets.unet, nets.folder.weights("unet"), f32)})
    layer = nets.unet.down_blocks[0].attentions[0].transformer_blocks[0].attn2.to_k
    before = layer.weight.buffer.read()
    sound = open_adapter(save(tmp_path, tensors()), model)
    merger.merge([MergedAdapter(sound, 1.0, 1.0)])
    assert not np.array_equal(layer.weight.buffer.read(), before)
    hostile = tmp_path / "hostile"
    hostile.mkdir()
    adapter = open_adapter(save(hostile, tensors(**changes)), model)
    with pytest.raises(ModelFormatError, match=message):
        merger.merge([MergedAdapter(adapter, 1.0, 1.0)])
    np.testing.assert_array_equal(layer.weight.buffer.read(), before)


@pytest.mark.parametrize(
    "notes",
    [
        "[",
        "[1]",
        '{"lora_alpha": NaN}',
        '{"unet.lora_alpha": "x"}',
        '{"unet.lora_alpha": 1, "unet.alpha_pattern": {"(a+)+": 2}}',
        '{"unet.lora_alpha": 1, "unet.alpha_pattern": {"to_q": Infinity}}',
        '{"unet.lora_alpha": 1, "unet.alpha_pattern": [1]}',
    ],
)
def test_alphas_in_notes_are_names_and_finite_numbers(
    model: AdaptedModel, tmp_path: Path, notes: str
) -> None:
    path = tmp_path / "a.safetensors"
    save_file(tensors(), path, metadata={"lora_adapter_metadata": notes})
    with pytest.raises(ModelFormatError, match=r"lora_adapter_metadata.* must be JSON"):
        open_adapter(path, model)


@pytest.mark.parametrize(
    ("name", "title"),
    [
        ("lora_unet_double_blocks_0_img_attn_proj.lora_down.weight", "an adapter for Flux"),
        ("transformer.single_transformer_blocks.0.attn.to_k.lora_A.weight", "an adapter for Flux"),
        ("transformer.transformer_blocks.0.attn.to_k.lora_A.weight", "SD 3 or Flux"),
        ("lora_te3_encoder_block_0_layer_0_k.lora_up.weight", "SD 3 or Flux"),
        ("lora_prior_unet_down_blocks_0_0_x.lora_down.weight", "Stable Cascade"),
        ("diffusion_model.blocks.0.self_attn.q.lora_A.weight", "an adapter for another model"),
        (f"{MODULE}.reshape_weight", "enlarges layers"),
        (f"{MODULE}.bias_indices", "sparse biases"),
        ("emb_params", "--embedding"),
        ("clip_l", "--embedding"),
        ("control_model.zero_convs.0.0.weight", "--control-model"),
        ("controlnet_down_blocks.0.weight", "--control-model"),
        ("image_proj.proj.weight", "--ip-adapter"),
        ("down_blocks.0.motion_modules.0.temporal_transformer.proj_in.weight", "AnimateDiff"),
        ("320.0.linear1.weight", "a hypernetwork"),
        ("conv_first.weight", "an upscaler"),
        ("decoder.conv_in.weight", "a VAE"),
        ("model.diffusion_model.input_blocks.1.1.proj_in.bias", "a model"),
        ("lora_unet_x.lora_down.weight", None),
    ],
)
def test_other_kinds_of_files_are_named(
    model: AdaptedModel, tmp_path: Path, name: str, title: str | None
) -> None:
    file = save(tmp_path, tensors() | {name: np.ones((2, 2), np.float32)})
    with pytest.raises(ModelMismatchError, match="has unknown") as caught:
        open_adapter(file, model)
    assert (title or "; give a LoRA") in str(caught.value)
    assert ("; it is " in str(caught.value)) is (title is not None)
