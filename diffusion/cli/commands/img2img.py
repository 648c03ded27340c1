"""``avila img2img``: pictures that start from a picture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

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
from diffusion.images import read_image
from diffusion.settings import Settings, random_seed
from diffusion.tasks import RESIZE_MODES, InitImage

__all__ = ["draw_from_picture"]

EXAMPLES = examples(
    'avila img2img apple.png "a green apple"',
    'avila img2img sketch.jpg "a castle" --strength 0.8 --seed 7 --count 4',
    'avila img2img photo.jpg "a painting" --size 512x768 --resize crop',
)


@dataclass(frozen=True)
class StartOptions(OptionGroup, panel="The picture to start from", first=("strength", "size")):
    """Strength and size: how far the new picture may leave the first one."""

    strength: Annotated[
        float,
        Option(help="How much is drawn anew: 0 changes next to nothing, 1 keeps next to nothing."),
    ] = 0.75
    size: StartSizeOption = None
    resize: Annotated[
        str,
        Option(
            metavar="NAME",
            autocompletion=complete_from(RESIZE_MODES.names),
            help=f"How the picture is brought to --size: one of {', '.join(RESIZE_MODES.names)}.",
        ),
    ] = "stretch"


@drawing_command("img2img", epilog=EXAMPLES)
def draw_from_picture(
    image: ImageArgument,
    prompt: PromptArgument = None,
    *,
    start: StartOptions,
    drawing: DrawingOptions,
) -> Request:
    """Draw pictures that start from a picture.

    The picture is covered with noise, the more the higher --strength, and drawn anew from there.
    0.3 keeps its shapes and changes surfaces, 0.75 keeps the composition, 1 keeps next to nothing.
    Of the --steps only the last int(strength x steps) + 1 are made.
    """
    width, height = parse_sides(start.size)
    init_image = InitImage(read_image(image), start.strength, start.resize)
    settings = Settings(
        require_prompt(prompt),
        width=width,
        height=height,
        seed=random_seed(),
        init_image=init_image,
    )
    return Request(drawing.change(settings), drawing, (image,))
