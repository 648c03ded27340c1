"""Image prompts inside a captured denoiser: keys, values and regions of each attention."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from diffusion.control.hints import resize_region
from diffusion.models.image_prompts import CrossPlace
from diffusion.models.layers import Activations
from diffusion.models.transformer import ImageKeys, PromptKeys
from diffusion.pipeline.control import Active
from diffusion.pipeline.image_prompts.unit import ImagePromptUnit
from diffusion.text.conditioning import copy_buffer
from gpucore import Buffer
from gpustd import add, concat, mean, multiply, repeat_batch, subtract

__all__ = ["ImagePromptGraph", "PromptRows"]

_PENALTY_WIDTH: Final = 1280
"""Channels of a layer without a penalty (cubiq/ComfyUI_IPAdapter_plus, CrossAttentionPatch.py)."""


class PromptRows(NamedTuple):
    """The rows of a denoiser: so many of the negative prompt first, then of the prompt's parts."""

    negative: int
    prompt: int


class ImagePromptGraph:
    """The image prompts of a denoiser: what `extend` adds is captured, `follow` writes.

    ``units``: their adapters, the layers they count in, and whether they have regions, are the
    same for all that follow. ``shape``: of the latents.
    """

    def __init__(
        self,
        units: Sequence[ImagePromptUnit],
        shape: tuple[int, int, int, int],
        rows: PromptRows,
    ) -> None:
        self._units = [_UnitGraph(each, shape, rows) for each in units]

    def extend(self, prompt: PromptKeys, active: Active) -> PromptKeys:
        """Return the prompt's keys with those of the active image prompts beside them."""
        extended = dict(prompt)
        for unit, counts in zip(self._units, active, strict=True):
            for place, keys in unit.keys if counts else ():
                found = extended[place.attention]
                extended[place.attention] = found._replace(images=(*found.images, keys))
        return extended

    def follow(self, units: Sequence[ImagePromptUnit]) -> None:
        """Read the pictures, weights and regions of these image prompts from now on."""
        for graph, unit in zip(self._units, units, strict=True):
            graph.follow(unit)


class _UnitGraph:
    """One image prompt's buffers: ``keys`` for each place that it counts in."""

    def __init__(
        self, unit: ImagePromptUnit, shape: tuple[int, int, int, int], rows: PromptRows
    ) -> None:
        self._rows = rows
        self._sizes = _level_sizes(shape, 1 + max(each.level for each in unit.loaded.places))
        self._regions: dict[int, Buffer[Any]] = {}
        self.keys: list[tuple[CrossPlace, ImageKeys]] = []
        self._followed: ImagePromptUnit | None = None
        self.follow(unit)

    def follow(self, unit: ImagePromptUnit) -> None:
        """Write keys, values and regions of an image prompt of the same kind."""
        if self._followed is unit:
            return
        self._followed = None
        self._write_regions(unit)
        made = self._make(unit)
        if self.keys:
            for (_, old), (_, new) in zip(self.keys, made, strict=True):
                old.keys.copy_from(new.keys)
                old.values.copy_from(new.values)
        else:
            self.keys = made
        self._followed = unit

    def _make(self, unit: ImagePromptUnit) -> list[tuple[CrossPlace, ImageKeys]]:
        """Compute keys and values of every place that counts."""
        tokens, network = unit.tokens(), unit.loaded.network
        zeros = multiply(tokens.prompt, 0.0)
        made = []
        for number, place in enumerate(unit.loaded.places):
            factor, away = unit.factors[place.transformer]
            if not factor:
                continue
            shown, hidden = (zeros, tokens.prompt) if away else tokens
            weight = factor * unit.prompt.weight
            pairs = [
                _scale(*network.keys(number, each), weight, unit.scaling)
                for each in (hidden, shown)
            ]
            keys, values = (self._spread(*each) for each in zip(*pairs, strict=True))
            region = self._regions.get(place.level)
            made.append((place, ImageKeys(keys, values, region)))
        return made

    def _spread(self, negative: Activations, prompt: Activations) -> Activations:
        """Return one row for each of the denoiser's, in a buffer of its own."""
        rows = [repeat_batch(prompt, self._rows.prompt)]
        if self._rows.negative:
            rows.insert(0, repeat_batch(negative, self._rows.negative))
        return concat(rows, 0) if len(rows) > 1 else copy_buffer(rows[0])

    def _write_regions(self, unit: ImagePromptUnit) -> None:
        """Write (1, S, 1) for each level; nothing without a region."""
        if unit.region is None:
            return
        loaded = unit.loaded
        for level, size in enumerate(self._sizes):
            array = resize_region(unit.region, size).reshape(1, -1, 1)
            if level in self._regions:
                self._regions[level].write(array.astype(loaded.dtype.numpy))
            else:
                self._regions[level] = loaded.device.buffer_from_array(array, loaded.dtype)


def _scale(
    keys: Activations, values: Activations, weight: float, scaling: str
) -> tuple[Activations, Activations]:
    """Return keys and values times a weight, as the name of a scaling says."""
    if scaling.endswith("penalty"):
        weight *= keys.shape[2] / _PENALTY_WIDTH
    if scaling == "v":
        return keys, multiply(values, weight)
    if scaling != "k_mean_v_penalty":
        return multiply(keys, weight), multiply(values, weight)
    middle = mean(values, axis=1, keepdims=True)
    return multiply(keys, weight), add(subtract(values, middle), multiply(middle, weight))


def _level_sizes(shape: tuple[int, int, int, int], levels: int) -> list[tuple[int, int]]:
    """Return height and width of each level of the UNet."""
    height, width = shape[1:3]
    sizes = []
    for _ in range(levels):
        sizes.append((height, width))
        height, width = (height + 1) // 2, (width + 1) // 2
    return sizes
