"""`python -m tools.goldens.xs`: UNet calls with ControlNet-XS of diffusers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import ControlNetXSAdapter, UNet2DConditionModel, UNetControlNetXSModel

from tests.goldens import control_cases, xs_cases
from tests.goldens.loader import FOLDER
from tools.goldens import families
from tools.goldens.models import exact
from tools.goldens.samplers import computing_in

Arrays = dict[str, Any]

_FROM_UNET = (
    "cross_attention_dim down_block_types sample_size transformer_layers_per_block "
    "use_linear_projection"
).split()


def _fill(network: Any, drawn: Any) -> dict[str, list[int]]:
    """Fill a network with the weights that ``drawn`` gives by name; return their shapes."""
    state = network.state_dict()
    shapes = {key: list(value.shape) for key, value in state.items()}
    network.load_state_dict(
        {key: torch.from_numpy(drawn(key, tuple(shapes[key]))) for key in state}
    )
    return shapes


def _adapter(case: xs_cases.XsCase, unet: Any) -> Any:
    """Return an adapter for a UNet, with diffusers' own weights."""
    shared = {key: unet.config[key] for key in _FROM_UNET}
    return ControlNetXSAdapter(
        **shared,
        base_block_out_channels=unet.config.block_out_channels,
        max_norm_num_groups=unet.config.norm_num_groups,
        **dict(case.config),
    ).double()


def _keep_epsilons(fused: Any, unet: Any) -> None:
    """Give the UNet's norms their own epsilon again, which diffusers' copy of it leaves out."""
    eps = unet.config.norm_eps
    for block in fused.down_blocks:
        for resnet in block.base_resnets:
            resnet.norm1.eps = resnet.norm2.eps = eps
    for resnet in fused.mid_block.base_midblock.resnets:
        resnet.norm1.eps = resnet.norm2.eps = eps
    for block in fused.up_blocks:
        for resnet in block.resnets:
            resnet.norm1.eps = resnet.norm2.eps = eps
    fused.base_conv_norm_out.eps = eps


def calls() -> Arrays:
    """Return ``NAME/saved`` and ``NAME/out``."""
    arrays: Arrays = {}
    for name, case in xs_cases.XS.items():
        config = xs_cases.base_config(name)
        unet = UNet2DConditionModel.from_config(config).double()
        base = _fill(unet, lambda key, shape, name=name: xs_cases.base_weight(name, key, shape))
        adapter = _adapter(case, unet)
        shapes = _fill(
            adapter,
            lambda key, shape, name=name: control_cases.control_weight(name, key, shape),
        )
        own = {key: each for key, each in adapter.config.items() if not key.startswith("_use")}
        own["_class_name"] = type(adapter).__name__
        tree = {"config": own, "shapes": shapes, "base": base}
        arrays[f"{name}/saved"] = np.array(json.dumps(tree, default=list))
        fused = UNetControlNetXSModel.from_unet(unet, adapter)
        _keep_epsilons(fused, unet)
        inputs = _tensor(control_cases.call_inputs(config))
        plain = fused(**inputs, controlnet_cond=_hint(name), apply_control=False).sample
        distance = (plain - unet(**inputs).sample).norm() / plain.norm()
        assert distance < 1e-12, f"{name}: diffusers' copy of the UNet is {distance} off"
        arrays[f"{name}/out"] = fused(
            **inputs, controlnet_cond=_hint(name), conditioning_scale=xs_cases.SCALE
        ).sample.numpy()
    return arrays


def _hint(name: str) -> Any:
    rows = control_cases.PROMPTS * control_cases.IMAGES
    return torch.from_numpy(xs_cases.picture(name)).repeat(rows, 1, 1, 1)


def _tensor(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _tensor(each) for key, each in value.items()}
    return torch.from_numpy(value) if isinstance(value, np.ndarray) else value


def write(folder: Path) -> None:
    """Make control_xs.npz."""
    with torch.no_grad(), exact(), computing_in(torch.float64, families.Owner):
        arrays = calls()
    stored = {
        key: value.astype(np.float32) if value.dtype == np.float64 else value
        for key, value in arrays.items()
    }
    np.savez_compressed(folder / "control_xs.npz", **stored)


if __name__ == "__main__":
    write(FOLDER)
