"""Control networks inside a captured denoiser: their inputs on the device, and their residuals."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from diffusion.control.hints import resize_region
from diffusion.models.control_config import begins_halved
from diffusion.models.controlnet import ControlNet
from diffusion.models.layers import Activations, repeat_images
from diffusion.models.lite import ControlLite, InputChanges
from diffusion.models.t2i_adapter import T2IAdapter
from diffusion.models.transformer import PromptKeys
from diffusion.models.unet import Residuals, UNet, add_images, size_features
from diffusion.models.xs import ControlXs, XsRun
from diffusion.pipeline.control.lite_graph import LiteGraph
from diffusion.pipeline.control.unit import ControlUnit
from diffusion.text.conditioning import Conditioning
from gpucore import Buffer, Device, DType
from gpustd import multiply

__all__ = ["Active", "ControlGraph"]

Active = tuple[bool, ...]
"""For each control, whether it counts in a step."""


class ControlGraph:
    """The controls of a denoiser: `record_prompt` and `residuals` are captured, `follow` writes.

    ``units``: their networks, and whether they have regions, are the same for all that follow.
    Their own pictures are read by `read_pictures`, once, before what was captured is replayed.
    ``shape``: of the latents. ``parts``: how many prompts each image has.
    """

    def __init__(
        self, units: Sequence[ControlUnit], shape: tuple[int, int, int, int], parts: int
    ) -> None:
        self._units: list[_UnitGraph | LiteGraph] = [
            LiteGraph(each, shape, parts)
            if isinstance(each.loaded.network, ControlLite)
            else _UnitGraph(each, shape, parts)
            for each in units
        ]

    def read_pictures(self) -> None:
        """Compute the features of the pictures."""
        for each in self._units:
            each.reading.replay()

    def release(self) -> None:
        """Give the graphs' memory back."""
        for each in self._units:
            each.reading.release()

    def record_prompt(self, conditioning: Conditioning) -> None:
        """Compute what the networks read of the prompt."""
        for each in self._units:
            if isinstance(each, _UnitGraph):
                each.record_prompt(conditioning)

    def residuals(
        self, active: Active, latents: Activations, features: Activations, parts: int
    ) -> Residuals | None:
        """Return what the active controls add together; None for nothing."""
        found = [
            unit.residuals(latents, features, parts)
            for unit, counts in zip(self._units, active, strict=True)
            if counts and isinstance(unit, _UnitGraph)
        ]
        if not found:
            return None
        middles = [each.middle for each in found if each.middle is not None]
        return Residuals(
            _sum_layers(each.skips for each in found if each.skips),
            _sum(middles) if middles else None,
            _sum_layers(each.levels for each in found if each.levels),
            [companion for each in found for companion in each.companions],
        )

    def input_changes(self, active: Active, unet: UNet) -> InputChanges:
        """Return what the active controls change in the inputs of layers, in their order."""
        changes: dict[object, list[Callable[[Activations], Activations]]] = {}
        for unit, counts in zip(self._units, active, strict=True):
            if counts and isinstance(unit, LiteGraph):
                for layer, change in unit.changes(unet):
                    changes.setdefault(layer, []).append(change)
        return changes

    def follow(self, units: Sequence[ControlUnit]) -> None:
        """Read the pictures, factors and regions of these controls from now on."""
        for graph, unit in zip(self._units, units, strict=True):
            graph.follow(unit)


def _sum(buffers: Sequence[Activations]) -> Activations:
    total = buffers[0]
    for each in buffers[1:]:
        total = add_images(total, each)
    return total


def _sum_layers(found: Iterable[Sequence[Activations]]) -> list[Activations]:
    return [_sum(layer) for layer in zip(*found, strict=True)]


