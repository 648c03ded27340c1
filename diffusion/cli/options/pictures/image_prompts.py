"""Options about pictures that are read as a prompt: ``--ip-adapter`` and what goes with each."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, ClassVar, Final

from PIL import Image
from typer import Option

from diffusion.cli.options.pictures.controls import PassesOption
from diffusion.cli.options.pictures.repeated import RepeatedOptions
from diffusion.cli.options.shared import (
    EndsOption,
    RegionsOption,
    StartsOption,
    StrengthsOption,
    name_option,
)
from diffusion.control import (
    COMBINATIONS,
    SCALINGS,
    WEIGHT_TYPES,
    ControlFolder,
    ImagePrompt,
)
from diffusion.errors import SettingsError
from diffusion.images import read_image
from diffusion.settings import Settings

__all__ = ["ImagePromptOptions", "check_image_prompt_names"]

_RESIZES: Final = ("crop", "stretch", "fill")


@dataclass(frozen=True)
class ImagePromptOptions(RepeatedOptions, panel="Pictures as prompts", prefix="ip"):
    """Pictures that are read as a prompt, the IP-Adapters that read them, and their strengths.

    Each option may be given several times: its n-th value is for the n-th adapter. One value alone
    is for all adapters.
    """

    names: ClassVar = (
        *("adapter", "encoder", "weight", "start", "end", "type", "combine", "scaling", "resize"),
        "passes",
    )
    places: ClassVar = ("adapter", "encoder")
    pictures: ClassVar = ("region", "negative")
    renamed: ClassVar = {"adapter": "model", "type": "weight_type"}

    adapter: Annotated[
        list[str] | None,
        Option(
            metavar="NAME",
            help="Read pictures as a prompt through an IP-Adapter: a name in --controls, or the "
            "path of a .safetensors file. Give it several times for several; the n-th value of "
            "each option below is then for the n-th adapter, and one value alone for all.",
            show_default=False,
        ),
    ] = None
    image: Annotated[
        list[Path] | None,
        Option(
            metavar="PICTURE",
            help="A picture that is read. One adapter reads all that are given; of several, the "
            "n-th reads the n-th.",
            show_default=False,
        ),
    ] = None
    owner: Annotated[
        list[int] | None,
        Option(
            "--ip-for",
            metavar="NUMBER",
            help="The adapter, from 1, that the n-th picture is for, where several adapters read "
            "other pictures than one each.",
            show_default=False,
        ),
    ] = None
    encoder: Annotated[
        list[str] | None,
        Option(
            metavar="NAME",
            help="The CLIP image encoder that the adapter was trained with: a folder, a "
            ".safetensors file, or a name in --controls.",
            show_default="one that fits, beside the adapter or in --controls",
        ),
    ] = None
    weight: StrengthsOption = None
    start: StartsOption = None
    end: EndsOption = None
    type: Annotated[
        list[str] | None,
        name_option(WEIGHT_TYPES.names, "How the weight is spread over the UNet", "linear"),
    ] = None
    combine: Annotated[
        list[str] | None,
        name_option(COMBINATIONS.names, "How several pictures become one prompt", "concat"),
    ] = None
    scaling: Annotated[
        list[str] | None,
        name_option(SCALINGS.names, "What the weight multiplies, values or keys too", "v"),
    ] = None
    resize: Annotated[
        list[str] | None,
        name_option(_RESIZES, "How a picture becomes the square that is read", "crop"),
    ] = None
    region: RegionsOption = None
    negative: Annotated[
        list[Path] | None,
        Option(
            metavar="PICTURE",
            help="A picture to be guided away from.",
            show_default=False,
        ),
    ] = None
    layers: Annotated[
        list[str] | None,
        Option(
            metavar="NUMBERS",
            help="A factor for each transformer of the UNet, in place of --ip-type: 16 numbers "
            "for SD 1.x and 2.x, 11 for XL.",
            show_default=False,
        ),
    ] = None
    passes: PassesOption = None

    @classmethod
    def spelling(cls, name: str) -> str:
        """Return how an option is written, without hyphens before it."""
        return super().spelling("for" if name == "owner" else name)

    def change(self, settings: Settings) -> Settings:
        """Return ``settings`` with the image prompts that were typed. Raises `SettingsError`."""
        options = (name for name in ("image", "owner") if getattr(self, name))
        given = [*self.typed_names(), *options]
        if not given:
            return settings
        count = max(len(self.adapter or ()), len(settings.image_prompts))
        if not count:
            raise self.missing_error(given[0], "--ip-adapter NAME")
        more = [{"images": images} if images else {} for images in self._images(count)]
        found = self.change_all(settings.image_prompts, count, lambda v: ImagePrompt(**v), more)
        return replace(settings, image_prompts=found)

    def _images(self, count: int) -> list[tuple[Image.Image, ...]]:
        """Return the pictures of each adapter. Raises `SettingsError`."""
        paths, owners = self.image or [], self.owner or []
        if owners and len(owners) != len(paths):
            hint = f"must be given {len(paths)} times, once for each --ip-image"
            raise SettingsError("ip-for", len(owners), hint)
        if not owners and len(paths) > count > 1:
            hint = f"must be given {count} times at most; say whose each is (--ip-for)"
            raise SettingsError("ip-image", len(paths), hint)
        found: list[list[Image.Image]] = [[] for _ in range(count)]
        for index, path in enumerate(paths):
            number = owners[index] if owners else 1 if count == 1 else index + 1
            if not 1 <= number <= count:
                raise SettingsError("ip-for", number, f"must be 1 to {count}: an adapter's number")
            found[number - 1].append(read_image(path, "ip-image"))
        return list(map(tuple, found))

    def files(self) -> tuple[Path, ...]:
        """Return the pictures that are read."""
        return tuple(
            path for name in ("image", *self.pictures) for path in getattr(self, name) or ()
        )


def check_image_prompt_names(settings: Settings, folder: ControlFolder) -> None:
    """Raise `SettingsError` for a name that is not found, before a model is loaded."""
    for prompt in settings.image_prompts:
        folder.find_adapter(prompt.model)
        if prompt.encoder is not None:
            folder.find_encoder(prompt.encoder)
