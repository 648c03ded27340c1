"""A full-size UNet alone, with random weights or a folder's, for what is timed beside its calls."""

from __future__ import annotations

import argparse
import functools
import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from bench.devices import open_device
from diffusion.checkpoints import ModelFolder, Weights
from diffusion.checkpoints.safetensors import write_safetensors
from diffusion.checkpoints.weights import open_weights
from diffusion.models.module import load
from diffusion.models.unet import UNet, time_features
from diffusion.models.unet_config import UNetConfig
from gpucore import Buffer, Device, DType, f16, f32
from tools.full_size.models import BLOCKS, MODELS
from tools.full_size.random_folder import draw_weight

__all__ = ["PARTS", "ChosenUNet", "Inputs", "Loaded", "chosen_unet", "unet_parser"]

PARTS: Final = 2
"""Texts of a call with guidance."""


class Loaded(NamedTuple):
    """A UNet on a device, its config and its file."""

    network: UNet
    config: UNetConfig
    weights: Weights
    dtype: type[DType]


class Inputs:
    """Random inputs of a UNet's call for one picture with guidance, and what is drawn after them.

    ``vectors``: what is embedded beside the time, where the model has that.
    """

    def __init__(self, device: Device, loaded: Loaded, size: int) -> None:
        self._device, self._dtype = device, loaded.dtype
        self._numbers = np.random.default_rng(7)
        config, side = loaded.config, size // 8
        width = config.projection_class_embeddings_input_dim
        self.latents = self.draw(1, side, side, config.in_channels)
        self.time = device.buffer_from_array(time_features([500.0], config), loaded.dtype)
        self.text = self.draw(PARTS, 77, config.cross_attention_dim)
        self.vectors = self.draw(PARTS, width) if width else None

    def draw(self, *shape: int) -> Buffer[Any]:
        """Return random numbers."""
        return self._device.buffer_from_array(self._numbers.standard_normal(shape), self._dtype)


class ChosenUNet(NamedTuple):
    """A UNet, where it is, and the pixels of a side of its pictures."""

    device: Device
    loaded: Loaded
    size: int


def unet_parser(program: str, text: str | None, model: str) -> argparse.ArgumentParser:
    """Return a parser of the options that choose a UNet. ``model``: the default's name."""
    parser = argparse.ArgumentParser(
        prog=f"python -m {program}",
        description=text,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--folder", type=Path, help="a model's folder")
    parser.add_argument("--model", choices=["sdxl", "sd15"], default=model)
    parser.add_argument("--size", type=int, help="pixels of a side (1024 for sdxl, else 512)")
    parser.add_argument("--device", default="")
    return parser


@contextmanager
def chosen_unet(options: argparse.Namespace) -> Iterator[ChosenUNet]:
    """Open the UNet that options choose; one of random weights is a file inside the context."""
    device = open_device(options.device)
    size = options.size or (1024 if options.model == "sdxl" else 512)
    with _opened(options.folder, options.model, device) as loaded:
        print(json.dumps({"device": device.info.name, "size": size}), flush=True)
        yield ChosenUNet(device, loaded, size)


@contextmanager
def _opened(folder: Path | None, model: str, device: Device) -> Iterator[Loaded]:
    """Open a folder's UNet, or one with random weights, whose file lasts as long as the context."""
    dtype = f16 if device.has_f16 else f32
    if folder is not None:
        found = ModelFolder(folder)
        yield _load_unet(found.unet, found.weights("unet"), device, dtype)
        return
    with tempfile.TemporaryDirectory() as place:
        config = UNetConfig.from_json(BLOCKS | dict(MODELS[model].parts["unet"]), Path("unet"))
        path = Path(place) / "unet.safetensors"
        shapes = {name: ("F16", each.shape) for name, each in UNet(config).parameters()}
        read = functools.partial(draw_weight, {name: shape for name, (_, shape) in shapes.items()})
        write_safetensors(path, shapes, read, {"format": "pt"})
        yield _load_unet(config, open_weights(path, ()), device, dtype)


def _load_unet(config: UNetConfig, weights: Weights, device: Device, dtype: type[DType]) -> Loaded:
    """Return the network, loaded."""
    network = UNet(config)
    load(network, weights.read, device, dtype)
    device.synchronize()
    return Loaded(network, config, weights, dtype)
