"""Control networks in files: their names, configs and kinds, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.numpy import save_file

from diffusion.checkpoints import ModelFolder
from diffusion.checkpoints.control import open_control, short_hash
from diffusion.checkpoints.control.derivation import derive_config
from diffusion.checkpoints.control.module_names import control_names
from diffusion.checkpoints.safetensors import TensorEntry
from diffusion.errors import ModelError, ModelFormatError, ModelMismatchError
from diffusion.models.control_config import AdapterConfig, ControlNetConfig
from diffusion.models.controlnet import ControlNet
from diffusion.models.t2i_adapter import T2IAdapter
from diffusion.models.unet_config import UNetConfig
from tests.diffusion.control.golden_controls import write_control
from tests.diffusion.session_folder import session_folder
from tests.goldens import control_cases as cases
from tests.goldens.family_folders import write_family
from tests.goldens.loader import load

Arrays = Mapping[str, NDArray[Any]]

FULL_SIZE: Mapping[str, Mapping[str, object]] = {
    "sd1": {"cross_attention_dim": 768, "attention_head_dim": 8},
    "sd2": {"cross_attention_dim": 1024, "use_linear_projection": True},
    "sdxl": {
        "cross_attention_dim": 2048,
        "use_linear_projection": True,
        "block_out_channels": [320, 640, 1280],
        "down_block_types": ["DownBlock2D", *["CrossAttnDownBlock2D"] * 2],
        "up_block_types": [*["CrossAttnUpBlock2D"] * 2, "UpBlock2D"],
        "transformer_layers_per_block": [1, 2, 10],
        "addition_embed_type": "text_time",
        "addition_time_embed_dim": 256,
        "projection_class_embeddings_input_dim": 2816,
    },
}


def full_size_unet(family: str) -> UNetConfig:
    usual: dict[str, object] = {
        "block_out_channels": [320, 640, 1280, 1280],
        "down_block_types": [*["CrossAttnDownBlock2D"] * 3, "DownBlock2D"],
        "up_block_types": ["UpBlock2D", *["CrossAttnUpBlock2D"] * 3],
        "sample_size": 64,
    }
    return UNetConfig.from_json({**usual, **FULL_SIZE[family]}, "config.json")


@pytest.fixture(scope="module")
def sd2() -> ModelFolder:
    return ModelFolder(write_family(session_folder("control-sd2"), "sd2"))


@pytest.fixture(scope="module")
def xl() -> ModelFolder:
    return ModelFolder(write_family(session_folder("control-xl"), "xl_base"))


@pytest.mark.parametrize("family", FULL_SIZE)
def test_full_size_files_hold_what_the_network_has(family: str) -> None:
    """Names as diffusers' converter gives them; the config follows from names and shapes."""
    rows = json.loads(str(load("control")[f"ldm.{family}"]))
    unet = full_size_unet(family)
    table = control_names(unet.layers_per_block, 6)
    found = {}
    for name, shape, expected in rows:
        new = table.diffusers(name)
        assert new is not None
        assert expected in (new, None)
        assert table.single(new) == name
        found[new] = tuple(shape)
    entries = {name: TensorEntry("F16", shape, 0, 0) for name, shape in found.items()}
    config = derive_config(entries, unet, Path("control.safetensors"))
    network = ControlNet(config)
    assert {name: each.shape for name, each in network.parameters()} == found
    assert config.hint_channels == (16, 32, 96, 256)
    assert not config.pools
    shuffle = derive_config(entries, unet, Path("control_v11e_sd15_shuffle.safetensors"))
    assert shuffle.pools


def single_file(path: Path, name: str, prefix: str = "control_model.") -> Path:
    """Write a golden ControlNet under the names of training code."""
    layers = cases.saved(name)["config"]["layers_per_block"]
    levels = len(cases.saved(name)["config"]["block_out_channels"])
    table = control_names([layers] * levels, 2)
    tensors = {}
    for each, array in cases.parameters(name).items():
        old = table.single(each)
        assert old is not None
        tensors[prefix + old] = array
    save_file(tensors, path)
    return path


@pytest.mark.parametrize("prefix", ["control_model.", ""])
@pytest.mark.parametrize("name", ["sd2", "xl", "small_xl"])
def test_single_files_are_their_folders(
    name: str, prefix: str, sd2: ModelFolder, xl: ModelFolder, tmp_path: Path
) -> None:
    model = sd2 if name == "sd2" else xl
    folder = open_control(write_control(tmp_path / name, name), model)
    path = tmp_path / f"{name}.safetensors"
    bare = tmp_path / "bare.safetensors"
    save_file(cases.parameters(name), bare)
    for file in (single_file(path, name, prefix), bare):
        found = open_control(file, model)
        assert isinstance(found.config, ControlNetConfig)
        assert isinstance(folder.config, ControlNetConfig)
        expected = {n: each.shape for n, each in ControlNet(folder.config).parameters()}
        assert {n: each.shape for n, each in ControlNet(found.config).parameters()} == expected
        found.weights.check(expected)
        for each in ("conv_in.weight", "controlnet_mid_block.bias"):
            np.testing.assert_array_equal(found.weights.read(each), folder.weights.read(each))


