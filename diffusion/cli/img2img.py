"""``avila img2img``: pictures that start from a picture."""

from __future__ import annotations

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
from diffusion.images import read_image
from diffusion.settings import Settings
from diffusion.tasks import InitImage

__all__ = ["img2img"]

EXAMPLES = """\
Examples:

[cyan]avila img2img apple.png "a green apple"[/cyan]

[cyan]avila img2img sketch.jpg "a castle" --strength 0.8 --seed 7 --count 4[/cyan]

[cyan]avila img2img photo.jpg "a painting" --size 512x768 --resize crop[/cyan]
"""


@app.command(epilog=EXAMPLES)
def img2img(
    context: typer.Context,
    image: options.Image,
    prompt: options.Prompt,
    *,
    strength: options.Strength = 0.75,
    resize: options.Resize = "stretch",
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
    """Draw pictures that start from a picture.

    The picture is covered with noise, the more the higher --strength, and drawn anew from there:
    0.3 keeps its shapes and changes surfaces, 0.75 keeps the composition, 1 keeps next to
    nothing. Of the --steps only the last int(strength x steps) + 1 are made.
    """
    with reporting(context, debug):
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
            init_image=InitImage(read_image(image), strength, resize),
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
        shown = previews.Preview.chosen(preview, preview_every, preview_vae, (image, profile))
        draw(settings, Place(named, output, device, profile, as_json, debug, second, shown))