class _UnitGraph:
    """One control's buffers: features of its picture, and a factor for each layer.

    ``reading``: the graph that computes the features, so that another picture takes no memory
    beside that of the network's call.
    """

    def __init__(self, unit: ControlUnit, shape: tuple[int, int, int, int], parts: int) -> None:
        folder = unit.model.folder
        network = unit.loaded.network
        assert not isinstance(network, ControlLite)
        self._network = network
        self._device: Device = unit.model.device
        self._dtype: type[DType] = unit.model.dtype
        self._shape, self._parts = shape, parts
        self._rows = parts * shape[0] if unit.by_part and parts > 1 else 1
        self._levels = len(folder.unet.block_out_channels) + begins_halved(folder.unet)
        self._factors: list[Buffer[Any]] = []
        self._prompt: PromptKeys = {}
        self._added: Activations | None = None
        self._kinds = self._kind_features(unit)
        self._pixels: Buffer[Any] = self._device.buffer_from_array(unit.pixels(), self._dtype)
        with self._device.capture() as self.reading, self._device.region("control"):
            self._features = self._read_pixels(unit)
        self._write_factors(unit)
        self._followed: ControlUnit | None = unit

    def _kind_features(self, unit: ControlUnit) -> Buffer[Any] | None:
        """Return the features (1, C) of a union's kind of picture."""
        if unit.kind is None:
            return None
        total = getattr(unit.loaded.config, "types", 0)
        numbers = [float(each == unit.kind) for each in range(total)]
        row = size_features(numbers, unit.model.folder.unet)[None]
        return self._device.buffer_from_array(row, self._dtype)

    def record_prompt(self, conditioning: Conditioning) -> None:
        """Compute keys of the prompt, and what a union or an XL network adds to the time."""
        network = self._network
        if isinstance(network, T2IAdapter):
            return
        self._prompt = network.prompt_keys(conditioning.context)
        if isinstance(network, ControlNet) and conditioning.vectors is not None:
            self._added = network.embed_added(conditioning.vectors)
            if self._kinds is not None:
                kinds = network.embed_kinds(self._kinds)
                self._added = add_images(self._added, kinds)

    def residuals(self, latents: Activations, features: Activations, parts: int) -> Residuals:
        """Return what this control adds, times its factors."""
        network = self._network
        if isinstance(network, T2IAdapter):
            return Residuals(levels=self._scale(self._features))
        if isinstance(network, ControlXs):
            run = XsRun(network, self._features[0], self._prompt, self._factors)
            return Residuals(companions=[run])
        with self._device.region("control"):
            found = network(
                latents, features, self._prompt, self._features[0], parts=parts, added=self._added
            )
        assert found.middle is not None
        *skips, middle = self._scale([*found.skips, found.middle])
        return Residuals(skips, middle)

    def _scale(self, layers: Sequence[Activations]) -> list[Activations]:
        scaled = []
        for layer, factor in zip(layers, self._factors, strict=True):
            rows = max(layer.shape[0], factor.shape[0])
            scaled.append(multiply(repeat_images(layer, rows), factor))
        return scaled

    def follow(self, unit: ControlUnit) -> None:
        """Write features and factors of a control of the same kind."""
        if self._followed is unit:
            return
        self._followed = None
        self._pixels.write(unit.pixels().astype(self._dtype.numpy))
        self.reading.replay()
        self._write_factors(unit)
        self._followed = unit

    def _read_pixels(self, unit: ControlUnit) -> list[Buffer[Any]]:
        """Return what the network reads of the picture."""
        if isinstance(self._network, ControlNet):
            return [self._network.read_picture(self._pixels, unit.kind)]
        if isinstance(self._network, ControlXs):
            return [self._network.read_picture(self._pixels)]
        return list(self._network(self._pixels)[: self._levels])

    def _write_factors(self, unit: ControlUnit) -> None:
        """Write (rows, h, w, 1) for each layer; h and w are 1 without a region."""
        region = unit.region
        arrays = []
        for layer, size in enumerate(self._sizes(unit)):
            rows = np.full((self._rows, 1, 1, 1), unit.strengths.prompt[layer], np.float32)
            if self._rows > 1:
                rows[: self._shape[0]] = unit.strengths.negative[layer]
            arrays.append(rows if region is None else rows * resize_region(region, size))
        if self._factors:
            for target, array in zip(self._factors, arrays, strict=True):
                target.write(array.astype(target.dtype.numpy))
        else:
            upload = self._device.buffer_from_array
            self._factors = [upload(array, self._dtype) for array in arrays]

    def _sizes(self, unit: ControlUnit) -> list[tuple[int, int]]:
        """Return height and width of each layer that it adds to."""
        if isinstance(self._network, T2IAdapter):
            return [(each.shape[1], each.shape[2]) for each in self._features]
        height, width = self._shape[1:3]
        counts = unit.model.folder.unet.layers_per_block
        sizes = [(height, width)]
        for level, count in enumerate(counts):
            sizes += [(height, width)] * count
            if level < len(counts) - 1:
                height, width = (height + 1) // 2, (width + 1) // 2
                sizes.append((height, width))
        return [*sizes, (height, width)]