def test_adapters_of_both_layouts(sd2: ModelFolder, xl: ModelFolder, tmp_path: Path) -> None:
    for name, model in (("full", sd2), ("full_xl", xl)):
        flat = {}
        for each, array in cases.parameters(name).items():
            parts = each.removeprefix("adapter.").split(".")
            if parts[0] == "body":
                level = int(parts[1])
                number = 2 * level + (int(parts[3]) if parts[2] == "resnets" else 0)
                rest = parts[4:] if parts[2] == "resnets" else parts[2:]
                flat[".".join(["body", str(number), *rest])] = array
            else:
                flat[".".join(parts)] = array
        path = tmp_path / f"{name}.safetensors"
        save_file(flat, path)
        found = open_control(path, model)
        folder = open_control(write_control(tmp_path / name, name), model)
        assert found.config == folder.config
        assert isinstance(found.config, AdapterConfig)
        shapes = {n: each.shape for n, each in T2IAdapter(found.config).parameters()}
        found.weights.check(shapes)
        for each in shapes:
            np.testing.assert_array_equal(found.weights.read(each), folder.weights.read(each))


def test_differences_are_added_to_the_unet(sd2: ModelFolder, tmp_path: Path) -> None:
    path = single_file(tmp_path / "d.safetensors", "sd2", "")
    whole = open_control(path, sd2)
    table = control_names([2, 2], 2)
    names = [table.single(name) or "" for name in whole.weights.entries]
    tensors = dict(zip(names, map(whole.weights.read, whole.weights.entries), strict=True))
    changed = tmp_path / "changed.safetensors"
    save_file({**tensors, "difference": np.zeros(1, np.float32)}, changed)
    found, base = open_control(changed, sd2).weights, sd2.weights("unet")
    weight = found.read("conv_in.weight")
    np.testing.assert_array_equal(
        weight, whole.weights.read("conv_in.weight") + base.read("conv_in.weight")
    )
    zero = "controlnet_mid_block.weight"
    np.testing.assert_array_equal(found.read(zero), whole.weights.read(zero))


def control_lora(model: ModelFolder, rank: int = 2) -> dict[str, NDArray[Any]]:
    """Return a Control-LoRA for a golden model: factors for what the UNet has as well."""
    table, base = control_names([2, 2], 2), model.weights("unet").entries
    draw = np.random.default_rng(4).standard_normal
    tensors: dict[str, NDArray[Any]] = {"lora_controlnet": np.zeros(0, np.float32)}
    for name, array in cases.parameters("sd2").items():
        old = table.single(name) or ""
        if name in base and array.ndim > 1:
            thin = (len(array), rank, *[1] * (array.ndim - 2))
            place = old.removesuffix(".weight")
            tensors[f"{place}.up"] = draw(thin).astype(np.float32)
            tensors[f"{place}.down"] = draw((rank, *array.shape[1:])).astype(np.float32)
        else:
            tensors[old] = array
    return tensors


def test_control_loras_change_the_unet(sd2: ModelFolder, tmp_path: Path) -> None:
    tensors = control_lora(sd2)
    left_out = "input_blocks.1.0.in_layers.2"
    del tensors[f"{left_out}.up"], tensors[f"{left_out}.down"]
    save_file(tensors, tmp_path / "l.safetensors")
    found = open_control(tmp_path / "l.safetensors", sd2)
    assert isinstance(found.config, ControlNetConfig)
    found.weights.check({n: each.shape for n, each in ControlNet(found.config).parameters()})
    base, parameters = sd2.weights("unet"), cases.parameters("sd2")
    up, down = tensors["input_blocks.0.0.up"], tensors["input_blocks.0.0.down"]
    expected = base.read("conv_in.weight") + np.einsum("or,rixy->oixy", up[:, :, 0, 0], down)
    np.testing.assert_allclose(found.weights.read("conv_in.weight"), expected, rtol=1e-5, atol=1e-6)
    unchanged = "down_blocks.0.resnets.0.conv1.weight"
    np.testing.assert_array_equal(found.weights.read(unchanged), base.read(unchanged))
    for whole in ("conv_in.bias", "controlnet_mid_block.weight"):
        np.testing.assert_array_equal(found.weights.read(whole), parameters[whole])


