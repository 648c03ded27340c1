"""``avila inpaint``: parts of a picture drawn anew, or the picture continued beyond its edges."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import PIL.Image
from typer import Option

from diffusion.cli.app import examples
from diffusion.cli.drawing import drawing_command
from diffusion.cli.options.completion import complete_from
from diffusion.cli.options.drawing import DrawingOptions
from diffusion.cli.options.groups import OptionGroup
from diffusion.cli.options.parsing import parse_sides
from diffusion.cli.options.shared import (
    ImageArgument,
    PromptArgument,
    StartSizeOption,
    require_prompt,
)
from diffusion.cli.requests import Request
from diffusion.errors import SettingsError
from diffusion.images import read_image, to_mask
from diffusion.settings import Settings, random_seed
from diffusion.tasks import AREAS, CONTENTS, InitImage, Inpaint, extend_image
from diffusion.tasks.outpaint import Sides

__all__ = ["draw_part"]

EXAMPLES = examples(
    'avila inpaint face.png "a red hat" --mask hat.png',
    'avila inpaint room.jpg "a wooden chair" --mask chair.png --area masked --strength 0.9',
    'avila inpaint view.png "mountains, blue sky" --left 64 --right 64 --overlap 32',
)
STRENGTH = 0.75
EXTENDING_STRENGTH = 0.9


@dataclass(frozen=True)
class MaskOptions(OptionGroup, panel="The part that is drawn", first=("mask", "strength", "size")):
    """Which part of the picture is drawn anew."""

    mask: Annotated[
        Path | None,
        Option(
            metavar="FILE",
            help="A picture as large as the first: white is drawn anew, black stays.",
            show_default="what is transparent in the picture",
        ),
    ] = None
    strength: Annotated[
        float | None,
        Option(
            help="How much of the masked part is drawn anew, 0 to 1.",
            show_default=f"{STRENGTH}, or {EXTENDING_STRENGTH} where the picture is extended",
        ),
    ] = None
    size: StartSizeOption = None
    invert: Annotated[bool, Option("--invert", help="Draw what is black in the mask instead.")] = (
        False
    )
    mask_blur: Annotated[
        float, Option(help="Width in pixels of the soft edge where old and new mix.")
    ] = Inpaint.blur
    mask_blur_down: Annotated[
        float | None,
        Option(help="Width of that edge from row to row.", show_default="that of --mask-blur"),
    ] = None
    soft_mask: Annotated[
        bool,
        Option(
            "--soft-mask",
            help="Mix by the levels of that edge at each step, too, and not at the end alone.",
        ),
    ] = False
    content: Annotated[
        str,
        Option(
            metavar="NAME",
            autocompletion=complete_from(CONTENTS.names),
            help=f"What the masked part starts from: one of {', '.join(CONTENTS.names)}. All but "
            "original need a --strength near 1.",
        ),
    ] = Inpaint.content
    area: Annotated[
        str,
        Option(
            metavar="NAME",
            autocompletion=complete_from(AREAS.names),
            help=f"Which area is computed: one of {', '.join(AREAS.names)}. masked is only a box "
            "around the mask, at --size or the model's own.",
        ),
    ] = Inpaint.area
    padding: Annotated[
        int | None,
        Option(
            help="Pixels of surroundings in that box, on each side.",
            show_default=str(Inpaint.padding),
        ),
    ] = None


@dataclass(frozen=True)
class ExtensionOptions(OptionGroup, panel="Extending the picture"):
    """Pixels to add at each side of the picture."""

    left: Annotated[int, Option(help="Pixels to add at the left.")] = 0
    top: Annotated[int, Option(help="Pixels to add at the top.")] = 0
    right: Annotated[int, Option(help="Pixels to add at the right.")] = 0
    bottom: Annotated[int, Option(help="Pixels to add at the bottom.")] = 0
    overlap: Annotated[
        int | None,
        Option(
            help="Pixels of the old picture along each extended side that are drawn anew too, so "
            "that no seam shows; at most half of the picture's shorter side.",
            show_default="16, or less in a small picture",
        ),
    ] = None

    @property
    def sides(self) -> Sides:
        """Pixels to add at the left, the top, the right and the bottom."""
        return self.left, self.top, self.right, self.bottom


@drawing_command("inpaint", epilog=EXAMPLES)
def draw_part(
    image: ImageArgument,
    prompt: PromptArgument = None,
    *,
    part: MaskOptions,
    extension: ExtensionOptions,
    drawing: DrawingOptions,
) -> Request:
    """Draw a part of a picture anew, or continue the picture beyond its edges.

    White in --mask is drawn. Black stays to the pixel, except for the blurred edge; with --size
    the picture is scaled first. Without --mask, what is transparent in the picture is drawn.

    --area masked cuts a box around the mask, draws it at full size and puts it back, which gives
    detail to small things.

    --left, --top, --right and --bottom add pixels at a side. They continue the edge and are drawn
    anew, together with --overlap pixels of the picture.

    Any model can do it; those made for inpainting (nine input channels) fit the rest better.
    """
    picture = read_image(image)
    check_options(part, extension)
    extends = any(extension.sides)
    if extends:
        picture, mask = extend_image(picture, extension.sides, extension.overlap)
    else:
        mask = find_mask(picture, part.mask)
    strength = EXTENDING_STRENGTH if extends else STRENGTH
    padding = Inpaint.padding if part.padding is None else part.padding
    init_image = InitImage(
        picture,
        strength if part.strength is None else part.strength,
        "stretch" if part.size else "pad",
        Inpaint(
            mask,
            part.mask_blur,
            part.invert,
            part.content,
            part.area,
            padding,
            part.mask_blur_down,
            part.soft_mask,
        ),
    )
    width, height = parse_sides(part.size)
    settings = Settings(
        require_prompt(prompt),
        width=width,
        height=height,
        seed=random_seed(),
        init_image=init_image,
    )
    files = (image,) if part.mask is None else (image, part.mask)
    return Request(drawing.change(settings), drawing, files)


def check_options(part: MaskOptions, extension: ExtensionOptions) -> None:
    """Check for options that exclude each other or change nothing. Raises `SettingsError`."""
    extends = any(extension.sides)
    if extends and part.mask is not None:
        raise SettingsError(
            "mask", str(part.mask), "must not be given where the picture is extended"
        )
    if extends and part.invert:
        raise SettingsError("invert", True, "must not be given where the picture is extended")
    if part.padding is not None and AREAS.find(part.area).name != "masked":
        raise SettingsError("padding", part.padding, "needs --area masked")
    if extension.overlap is not None and not extends:
        needed = "needs --left, --top, --right or --bottom"
        raise SettingsError("overlap", extension.overlap, needed)


def find_mask(picture: PIL.Image.Image, file: Path | None) -> PIL.Image.Image:
    """Return the mask in a file, or else what is transparent in the picture.

    Raises `SettingsError` where there is neither.
    """
    if file is not None:
        return to_mask(read_image(file, "mask"))
    alpha = picture.convert("RGBA").getchannel("A")
    if alpha.getextrema() == (255, 255):
        raise SettingsError("mask", None, "give --mask FILE, or a picture with transparent parts")
    return PIL.Image.eval(alpha, lambda level: 255 if level < 128 else 0)
