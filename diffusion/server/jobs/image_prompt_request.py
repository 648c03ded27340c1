"""A request's pictures that are read as a prompt, through IP-Adapters."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from pydantic import Field

from diffusion.control import ImagePrompt
from diffusion.server.jobs.control_request import PictureCleaner, decode_part, plain_name
from diffusion.server.jobs.fields import Finite, Part, Picture

__all__ = ["MOST_PROMPTS", "ImagePromptRequest", "clean_image_prompts"]

MOST_PROMPTS: Final = 10
_PICTURES: Final = ("region", "negative")


class ImagePromptRequest(Part):
    """Pictures that are read as a prompt; fields as in `diffusion.control.ImagePrompt`."""

    model: str = Field(description="A name or title of GET /api/v1/control-models.")
    images: list[Picture] = Field(min_length=1, max_length=32)
    encoder: str | None = Field(default=None, description="A name there; null for one that fits.")
    weight: Finite = 1.0
    start: Finite = 0.0
    end: Finite = 1.0
    weight_type: str = "linear"
    combine: str = "concat"
    scaling: str = "v"
    resize: str = "crop"
    region: Picture | None = None
    negative: Picture | None = None
    layer_weights: list[Finite] = Field(default=[], max_length=100)
    passes: str = "both"

    @property
    def pictures(self) -> Sequence[str]:
        """All of its pictures."""
        return [*self.images, *(each for each in (self.region, self.negative) if each is not None)]

    def with_full_names(self, full_name: Callable[[str], str]) -> ImagePromptRequest:
        """Return it with full names of its networks. Raises `SettingsError` as ``full_name``."""
        encoder = None if self.encoder is None else full_name(plain_name(self.encoder))
        changes = {"model": full_name(plain_name(self.model)), "encoder": encoder}
        return self.model_copy(update=changes)

    def task(self) -> ImagePrompt:
        """Return it as the pipeline takes it. Its pictures must be from `clean_image_prompts`.

        What `ImagePrompt` would read as a path is a name here.
        """
        left_out = {*_PICTURES, "images", "layer_weights", "model", "encoder"}
        given: dict[str, Any] = self.model_dump(exclude=left_out)
        for field in _PICTURES:
            given[field] = decode_part(getattr(self, field), f"ip {field}")
        images = [decode_part(each, "ip image") for each in self.images]
        return ImagePrompt(
            plain_name(self.model),
            tuple(each for each in images if each is not None),
            None if self.encoder is None else plain_name(self.encoder),
            layer_weights=tuple(self.layer_weights),
            **given,
        )


def clean_image_prompts(
    prompts: Sequence[ImagePromptRequest], cleaner: PictureCleaner
) -> list[ImagePromptRequest]:
    """Return image prompts with their pictures written anew. Raises `SettingsError`."""
    cleaned = []
    for each in prompts:
        changes: dict[str, object] = {
            field: cleaner.clean(picture, f"ip {field}")
            for field in _PICTURES
            if (picture := getattr(each, field)) is not None
        }
        changes["images"] = [cleaner.clean(picture, "ip image") for picture in each.images]
        cleaned.append(each.model_copy(update=changes))
    return cleaned
