"""``avila upscale``: a picture enlarged, with detail drawn into it."""

from __future__ import annotations

from pathlib import Path

import PIL.Image
import typer

from diffusion.catalogue import Catalogue
from diffusion.checks import MOST_SIDE, check_number
from diffusion.cli import networks, options, previews, rarer
from diffusion.cli.app import app, reporting
from diffusion.cli.job import NamedModel, Place, asked_variation, chosen_seed, draw
from diffusion.errors import SettingsError
from diffusion.images import MOST_PIXELS, read_image, to_rgb
from diffusion.infotext.grammar import Infotext, parse_infotext, read_infotext
from diffusion.infotext.to_settings import seamless_axes
from diffusion.settings import Settings
from diffusion.tasks import UPSCALERS, InitImage
from diffusion.tasks.seamless import resize_seamless
from gpustd.matmul.conv import Wrap

__all__ = ["upscale"]

EXAMPLES = """\
Examples:

[cyan]avila upscale apple.png[/cyan]

[cyan]avila upscale photo.jpg --scale 1.5 --prompt "a photo of a cat" --strength 0.2[/cyan]

[cyan]avila upscale old.png --scale 4 --vae-tiling on --output large.png[/cyan]

[cyan]avila upscale apple.png --strength 0.4 --count 4 --sampler euler_a --eta 0.5[/cyan]
"""
FILTERS = Catalogue("upscaler", [each for each in UPSCALERS if each.filter is not None])


@app.command(epilog=EXAMPLES)
def upscale(
    context: typer.Context,
    image: options.Image,
    *,
    scale: options.Scale = 2.0,
    upscaler: options.PixelUpscaler = "lanczos",
    strength: options.UpscaleStrength = 0.3,
    prompt: options.UpscalePrompt = None,
    negative: options.UpscaleNegative = None,
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
    seamless: rarer.UpscaleSeamless = None,
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
    """Enlarge a picture, and draw detail into it.

    The picture is enlarged by --upscaler; then --strength of it is drawn anew at its new size, as
    img2img does. The prompt is the picture's own, if its text has one. Large pictures pass the
    autoencoder in tiles, so that memory does not grow with them.
    """
    with reporting(context, debug):
        own = own_text(image)
        axes = seamless_axes(own) if seamless is None else rarer.parsed_seamless(seamless)
        larger = enlarged(to_rgb(read_image(image)), scale, upscaler, axes)
        settings = Settings(
            own.prompt if prompt is None else prompt,
            own.negative if negative is None else negative,
            None,
            None,
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
            init_image=InitImage(larger, strength),
            variation=rarer.some(asked_variation(variation, variation_seed, seed_resize)),
            vae_tiling=vae_tiling,
            seamless=axes,
            rng=rng,
            sampling=rarer.parsed_sampling(rare),
            zero_snr=zero_snr,
        )
        rarer.check_partners(rarer.written(context), None, settings.variation)
        named = NamedModel(model, tokenizer, prediction, vae, dtype, preview_vae)
        second = networks.NamedRefiner.chosen(refiner, refiner_switch)
        shown = previews.Preview.chosen(preview, preview_every, preview_vae, (image, profile))
        draw(settings, Place(named, output, device, profile, as_json, debug, second, shown))


def own_text(image: Path) -> Infotext:
    """A picture's text; empty where it has none."""
    found = parse_infotext(read_infotext(image) or "")
    return found if found.settings else Infotext("", "", {})


def enlarged(
    image: PIL.Image.Image, scale: float, upscaler: str, wrap: Wrap = ""
) -> PIL.Image.Image:
    """``image`` times ``scale``, to the nearest multiples of 8; edges meet along ``wrap``.

    Raises `SettingsError`.
    """
    check_number("scale", scale, 1, 16)
    resampling = FILTERS.find(upscaler).filter
    assert resampling is not None
    width, height = (max(8, round(side * scale / 8) * 8) for side in image.size)
    if max(width, height) > MOST_SIDE:
        raise SettingsError("scale", scale, f"{width}x{height} is over {MOST_SIDE} pixels a side")
    if width * height > MOST_PIXELS:
        raise SettingsError("scale", scale, f"{width}x{height} is over {MOST_PIXELS} pixels")
    return resize_seamless(image, (width, height), resampling, wrap)
