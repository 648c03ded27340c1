"""``avila inpaint``: parts of a picture drawn anew, or the picture continued beyond its edges."""

from __future__ import annotations

from pathlib import Path

import PIL.Image
import typer

from diffusion.cli import networks, options, previews, rarer
from diffusion.cli.app import app, reporting
from diffusion.cli.job import (
    NamedModel,
    Place,
    asked_variation,
    chosen_seed,
    draw,
    parsed_size,
)
from diffusion.errors import SettingsError
from diffusion.images import read_image, to_mask
from diffusion.settings import Settings
from diffusion.tasks import AREAS, InitImage, Inpaint, extend_image
from diffusion.tasks.outpaint import Sides

__all__ = ["inpaint"]

EXAMPLES = """\
Examples:

[cyan]avila inpaint face.png "a red hat" --mask hat.png[/cyan]

[cyan]avila inpaint room.jpg "a wooden chair" --mask chair.png --area masked --strength 0.9[/cyan]

[cyan]avila inpaint view.png "mountains, blue sky" --left 64 --right 64 --overlap 32[/cyan]
"""
STRENGTH = 0.75
EXTENDING_STRENGTH = 0.9
PADDING = 32


@app.command(epilog=EXAMPLES)
def inpaint(
    context: typer.Context,
    image: options.Image,
    prompt: options.Prompt,
    *,
    mask: options.Mask = None,
    invert: options.Invert = False,
    mask_blur: options.MaskBlur = 4.0,
    content: options.Content = "original",
    area: options.Area = "whole",
    padding: options.Padding = None,
    left: options.Left = 0,
    top: options.Top = 0,
    right: options.Right = 0,
    bottom: options.Bottom = 0,
    overlap: options.Overlap = None,
    strength: options.InpaintStrength = None,
    negative: options.Negative = "",
    size: options.PictureSize = None,
    seed: options.Seed = -1,
    count: options.Count = 1,
    variation: options.VariationStrength = 0.0,
    variation_seed: options.VariationSeed = -1,
    seed_resize: options.SeedResize = None,
    steps: options.Steps = None,
    guidance: options.Guidance = None,
    sampler: options.SamplerName = None,
    schedule: options.ScheduleName = None,
    eta: options.Eta = None,
    emphasis: options.EmphasisName = "original",
    clip_skip: options.ClipSkip = 1,
    batch: options.Batch = None,
    rng: rarer.Rng = "nv",
    rare: rarer.Set = None,
    zero_snr: rarer.ZeroSnr = False,
    refiner: networks.Refiner = None,
    refiner_switch: networks.RefinerSwitch = None,
    seamless: rarer.Seamless = "off",
    vae_tiling: options.VaeTiling = "auto",
    model: options.Model = None,
    tokenizer: options.Tokenizer = None,
    prediction: options.Predicts = None,
    vae: networks.Vae = None,
    dtype: networks.DTypeName = None,
    output: options.Output = ".",
    preview: previews.PreviewFile = None,
    preview_every: previews.PreviewEvery = None,
    preview_vae: previews.PreviewVae = None,
    device: options.DeviceName = None,
    profile: options.Profile = None,
    as_json: options.AsJson = False,
    debug: options.Debug = False,
) -> None:
    """Draw a part of a picture anew; or continue it beyond its edges.

    White in --mask is drawn, black stays, to the pixel but for the blurred edge (with --size, the
    picture is scaled first). Without --mask,
    what is transparent in the picture is drawn. --area masked cuts a box around the mask, draws it
    at full size and puts it back: detail for small things. --left, --top, --right and --bottom
    add so many pixels at a side, which continue the edge and are drawn anew, --overlap pixels of
    the picture with them.

    Any model can do it; those made for inpainting (nine input channels) fit the rest better.
    """
    with reporting(context, debug):
        picture = read_image(image)
        sides = (left, top, right, bottom)
        check_partners(sides, mask, invert, area, padding, overlap)
        if any(sides):
            picture, masked = extend_image(picture, sides, overlap)
        else:
            masked = found_mask(picture, mask)
        usual = EXTENDING_STRENGTH if any(sides) else STRENGTH
        around = PADDING if padding is None else padding
        part = Inpaint(masked, mask_blur, invert, content, area, around)
        start = InitImage(
            picture,
            usual if strength is None else strength,
            "stretch" if size else "pad",
            inpaint=part,
        )
        settings = Settings(
            prompt,
            negative,
            *parsed_size(size),
            steps,
            guidance,
            sampler,
            schedule,
            chosen_seed(seed),
            count,
            batch,
            eta,
            emphasis,
            clip_skip,
            init_image=start,
            variation=rarer.some(asked_variation(variation, variation_seed, seed_resize)),
            vae_tiling=vae_tiling,
            seamless=rarer.parsed_seamless(seamless),
            rng=rng,
            sampling=rarer.parsed_sampling(rare),
            zero_snr=zero_snr,
        )
        rarer.check_partners(rarer.written(context), None, settings.variation)
        named = NamedModel(model, tokenizer, prediction, vae, dtype, preview_vae)
        second = networks.NamedRefiner.chosen(refiner, refiner_switch)
        shown = previews.Preview.chosen(preview, preview_every, preview_vae, (image, mask, profile))
        draw(settings, Place(named, output, device, profile, as_json, debug, second, shown))


def check_partners(
    sides: Sides,
    mask: Path | None,
    invert: bool,
    area: str,
    padding: int | None,
    overlap: int | None,
) -> None:
    """Refuse options that exclude each other or would change nothing. Raises `SettingsError`."""
    if any(sides) and mask is not None:
        raise SettingsError("mask", str(mask), "extend the picture, or give a mask")
    if any(sides) and invert:
        raise SettingsError("invert", True, "what is added to the picture is drawn; leave it out")
    if padding is not None and AREAS.find(area).name != "masked":
        raise SettingsError("padding", padding, "give --area masked beside it")
    if overlap is not None and not any(sides):
        hint = "give --left, --top, --right or --bottom beside it"
        raise SettingsError("overlap", overlap, hint)


def found_mask(picture: PIL.Image.Image, mask: Path | None) -> PIL.Image.Image:
    """The mask in a file, or else what is transparent in the picture. Raises `SettingsError`."""
    if mask is not None:
        return to_mask(read_image(mask, "mask"))
    alpha = picture.convert("RGBA").getchannel("A")
    if alpha.getextrema() == (255, 255):
        raise SettingsError("mask", None, "give --mask FILE, or a picture with transparent parts")
    return PIL.Image.eval(alpha, lambda level: 255 if level < 128 else 0)
