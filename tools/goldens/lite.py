"""`python -m tools.goldens.lite`: UNet calls of diffusers with ControlNet-LLLite.

The modules are our own in PyTorch, made of the formula in the trainer's documentation
(kohya-ss/sd-scripts). Its own class gives the same output where the kernels are those it knows.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from tests.goldens import control_cases, lite_cases
from tests.goldens.loader import FOLDER
from tools.goldens import families
from tools.goldens.control import golden_unet
from tools.goldens.models import exact
from tools.goldens.samplers import computing_in

Arrays = dict[str, Any]


class Lite(nn.Module):
    """The module of one layer of ``width`` inputs."""

    def __init__(self, width: int, kernels: tuple[int, ...], embedding: int, rank: int) -> None:
        super().__init__()
        widths = [3, *[embedding // 2] * (len(kernels) - 1), embedding]
        parts: list[nn.Module] = []
        for number, side in enumerate(kernels):
            parts += [nn.ReLU()] if number else []
            parts.append(nn.Conv2d(widths[number], widths[number + 1], side, stride=side))
        self.conditioning1 = nn.Sequential(*parts)
        self.down = nn.Sequential(nn.Linear(width, rank), nn.ReLU())
        self.mid = nn.Sequential(nn.Linear(rank + embedding, rank), nn.ReLU())
        self.up = nn.Sequential(nn.Linear(rank, width))

    def change(self, x: Any, picture: Any, strength: float) -> Any:
        """Return ``x`` (B, S, width) with what the picture (1, 3, H, W) in -1..1 adds to it."""
        tokens = self.conditioning1(picture).flatten(2).transpose(1, 2).expand(len(x), -1, -1)
        return x + strength * self.up(self.mid(torch.cat([tokens, self.down(x)], dim=2)))


def _places(unet: Any, case: lite_cases.LiteCase) -> Iterator[tuple[str, str, int]]:
    """Yield the layers that a file changes: names in the file and in diffusers, and levels."""
    layers = unet.config.layers_per_block
    assert isinstance(layers, int)
    last = len(unet.down_blocks) - 1
    spots: list[tuple[str, str, str, int]] = [
        ("mid", "middle_block.1", "mid_block.attentions.0", last)
    ]
    for level, block in enumerate(unet.down_blocks):
        for index in range(len(getattr(block, "attentions", ()))):
            number = 1 + level * (layers + 1) + index
            name = f"down_blocks.{level}.attentions.{index}"
            spots.append(("down", f"input_blocks.{number}.1", name, level))
    for place, block in enumerate(unet.up_blocks):
        for index in range(len(getattr(block, "attentions", ()))):
            number = place * (layers + 1) + index
            name = f"up_blocks.{place}.attentions.{index}"
            spots.append(("up", f"output_blocks.{number}.1", name, last - place))
    for part, old, new, level in spots:
        if part in case.blocks:
            for block in range(len(unet.get_submodule(new).transformer_blocks)):
                for layer in case.layers:
                    inner = f"transformer_blocks.{block}.{layer}"
                    yield f"lllite_unet_{old}.{inner}".replace(".", "_"), f"{new}.{inner}", level


def _fill(name: str, unet: Any) -> dict[str, tuple[str, Lite]]:
    """Return a file's modules and the layers that they change, by their names in the file."""
    case = lite_cases.LITES[name]
    made = {}
    for own, layer, level in _places(unet, case):
        width = unet.get_submodule(layer).in_features
        module = Lite(width, case.kernels[level], case.embedding, case.rank).double()
        state = {
            key: torch.from_numpy(
                control_cases.control_weight(name, f"{own}.{key}", tuple(value.shape))
            )
            for key, value in module.state_dict().items()
        }
        module.load_state_dict(state)
        made[own] = layer, module
    return made


def _hook(unet: Any, layer: str, module: Lite, picture: Any, strength: float) -> None:
    """Let a layer read what a module makes of its input."""

    def change(_owner: Any, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
        return (module.change(inputs[0], picture, strength), *inputs[1:])

    unet.get_submodule(layer).register_forward_pre_hook(change)


def calls() -> Arrays:
    """Return ``NAME/saved``: shapes of a file's tensors, and ``CALL/out``."""
    arrays: Arrays = {}
    for call, files in lite_cases.CALLS.items():
        model = lite_cases.LITES[files[0][0]].model
        unet = golden_unet(model)
        for name, strength in files:
            picture = torch.from_numpy(lite_cases.picture(name) * 2 - 1)
            shapes: dict[str, list[int]] = {}
            for own, (layer, module) in _fill(name, unet).items():
                _hook(unet, layer, module, picture, strength)
                found = module.state_dict()
                shapes |= {f"{own}.{key}": list(value.shape) for key, value in found.items()}
            arrays[f"{name}/saved"] = np.array(json.dumps(shapes))
        inputs = control_cases.call_inputs(control_cases.unet_config(model))
        arrays[f"{call}/out"] = unet(**_tensor(inputs)).sample.numpy()
    return arrays


def _tensor(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _tensor(each) for key, each in value.items()}
    return torch.from_numpy(value) if isinstance(value, np.ndarray) else value


def write(folder: Path) -> None:
    """Make control_lite.npz."""
    with torch.no_grad(), exact(), computing_in(torch.float64, families.Owner):
        arrays = calls()
    stored = {
        key: value.astype(np.float32) if value.dtype == np.float64 else value
        for key, value in arrays.items()
    }
    np.savez_compressed(folder / "control_lite.npz", **stored)


if __name__ == "__main__":
    write(FOLDER)
