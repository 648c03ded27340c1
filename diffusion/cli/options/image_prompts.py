"""Options about pictures that are read as a prompt: ``--ip-adapter`` and what goes with each."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Final

from PIL import Image
from typer import Option

from diffusion.cli.options.completion import complete_from
from diffusion.cli.options.controls import PassesOption
from diffusion.cli.options.groups import OptionGroup
from diffusion.cli.options.parsing import is_place, nth_value, read_numbers
from diffusion.cli.options.shared import EndsOption, RegionsOption, StartsOption
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
_NAMES: Final = {
    "adapter": "model",
    "encoder": "encoder",
    "weight": "weight",
    "start": "start",
    "end": "end",
    "type": "weight_type",
    "combine": "combine",
    "scaling": "scaling",
    "resize": "resize",
    "passes": "passes",
}
"""Options and the fields of `ImagePrompt` that they set."""

_PICTURES: Final = ("region", "negative")


@dataclass(frozen=True)
class ImagePromptOptions(OptionGroup, panel="Pictures as prompts", prefix="ip"):
    """Pictures that are read as a prompt, the IP-Adapters that read them, and their strengths.

    Each option may be given several times: its n-th value is for the n-th adapter. One value alone
    is for all adapters.
    """

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
    weight: Annotated[
        list[float] | None,
        Option(help="Strength; 1 is what the adapter was trained for.", show_default="1"),
    ] = None
    start: StartsOption = None
    end: EndsOption = None
    type: Annotated[
        list[str] | None,
        Option(
            metavar="NAME",
            autocompletion=complete_from(WEIGHT_TYPES.names),
            help=f"How the weight is spread over the UNet: one of {', '.join(WEIGHT_TYPES.names)}.",
            show_default="linear",
        ),
    ] = None
    combine: Annotated[
        list[str] | None,
        Option(
            metavar="NAME",
            autocompletion=complete_from(COMBINATIONS.names),
            help=f"How several pictures become one prompt: one of {', '.join(COMBINATIONS.names)}.",
            show_default="concat",
        ),
    ] = None
    scaling: Annotated[
        list[str] | None,
        Option(
            metavar="NAME",
            autocompletion=complete_from(SCALINGS.names),
            help="What the weight multiplies: values, or keys too. One of "
            f"{', '.join(SCALINGS.names)}.",
            show_default="v",
        ),
    ] = None
    resize: Annotated[
        list[str] | None,
        Option(
            metavar="NAME",
            autocompletion=complete_from(_RESIZES),
            help=f"How a picture becomes the square that is read: one of {', '.join(_RESIZES)}.",
            show_default="crop",
        ),
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

    def change(self, settings: Settings) -> Settings:
        """Return ``settings`` with the image prompts that were typed. Raises `SettingsError`."""
        options = (*_NAMES, *_PICTURES, "image", "owner", "layers")
        given = next((name for name in options if getattr(self, name)), None)
        if given is None:
            return settings
        found = list(settings.image_prompts)
        count = max(len(self.adapter or ()), len(found))
        if not count:
            value = getattr(self, given)[0]
            raise SettingsError(_option(given), str(value), "needs --ip-adapter NAME")
        images = self._images(count)
        for number in range(count):
            values = self._values(number, count)
            if images[number]:
                values["images"] = images[number]
            if number < len(found):
                found[number] = replace(found[number], **values)
            else:
                found.append(ImagePrompt(**values))
        return replace(settings, image_prompts=tuple(found))

    def _values(self, number: int, count: int) -> dict[str, Any]:
        """Return the fields of image prompt ``number`` that were typed."""
        values: dict[str, Any] = {}
        for option, field in _NAMES.items():
            values[field] = nth_value(_option(option), getattr(self, option), number, count)
        for option in _PICTURES:
            path = nth_value(_option(option), getattr(self, option), number, count)
            values[option] = None if path is None else read_image(path, _option(option))
        layers = nth_value("ip-layers", self.layers, number, count)
        values["layer_weights"] = None if layers is None else read_numbers("ip-layers", layers)
        for field in ("model", "encoder"):
            if values[field] is not None and is_place(values[field]):
                values[field] = Path(values[field])
        return {field: value for field, value in values.items() if value is not None}

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
        return tuple(path for name in ("image", *_PICTURES) for path in getattr(self, name) or ())


def check_image_prompt_names(settings: Settings, folder: ControlFolder) -> None:
    """Raise `SettingsError` for a name that is not found, before a model is loaded."""
    for prompt in settings.image_prompts:
        folder.find_adapter(prompt.model)
        if prompt.encoder is not None:
            folder.find_encoder(prompt.encoder)


def _option(name: str) -> str:
    """Return how an option is written, without hyphens before it."""
    return "ip-for" if name == "owner" else f"ip-{name}"
