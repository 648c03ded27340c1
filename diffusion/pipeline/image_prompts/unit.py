"""`ImagePromptUnit`: one image prompt of a pass, with its adapter and the layers it counts in."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from diffusion.control import COMBINATIONS, PASSES, SCALINGS, ImagePrompt
from diffusion.control.hints import make_region
from diffusion.control.weight_types import LayerFactor, layer_factors
from diffusion.pipeline.control import ControlUnit, crop_picture
from diffusion.pipeline.image_prompts.adapter import ImageTokens, LoadedAdapter
from diffusion.tasks.init_image import PreparedImage

__all__ = ["NO_LEADING", "ImagePromptUnit", "LeadingUnits", "prompt_units_of"]

Size = tuple[int, int]


@dataclass(frozen=True, eq=False)
class ImagePromptUnit:
    """An image prompt at the size of a pass. ``prepared``: the picture of a task, if it has one."""

    prompt: ImagePrompt
    loaded: LoadedAdapter
    size: Size
    prepared: PreparedImage | None = None

    @property
    def key(self) -> Hashable:
        """All that a captured denoiser depends on."""
        counting = tuple(each.factor != 0 for each in self.factors)
        joins = COMBINATIONS.find(self.prompt.combine).name == "concat"
        pictures = len(self.prompt.images) if joins else 1
        return self.loaded.key, counting, pictures, self.prompt.region is not None

    @cached_property
    def factors(self) -> list[LayerFactor]:
        """The factor of each transformer, without the weight. Raises `SettingsError`."""
        prompt = self.prompt
        return layer_factors(prompt.weight_type, prompt.layer_weights, self.loaded.sides)

    @property
    def scaling(self) -> str:
        """The name of what the weight multiplies."""
        return SCALINGS.find(self.prompt.scaling).name

    @cached_property
    def region(self) -> NDArray[np.float32] | None:
        """Where it counts, (H, W) in 0..1; None for everywhere."""
        return make_region(
            crop_picture(self.prompt.region, self.prepared, "crop"), "crop", self.size
        )

    def tokens(self) -> ImageTokens:
        """Return the tokens of its pictures."""
        return self.loaded.read(self.prompt)


class LeadingUnits(NamedTuple):
    """The pictures that lead a pass: through control networks, and as prompts."""

    controls: tuple[ControlUnit, ...] = ()
    image_prompts: tuple[ImagePromptUnit, ...] = ()

    @property
    def keys(self) -> tuple[Hashable, ...]:
        """All that a captured denoiser depends on."""
        return (*(each.key for each in self.controls), *(each.key for each in self.image_prompts))


NO_LEADING: Final = LeadingUnits()


def prompt_units_of(
    loaded: Sequence[tuple[ImagePrompt, LoadedAdapter]],
    size: Size,
    prepared: PreparedImage | None,
    *,
    hires: bool,
) -> tuple[ImagePromptUnit, ...]:
    """Return the image prompts that count in a pass. Raises `SettingsError`.

    ``prepared``: the picture of a task of which a box around the mask alone is drawn.
    """
    left_out = "base" if hires else "hires"
    units = []
    for prompt, adapter in loaded:
        if PASSES.find(prompt.passes).name == left_out or not prompt.weight:
            continue
        unit = ImagePromptUnit(prompt, adapter, size, prepared)
        unit.factors  # noqa: B018 - it raises what is wrong before any work
        units.append(unit)
    return tuple(units)
