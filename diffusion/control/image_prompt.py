"""`ImagePrompt`: pictures that are read as a prompt, through an IP-Adapter."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from PIL import Image

from diffusion.catalogue import Catalogue
from diffusion.checks import check_number, check_text
from diffusion.control.choice import MOST_WEIGHT, PASSES, check_picture, is_path
from diffusion.control.weight_types import WEIGHT_TYPES
from diffusion.errors import SettingsError
from diffusion.tasks.choices import Choice
from diffusion.tasks.resizing import PIXEL_RESIZES

__all__ = ["COMBINATIONS", "SCALINGS", "ImagePrompt", "check_image_prompts"]

MOST_PROMPTS: Final = 10
MOST_IMAGES: Final = 32

COMBINATIONS: Final = Catalogue(
    "ip combine",
    [
        Choice("concat", "Concat"),
        Choice("add", "Add"),
        Choice("subtract", "Subtract"),
        Choice("average", "Average"),
        Choice("norm_average", "Norm average"),
    ],
)
"""How several pictures become one prompt: the tokens of all, or one sum of what they are encoded
to (cubiq/ComfyUI_IPAdapter_plus, IPAdapterPlus.py)."""

SCALINGS: Final = Catalogue(
    "ip scaling",
    [
        Choice("v", "V only"),
        Choice("kv", "K+V"),
        Choice("kv_penalty", "K+V w/ C penalty"),
        Choice("k_mean_v_penalty", "K+mean(V) w/ C penalty"),
    ],
)
"""What the weight multiplies: values, or keys too; a penalty is for layers of few channels
(CrossAttentionPatch.py there)."""


@dataclass(frozen=True)
class ImagePrompt:
    """Pictures that are read as a prompt beside the text, through an IP-Adapter.

    Args:
        model: a name in the pipeline's folder of control networks, or the path of a
            ``.safetensors`` file.
        images: the pictures.
        encoder: CLIP's image encoder that the adapter was trained with, by name or path; None
            looks for it beside the adapter and in the folder of control networks.
        weight: the strength; 1 is what the adapter was trained for.
        start, end: the share of the steps between which it counts.
        weight_type: how the weight is spread over the layers: a name in `WEIGHT_TYPES`.
        combine: how several pictures become one prompt: a name in `COMBINATIONS`.
        scaling: what the weight multiplies: a name in `SCALINGS`.
        resize: how a picture becomes a square: ``crop`` as CLIP does, ``stretch`` or ``fill``.
        region: grey levels of where it counts, resized as control networks' are.
        negative: a picture to be guided away from; None for none.
        layer_weights: a factor for each transformer of the UNet in the order of computing, in
            place of those of ``weight_type``: 16 for SD 1.x and 2.x, 11 for XL.
        passes: a name in `PASSES`, which says where it counts with hires fix.
    """

    model: str | Path
    images: tuple[Image.Image, ...] = ()
    encoder: str | Path | None = None
    weight: float = 1.0
    start: float = 0.0
    end: float = 1.0
    weight_type: str = "linear"
    combine: str = "concat"
    scaling: str = "v"
    resize: str = "crop"
    region: Image.Image | None = None
    negative: Image.Image | None = None
    layer_weights: tuple[float, ...] = ()
    passes: str = "both"

    @property
    def names(self) -> list[str]:
        """The names of adapter and encoder that are looked up in a folder."""
        given = [each for each in (self.model, self.encoder) if each is not None]
        return [str(each) for each in given if not is_path(each)]

    def check(self) -> None:
        """Raise `SettingsError` for the first choice that is out of range."""
        for field, model in (("ip adapter", self.model), ("ip encoder", self.encoder)):
            given: object = model
            if given is None and field == "ip encoder":
                continue
            if not isinstance(given, (str, Path)) or not str(given):
                raise SettingsError(field, given, "must be a name or a path")
        images: object = self.images
        if not isinstance(images, tuple):
            raise SettingsError("ip image", images, "must be a tuple of pictures")
        if not 1 <= len(self.images) <= MOST_IMAGES:
            hint = f"give 1 to {MOST_IMAGES} pictures for each adapter"
            raise SettingsError("ip image", len(self.images) or None, hint)
        for image in self.images:
            check_picture("ip image", image)
        for field in ("region", "negative"):
            picture = getattr(self, field)
            if picture is not None:
                check_picture(f"ip {field}", picture)
        check_number("ip weight", self.weight, -MOST_WEIGHT, MOST_WEIGHT)
        check_number("ip start", self.start, 0, 1)
        check_number("ip end", self.end, 0, 1)
        if self.start >= self.end:
            raise SettingsError("ip start", self.start, f"must be less than {self.end:g}, the end")
        for field in ("weight_type", "combine", "scaling", "resize", "passes"):
            check_text(f"ip {field.replace('_', ' ')}", getattr(self, field))
        for names, name in (
            (WEIGHT_TYPES, self.weight_type),
            (COMBINATIONS, self.combine),
            (SCALINGS, self.scaling),
            (PASSES, self.passes),
        ):
            names.find(name)
        if PIXEL_RESIZES.get(self.resize) is None:
            raise SettingsError("ip resize", self.resize, "must be crop, stretch or fill")
        _check_layers(self.layer_weights)


def _check_layers(given: object) -> None:
    if not isinstance(given, tuple):
        raise SettingsError("ip layer weights", given, "must be a tuple of numbers")
    for each in given:
        check_number("ip layer weight", each, -MOST_WEIGHT, MOST_WEIGHT)


def check_image_prompts(prompts: object) -> None:
    """Raise `SettingsError` unless ``prompts`` is a tuple of checked `ImagePrompt`."""
    if not isinstance(prompts, tuple) or not all(isinstance(p, ImagePrompt) for p in prompts):
        raise SettingsError("image prompts", prompts, "must be a tuple of ImagePrompt")
    if len(prompts) > MOST_PROMPTS:
        raise SettingsError("image prompts", len(prompts), f"must be at most {MOST_PROMPTS}")
    for each in prompts:
        each.check()
