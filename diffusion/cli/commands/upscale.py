"""``avila upscale``: a picture enlarged, with detail drawn into it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import PIL.Image
from typer import Option

from diffusion.checks import MOST_SIDE, check_number
from diffusion.cli.app import examples
from diffusion.cli.drawing import drawing_command
from diffusion.cli.options.completion import complete_from
from diffusion.cli.options.drawing import DrawingOptions
from diffusion.cli.options.groups import OptionGroup
from diffusion.cli.options.shared import ImageArgument
from diffusion.cli.options.upscalers import find_upscaler
from diffusion.cli.requests import Request
from diffusion.errors import SettingsError
from diffusion.images import MOST_PIXELS, read_image, to_rgb
from diffusion.infotext.files import read_infotext
from diffusion.infotext.grammar import Infotext, parse_infotext
from diffusion.infotext.to_settings import seamless_axes
from diffusion.settings import Settings, random_seed
from diffusion.tasks import PIXEL_UPSCALERS, InitImage, is_network_upscaler
from diffusion.tasks.seamless import resize_seamless
from gpustd.matmul.conv import Wrap

__all__ = ["draw_larger"]

EXAMPLES = examples(
    "avila upscale apple.png",
    'avila upscale photo.jpg --scale 1.5 --prompt "a photo of a cat" --strength 0.2',
    "avila upscale photo.jpg --scale 4 --upscaler 4x-UltraSharp --upscalers models/ESRGAN",
    "avila upscale old.png --scale 4 --vae-tiling on --output large.png",
    "avila upscale apple.png --strength 0.4 --count 4 --sampler euler_a --eta 0.5",
)


@dataclass(frozen=True)
class UpscaleOptions(OptionGroup):
    """Scale, upscaler, strength and prompt of a picture that is enlarged."""

    scale: Annotated[float, Option(help="How many times as wide and high, 1 to 16.")] = 2.0
    upscaler: Annotated[
        str,
        Option(
            metavar="NAME",
            autocompletion=complete_from(PIXEL_UPSCALERS.names),
            help=f"One of {', '.join(PIXEL_UPSCALERS.names)}, a network in --upscalers (ESRGAN, "
            "Real-ESRGAN), or the path of its .safetensors file.",
        ),
    ] = "lanczos"
    strength: Annotated[
        float, Option(help="How much is drawn anew: 0.2 sharpens, 0.5 invents.")
    ] = 0.3
    prompt: Annotated[
        str | None,
        Option(
            help="What the picture shows. The negative prompt, too, comes from the picture's own "
            "text where it is not given.",
            show_default="the prompt in the picture's own text, or none",
        ),
    ] = None


@drawing_command("upscale", epilog=EXAMPLES)
def draw_larger(
    image: ImageArgument,
    *,
    enlarging: UpscaleOptions,
    drawing: DrawingOptions,
) -> Request:
    """Enlarge a picture, and draw detail into it.

    The picture is enlarged by --upscaler. Then --strength of it is drawn anew at its new size, as
    'avila img2img' does. The prompt is the picture's own, if its text has one. Large pictures are
    encoded and decoded in tiles, so that they need no more memory.
    """
    text = read_own_text(image)
    prompt = text.prompt if enlarging.prompt is None else enlarging.prompt
    axes = seamless_axes(text) if drawing.picture.seamless is None else ""
    settings = drawing.change(Settings(prompt, text.negative, seed=random_seed(), seamless=axes))
    picture = to_rgb(read_image(image))
    chosen = find_upscaler(enlarging.upscaler)
    if is_network_upscaler(chosen):
        drawing.upscaling.folder().find(chosen)
        width, height = larger_size(picture, enlarging.scale)
        settings = replace(settings, width=width, height=height)
        init_image = InitImage(picture, enlarging.strength, upscaler=chosen)
    else:
        larger = enlarge(picture, enlarging.scale, str(chosen), settings.seamless)
        init_image = InitImage(larger, enlarging.strength)
    return Request(replace(settings, init_image=init_image), drawing, (image,))


def read_own_text(image: Path) -> Infotext:
    """Return what a picture's text says; all is empty where no settings can be read."""
    try:
        found = parse_infotext(read_infotext(image) or "")
    except SettingsError:  # another program's; a damaged picture is told where it is opened
        found = parse_infotext("")
    return found if found.settings else Infotext("", "", {})


def enlarge(
    image: PIL.Image.Image, scale: float, upscaler: str, axes: Wrap = ""
) -> PIL.Image.Image:
    """Return ``image`` enlarged ``scale`` times, to the nearest multiples of 8.

    Edges meet along ``axes``. Raises `SettingsError`.
    """
    resampling = PIXEL_UPSCALERS.find(upscaler).filter
    assert resampling is not None
    return resize_seamless(image, larger_size(image, scale), resampling, axes)


def larger_size(image: PIL.Image.Image, scale: float) -> tuple[int, int]:
    """Return the sides of ``image``, ``scale`` times as long, to the nearest multiples of 8.

    Raises `SettingsError`.
    """
    check_number("scale", scale, 1, 16)
    width, height = (max(8, round(side * scale / 8) * 8) for side in image.size)
    if max(width, height) > MOST_SIDE:
        raise SettingsError("scale", scale, f"{width}x{height} is over {MOST_SIDE} pixels a side")
    if width * height > MOST_PIXELS:
        raise SettingsError("scale", scale, f"{width}x{height} is over {MOST_PIXELS} pixels")
    return width, height
