"""`python -m tools.goldens.upscalers`: pictures that small random upscalers make, in float64.

Makes ``upscalers.npz``: for each case, ``NAME/shapes`` (JSON: names and shapes as the file of its
kind has them) and ``NAME/out`` (2, 3, H, W). The networks are written here after the papers; where
spandrel is installed, its networks must agree.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from tests.goldens.loader import FOLDER
from tests.goldens.upscaler_cases import (
    COMPACTS,
    RRDBS,
    CompactCase,
    RrdbCase,
    picture,
    upscaler_weight,
)

State = Mapping[str, torch.Tensor]


def rrdb_shapes(case: RrdbCase) -> dict[str, tuple[int, ...]]:
    """Return the names and shapes of a file."""
    shapes: dict[str, tuple[int, ...]] = {}

    def add(name: str, outputs: int, inputs: int, kernel: int = 3, bias: bool = True) -> None:
        shapes[f"{name}.weight"] = (outputs, inputs, kernel, kernel)
        if bias:
            shapes[f"{name}.bias"] = (outputs,)

    width, growth = case.width, case.growth
    add(place(case, "first"), width, 3 * case.unshuffle**2)
    for block in range(case.blocks):
        for dense in (1, 2, 3):
            for layer in range(1, 6):
                outputs = width if layer == 5 else growth
                add(dense_place(case, block, dense, layer), outputs, width + (layer - 1) * growth)
            if case.shortcuts:
                name = dense_place(case, block, dense, 1).replace("conv1.0", "conv1x1")
                add(name, growth, width, 1, bias=False)
    add(place(case, "body"), width, width)
    for number in range(case.doublings):
        add(place(case, "up", number), width, width)
    add(place(case, "hr"), width, width)
    add(place(case, "last"), 3, width)
    return shapes


def place(case: RrdbCase, part: str, number: int = 0) -> str:
    """Return a convolution's name."""
    old = {
        "first": "model.0",
        "body": f"model.1.sub.{case.blocks}",
        "up": f"model.{3 * number + 3}",
        "hr": f"model.{3 * case.doublings + 2}",
        "last": f"model.{3 * case.doublings + 4}",
    }
    trunk = {"body": "trunk_conv", "up": f"upconv{number + 1}", "hr": "HRconv"}
    new = {"body": "conv_body", "up": f"conv_up{number + 1}", "hr": "conv_hr"}
    ends = {"first": "conv_first", "last": "conv_last"}
    return {"old": old, "trunk": trunk | ends, "new": new | ends}[case.naming][part]


def dense_place(case: RrdbCase, block: int, dense: int, layer: int) -> str:
    """Return the name of a convolution of a dense block."""
    return {
        "old": f"model.1.sub.{block}.RDB{dense}.conv{layer}.0",
        "trunk": f"RRDB_trunk.{block}.RDB{dense}.conv{layer}",
        "new": f"body.{block}.rdb{dense}.conv{layer}",
    }[case.naming]


