"""A ControlNet-LLLite inside a captured denoiser: its picture's features, and its strengths."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diffusion.control.hints import resize_region
from diffusion.models.layers import Activations
from diffusion.models.lite import ControlLite, LiteConfig, LitePlace
from diffusion.models.module import Module
from diffusion.models.unet import UNet
from diffusion.pipeline.control.unit import ControlUnit
from gpucore import Buffer, Device, DType

__all__ = ["LiteGraph"]

Change = Callable[[Activations], Activations]


class LiteGraph:
    """One control's buffers: what each module reads of the picture, a strength for each.

    ``shape``: of the latents. ``parts``: how many prompts each image has. ``reading``: the graph of
    what the modules read, as that of other controls.
    """

    def __init__(self, unit: ControlUnit, shape: tuple[int, int, int, int], parts: int) -> None:
        network, config = unit.loaded.network, unit.loaded.config
        assert isinstance(network, ControlLite)
        assert isinstance(config, LiteConfig)
        self._network, self._transformers = network, config.transformers
        self._device: Device = unit.model.device
        self._dtype: type[DType] = unit.model.dtype
        self._shape = shape
        self._rows = parts * shape[0] if unit.by_part and parts > 1 else 1
        self._strengths: dict[int, Buffer[Any]] = {}
        self._pixels: dict[int, Buffer[Any]] = {
            factor: self._device.buffer_from_array(picture, self._dtype)
            for factor, picture in self._pad(unit).items()
        }
        with self._device.capture() as self.reading, self._device.region("control"):
            self._pictures = [
                module.read_picture(self._pixels[place.downscale])
                for place, module in self._network.lites
            ]
        self._write_strengths(unit)
        self._followed: ControlUnit | None = unit

    def changes(self, unet: UNet) -> Iterator[tuple[Module, Change]]:
        """Yield the layers that it changes, and what each of them reads in place of an input."""
        for (place, module), picture in zip(self._network.lites, self._pictures, strict=True):
            strength = self._strengths[place.place.transformer]
            layer = unet.find(place.place.layer)
            yield layer, partial(module, picture=picture, strength=strength)

    def follow(self, unit: ControlUnit) -> None:
        """Write the picture and the strengths of a control of the same kind."""
        if self._followed is unit:
            return
        self._followed = None
        for factor, picture in self._pad(unit).items():
            self._pixels[factor].write(picture.astype(self._dtype.numpy))
        self.reading.replay()
        self._write_strengths(unit)
        self._followed = unit

    def _pad(self, unit: ControlUnit) -> dict[int, NDArray[Any]]:
        """Return a picture (1, H, W, 3) in -1..1 in whole tokens, by the pixels of a token."""
        pixels, found = unit.pixels(), dict[int, NDArray[Any]]()
        for place, _ in self._network.lites:
            if place.downscale not in found:
                size = self._size(place)
                found[place.downscale] = _continue_to(pixels, place.downscale, size)
        return found

    def _size(self, place: LitePlace) -> tuple[int, int]:
        """Return height and width in tokens, where a module stands."""
        height, width = self._shape[1:3]
        for _ in range(place.place.level):
            height, width = (height + 1) // 2, (width + 1) // 2
        return height, width

    def _write_strengths(self, unit: ControlUnit) -> None:
        """Write (rows, S, 1) for each transformer; S is 1 without a region."""
        region, strengths = unit.region, unit.strengths
        sizes = {each.place.transformer: self._size(each) for each, _ in self._network.lites}
        for layer, transformer in enumerate(self._transformers):
            rows = np.full((self._rows, 1, 1), strengths.prompt[layer], np.float32)
            if self._rows > 1:
                rows[: self._shape[0]] = strengths.negative[layer]
            if region is not None:
                rows = rows * resize_region(region, sizes[transformer]).reshape(1, -1, 1)
            if transformer in self._strengths:
                target = self._strengths[transformer]
                target.write(rows.astype(target.dtype.numpy))
            else:
                self._strengths[transformer] = self._device.buffer_from_array(rows, self._dtype)


def _continue_to(pixels: NDArray[Any], factor: int, size: tuple[int, int]) -> NDArray[Any]:
    """Continue the right and lower edge of (1, H, W, C) to ``factor`` pixels for each token."""
    below, right = (
        max(0, tokens * factor - side) for tokens, side in zip(size, pixels.shape[1:3], strict=True)
    )
    padded = np.pad(pixels, ((0, 0), (0, below), (0, right), (0, 0)), "edge")
    return np.ascontiguousarray(padded)
