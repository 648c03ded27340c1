"""Control networks in files that were changed: an error of ours, or the same network."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import save_file

from diffusion.checkpoints import ModelFolder
from diffusion.checkpoints.control import open_control
from diffusion.errors import ModelError, ModelFormatError, ModelMismatchError
from diffusion.pipeline.control import make_network
from tests.diffusion.session_folder import session_folder
from tests.goldens import control_cases as cases
from tests.goldens import lite_cases, xs_cases
from tests.goldens.family_folders import write_family

KINDS = {
    "sd2": "sd2",
    "union": "xl_base",
    "full": "sd2",
    "full_xl": "xl_base",
    "lite_sd2": "sd2",
    "lite_all": "xl_base",
    "xs_sd2": "sd2",
}
"""Golden networks and their models."""


def parameters(name: str) -> dict[str, Any]:
    """Return the tensors of a golden network."""
    if name in xs_cases.XS:
        return dict(xs_cases.parameters(name))
    return dict((lite_cases if name in lite_cases.LITES else cases).parameters(name))


def write_config(folder: Path) -> None:
    """Write the config that a ControlNet-XS needs, which other files do not read."""
    text = json.dumps(xs_cases.saved("xs_sd2")["config"])
    (folder / "config.json").write_text(text, encoding="utf-8")


SHAPES = (
    st.lists(st.sampled_from([0, 1, 2, 3, 16, 32]), max_size=4)
    .map(tuple)
    .filter(lambda shape: math.prod(shape) <= 2**20)  # else the disk fills
)
NAMES = st.sampled_from(
    [
        "",
        "\x00",
        "difference",
        "lora_controlnet",
        "control_model.zero_convs.0.0.weight",
        "middle_block_out.0.weight",
        "input_hint_block.0.bias",
        "input_hint_block.99999999999.weight",
        "controlnet_mid_block.weight",
        "controlnet_cond_embedding.conv_in.weight",
        "controlnet_cond_embedding.blocks.1.weight",
        "conv_in.weight",
        "task_embedding",
        "add_embedding.linear_1.weight",
        "down_blocks.0.attentions.0.proj_in.weight",
        "down_blocks.0.attentions.0.transformer_blocks.0.attn2.to_k.weight",
        "down_blocks.0.attentions.0.transformer_blocks.1.norm1.weight",
        "transformer_layes.7.ln_1.weight",
        "adapter.conv_in.weight",
        "adapter.body.0.resnets.0.block1.weight",
        "adapter.body.99999.resnets.0.block1.weight",
        "body.0.block1.weight",
        "adapter.body.1.in_conv.weight",
        "lllite_unet_input_blocks_4_1.down.0.weight",
        "lllite_unet_input_blocks_1_1_transformer_blocks_0_attn1_to_q.down.0.weight",
        "lllite_unet_input_blocks_1_1_transformer_blocks_0_attn1_to_v.conditioning1.0.weight",
        "lllite_unet_input_blocks_1_1_transformer_blocks_0_attn1_to_v.conditioning1.2.weight",
        "lllite_unet_input_blocks_1_1_transformer_blocks_0_attn2_to_k.up.0.weight",
        "lllite_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_v.mid.0.weight",
        "lllite_unet_middle_block_1_transformer_blocks_0_attn1_to_q.mid.0.weight",
        "ip_adapter.1.to_k_ip.weight",
        "control_to_base_for_conv_in.weight",
        "down_blocks.0.base_to_ctrl.0.weight",
        "down_blocks.0.downsamplers.conv.weight",
        "mid_block.midblock.resnets.0.norm1.weight",
        "up_connections.99999.ctrl_to_base.0.weight",
    ]
)


@pytest.fixture(scope="module")
def models() -> dict[str, ModelFolder]:
    return {
        name: ModelFolder(write_family(session_folder(f"hostile-{name}"), name))
        for name in set(KINDS.values())
    }


def check(path: Path, model: ModelFolder) -> None:
    """Open a network and compare all its names and shapes."""
    found = open_control(path, model)
    network = make_network(found.config)
    found.weights.check({name: each.shape for name, each in network.parameters()})


def error_of(path: Path, model: ModelFolder) -> ModelError | None:
    """Return the error of ours that a file is refused with."""
    try:
        check(path, model)
    except ModelError as error:
        return error
    return None


@settings(max_examples=90, deadline=None, derandomize=True)
@given(
    name=st.sampled_from(sorted(KINDS)),
    removed=st.integers(0, 200),
    changes=st.dictionaries(NAMES, SHAPES, max_size=3),
)
def test_mutated_files_are_refused(
    models: dict[str, ModelFolder], name: str, removed: int, changes: dict[str, tuple[int, ...]]
) -> None:
    tensors = parameters(name)
    whole = {each: np.shape(array) for each, array in tensors.items()}
    names = sorted(tensors)
    if removed < len(names):
        del tensors[names[removed]]
    for each, shape in changes.items():
        tensors[each] = np.zeros(shape, np.float32)
    folder = session_folder("mutated-controls")
    folder.mkdir(exist_ok=True)
    write_config(folder)
    save_file(tensors, folder / "a.safetensors")
    error = error_of(folder / "a.safetensors", models[KINDS[name]])
    if error is None:
        assert {each: np.shape(array) for each, array in tensors.items()} == whole
    else:
        assert isinstance(error, ModelFormatError | ModelMismatchError)
        assert str(error)


@pytest.mark.parametrize("name", KINDS)
def test_networks_for_another_family_are_refused(
    models: dict[str, ModelFolder], name: str, tmp_path: Path
) -> None:
    write_config(tmp_path)
    save_file(parameters(name), tmp_path / "a.safetensors")
    other = next(each for each in models if each != KINDS[name])
    assert error_of(tmp_path / "a.safetensors", models[KINDS[name]]) is None
    assert isinstance(error_of(tmp_path / "a.safetensors", models[other]), ModelFormatError)