@pytest.mark.parametrize("change", ["alone", "rank", "shape"])
def test_factors_that_do_not_belong_together_are_refused(
    change: str, sd2: ModelFolder, tmp_path: Path
) -> None:
    tensors = control_lora(sd2)
    name = "input_blocks.0.0.up"
    if change == "alone":
        del tensors[name]
    elif change == "rank":
        tensors[name] = np.zeros((16, 3, 1, 1), np.float32)
    else:
        tensors[name] = np.zeros((17, 2, 1, 1), np.float32)
    save_file(tensors, tmp_path / "l.safetensors")
    with pytest.raises(ModelError, match=r"input_blocks|conv_in"):
        check_file(tmp_path / "l.safetensors", sd2)


def check_file(path: Path, model: ModelFolder) -> None:
    """Open a ControlNet, and compare it with the network's parameters."""
    found = open_control(path, model)
    assert isinstance(found.config, ControlNetConfig)
    found.weights.check({n: each.shape for n, each in ControlNet(found.config).parameters()})


def test_networks_of_other_families_are_refused(
    sd2: ModelFolder, xl: ModelFolder, tmp_path: Path
) -> None:
    for name in ("sd2", "full"):
        with pytest.raises(ModelFormatError, match="made for this model's family"):
            open_control(write_control(tmp_path / f"{name}-folder", name), xl)
    for name in ("xl", "full_xl"):
        with pytest.raises(ModelFormatError, match="made for this model's family"):
            open_control(write_control(tmp_path / f"{name}-folder", name), sd2)
    path = single_file(tmp_path / "xl.safetensors", "xl")
    with pytest.raises(ModelFormatError, match="must be 40 as in the model, got 64"):
        open_control(path, sd2)


@pytest.mark.parametrize(
    ("tensors", "reason"),
    [
        ({"lora_unet_x.lora_up.weight": 1}, "a LoRA"),
        ({"lllite_unet_x.down.0.weight": 1}, "got 1 others: 'lllite_unet_x'"),
        ({"control_to_base_for_conv_in.weight": 1}, "needs the config.json beside it"),
        ({"x": 1}, "a file of an unknown kind"),
        ({"controlnet_mid_block.weight": 1}, "conv_in.weight"),
        ({"middle_block_out.0.weight": 1}, "conv_in.weight"),
        ({"body.0.block1.weight": 1}, "must have 4 axes"),
        ({"lora_controlnet": 1, "middle_block_out.0.weight": 1, "a.up": 1}, "both up and down"),
    ],
)
def test_other_files_are_refused(
    tensors: dict[str, int], reason: str, sd2: ModelFolder, tmp_path: Path
) -> None:
    path = tmp_path / "x.safetensors"
    save_file({name: np.zeros(size, np.float32) for name, size in tensors.items()}, path)
    with pytest.raises(ModelError, match=reason):
        open_control(path, sd2)


def test_what_is_missing_or_misshapen_is_named(sd2: ModelFolder, tmp_path: Path) -> None:
    tensors = cases.parameters("sd2")
    del tensors["controlnet_down_blocks.0.bias"]
    tensors["controlnet_mid_block.bias"] = np.zeros(3, np.float32)
    save_file(tensors, tmp_path / "x.safetensors")
    with pytest.raises(ModelMismatchError, match=r"controlnet_down_blocks\.0\.bias.*is \[3\]"):
        check_file(tmp_path / "x.safetensors", sd2)


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"_class_name": "UNet2DConditionModel"}, "_class_name"),
        ({"conditioning_embedding_out_channels": []}, "conditioning_embedding_out_channels"),
        ({"conditioning_channels": 4}, "channels of the picture"),
        ({"conditioning_embedding_out_channels": [8, 16, 16]}, "pixels per latent pixel"),
        ({"controlnet_conditioning_channel_order": "grb"}, "channel_order"),
        ({"class_embed_type": "timestep"}, "class_embed_type"),
        ({"block_out_channels": [16, 64]}, "block_out_channels"),
        ({"down_block_types": "x"}, "down_block_types"),
        ({"new_option": 3}, "new_option"),
    ],
)
def test_configs_that_cannot_be_are_refused(
    changes: dict[str, object], key: str, sd2: ModelFolder, tmp_path: Path
) -> None:
    folder = write_control(tmp_path, "sd2")
    config = {**cases.saved("sd2")["config"], **changes}
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    with pytest.raises(ModelFormatError, match=key):
        open_control(folder, sd2)


def test_hashes_are_those_of_the_extension(tmp_path: Path) -> None:
    """The first digits of the SHA-256 of 64 KiB from 1 MiB on, as stable-diffusion-webui has it."""
    path = tmp_path / "x.safetensors"
    path.write_bytes(bytes(1 << 20) + b"a" * (1 << 16) + b"b" * 9)
    assert short_hash(path) == "bf718b6f"