def run_rrdb(case: RrdbCase, state: State, x: torch.Tensor) -> torch.Tensor:
    """Return what the network makes of pictures (B, 3, H, W)."""

    def conv(name: str, h: torch.Tensor) -> torch.Tensor:
        weight = state[f"{name}.weight"]
        return functional.conv2d(h, weight, state.get(f"{name}.bias"), padding=weight.shape[2] // 2)

    def leaky(h: torch.Tensor) -> torch.Tensor:
        return functional.leaky_relu(h, 0.2)

    def dense(h: torch.Tensor, block: int, number: int) -> torch.Tensor:
        found = [h]
        for layer in range(1, 5):
            made = leaky(conv(dense_place(case, block, number, layer), torch.cat(found, 1)))
            if case.shortcuts and layer == 2:
                name = dense_place(case, block, number, 1).replace("conv1.0", "conv1x1")
                made = made + conv(name, h)
            if case.shortcuts and layer == 4:
                made = made + found[2]
            found.append(made)
        return 0.2 * conv(dense_place(case, block, number, 5), torch.cat(found, 1)) + h

    if case.unshuffle > 1:
        x = functional.pixel_unshuffle(x, case.unshuffle)
    first = h = conv(place(case, "first"), x)
    for block in range(case.blocks):
        inner = h
        for number in (1, 2, 3):
            inner = dense(inner, block, number)
        h = 0.2 * inner + h
    h = conv(place(case, "body"), h) + first
    for number in range(case.doublings):
        h = leaky(conv(place(case, "up", number), functional.interpolate(h, scale_factor=2)))
    return conv(place(case, "last"), leaky(conv(place(case, "hr"), h)))


def compact(case: CompactCase) -> nn.Sequential:
    """Return the chain, whose parameters are numbered as in files."""
    activation = {
        "prelu": lambda: nn.PReLU(case.width),
        "relu": nn.ReLU,
        "leakyrelu": lambda: nn.LeakyReLU(0.1),
    }[case.activation]
    layers: list[nn.Module] = []
    for inputs in (3, *[case.width] * case.layers):
        layers += [nn.Conv2d(inputs, case.width, 3, padding=1), activation()]
    layers.append(nn.Conv2d(case.width, 3 * case.scale**2, 3, padding=1))
    return nn.Sequential(*layers).double()


def run_compact(case: CompactCase, state: State, x: torch.Tensor) -> torch.Tensor:
    """Return what the network makes of pictures (B, 3, H, W)."""
    chain = compact(case)
    chain.load_state_dict({name.removeprefix("body."): each for name, each in state.items()})
    details = functional.pixel_shuffle(chain(x), case.scale)
    return details + functional.interpolate(x, scale_factor=case.scale)


def check_with_spandrel(state: State, x: torch.Tensor, out: torch.Tensor) -> str:
    """Raise `AssertionError` unless spandrel makes the same picture; return what was done.

    Its dense layers have 32 channels, and its compact networks PReLU.
    """
    try:
        from spandrel.architectures.Compact import CompactArch
        from spandrel.architectures.ESRGAN import ESRGANArch
    except ImportError:
        return "not compared"
    arch = CompactArch() if "body.0.weight" in state else ESRGANArch()
    plain = {key.removeprefix("params_ema.").removeprefix("params."): state[key] for key in state}
    found = arch.load(plain).model.double()(x)
    assert torch.allclose(found, out, rtol=0, atol=1e-9), (found - out).abs().max()
    return "as spandrel"


def write(folder: Path) -> None:
    """Make upscalers.npz."""
    arrays: dict[str, Any] = {}
    for case in (*RRDBS, *COMPACTS):
        if isinstance(case, RrdbCase):
            shapes = rrdb_shapes(case)
        else:
            parameters = compact(case).state_dict()
            shapes = {f"body.{name}": tuple(each.shape) for name, each in parameters.items()}
        state = {
            name: torch.from_numpy(upscaler_weight(case.name, name, shape)).double()
            for name, shape in shapes.items()
        }
        x = torch.from_numpy(picture(case.name, case.size)).permute(0, 3, 1, 2).double()
        if isinstance(case, RrdbCase):
            out = run_rrdb(case, state, x)
            checked = check_with_spandrel(state, x, out) if case.growth == 32 else "not compared"
        else:
            out = run_compact(case, state, x)
            usual = case.activation == "prelu"
            checked = check_with_spandrel(state, x, out) if usual else "not compared"
        print(f"{case.name}: {tuple(out.shape)}, {checked}")
        arrays[f"{case.name}/shapes"] = np.array(json.dumps(shapes))
        arrays[f"{case.name}/out"] = out.numpy().astype(np.float32)
    np.savez_compressed(folder / "upscalers.npz", **arrays)


if __name__ == "__main__":
    with torch.no_grad():
        write(FOLDER)
