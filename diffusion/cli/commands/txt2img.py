"""``avila txt2img``: a prompt becomes pictures, written as they are finished."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from diffusion.cli.app import examples
from diffusion.cli.drawing import drawing_command
from diffusion.cli.from_picture import read_picture_text
from diffusion.cli.options.drawing import DrawingOptions
from diffusion.cli.options.hires import HiresOptions
from diffusion.cli.options.parsing import parse_sides
from diffusion.cli.options.shared import PROMPT_HELP, SizeOption
from diffusion.cli.requests import Request
from diffusion.errors import SettingsError
from diffusion.infotext.to_settings import settings_from_infotext
from diffusion.settings import Settings, random_seed
from diffusion.tasks.resizing import drawn_size

__all__ = ["draw_from_prompt"]

EXAMPLES = examples(
    'avila txt2img "a red apple"',
    'avila txt2img "a green dragon, cartoon" --seed 7 --count 4 --output dragons/',
    'avila txt2img "a castle" --model path/to/folder --size 512x768 --sampler euler_a',
    'avila txt2img "a castle" --hires 2 --hires-upscaler lanczos --hires-strength 0.4',
    "avila txt2img --from 00001-7.png --hires 2 --hires-first 00001-7.png",
    'avila txt2img "a cat" --seed 7 --variation 0.2 --count 4',
    'avila txt2img "pebbles, top view" --seamless xy',
    "avila txt2img --from 00001-7.png --steps 30",
    'avila txt2img "a castle" --model sdxl/ --refiner refiner/ --refiner-switch 0.8',
    'avila txt2img "a fox" --device cpu --json',
)

OptionalPrompt = Annotated[str | None, Argument(help=PROMPT_HELP, show_default=False)]
FromOption = Annotated[
    Path | None,
    Option(
        "--from",
        metavar="PICTURE",
        help="Draw a picture again, with the settings that its file carries. Options beside it "
        "change them.",
        show_default=False,
        rich_help_panel="Prompt and picture",
    ),
]


@drawing_command("txt2img", epilog=EXAMPLES)
def draw_from_prompt(
    prompt: OptionalPrompt = None,
    *,
    size: SizeOption = None,
    picture: FromOption = None,
    drawing: DrawingOptions,
    hires: HiresOptions,
) -> Request:
    """Draw pictures from a prompt.

    Every picture's file holds its settings as text (in a PNG under the key "parameters"), so that
    this program and others of the field can read them. The names of the files go to stdout, all
    else to stderr.

    --hires makes a second pass: the picture is enlarged, and --hires-strength of it is drawn anew
    at the new size. This adds detail, without the doubled subjects that a large first pass shows.
    --hires-first goes on from a picture that was drawn before: see many at the first size, and
    enlarge the best.
    """
    if prompt is None and picture is None:
        raise SettingsError("prompt", None, "give one, --prompts FILE, or --from PICTURE")
    text = None if picture is None else read_picture_text(picture)
    settings = Settings("", seed=random_seed()) if text is None else settings_from_infotext(text)
    settings = drawing.change(settings)
    settings = replace(settings, hires=hires.change(settings.hires))
    if prompt is not None:
        settings = replace(settings, prompt=prompt)
    sides = _sides(size, settings)
    if sides is not None:
        settings = replace(settings, width=sides[0], height=sides[1])
    files = tuple(each for each in (picture, hires.first_pass) if each is not None)
    return Request(settings, drawing, files, text)


def _sides(size: str | None, settings: Settings) -> tuple[int | None, int | None] | None:
    """Return the width and height that are typed, or those of a first pass that was drawn before.

    Raises `SettingsError`.
    """
    if size is not None:
        return parse_sides(size)
    first = None if settings.hires is None else settings.hires.first
    return None if first is None else drawn_size(first)
