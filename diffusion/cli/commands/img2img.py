"""``avila img2img``: pictures that start from a picture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import typer
from typer import Option

from diffusion.cli.app import app, examples, reporting
from diffusion.cli.job import draw
from diffusion.cli.options.drawing import DrawingOptions
from diffusion.cli.options.groups import OptionGroup, with_groups
from diffusion.cli.options.parsing import parse_size, random_seed
from diffusion.cli.options.shared import ImageArgument, PromptArgument, StartSizeOption
from diffusion.images import read_image
from diffusion.settings import Settings
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
            help=f"How the picture is brought to --size: one of {', '.join(RESIZE_MODES.names)}.",
        ),
    ] = "stretch"


@app.command("img2img", epilog=EXAMPLES)
@with_groups
def draw_from_picture(
    context: typer.Context,
    image: ImageArgument,
    prompt: PromptArgument,
    *,
    start: StartOptions,
    drawing: DrawingOptions,
) -> None:
    """Draw pictures that start from a picture.

    The picture is covered with noise, the more the higher --strength, and drawn anew from there.
    0.3 keeps its shapes and changes surfaces, 0.75 keeps the composition, 1 keeps next to nothing.
    Of the --steps only the last int(strength x steps) + 1 are made.
    """
    with reporting(context, drawing.run.debug):
        width, height = (None, None) if start.size is None else parse_size(start.size)
        init_image = InitImage(read_image(image), start.strength, start.resize)
        settings = Settings(
            prompt, width=width, height=height, seed=random_seed(), init_image=init_image
        )
        draw(drawing.change(settings), drawing, [image])
