"""``avila txt2img``: a prompt becomes pictures, written as they are finished."""

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
from diffusion.errors import SettingsError
from diffusion.settings import Settings
from diffusion.tasks import Hires

__all__ = ["txt2img"]

EXAMPLES = """\
Examples:

[cyan]avila txt2img "a red apple"[/cyan]

[cyan]avila txt2img "a green dragon, cartoon" --seed 7 --count 4 --output dragons/[/cyan]

[cyan]avila txt2img "a castle" --model path/to/folder --size 512x768 --sampler euler_a[/cyan]

[cyan]avila txt2img "a castle" --hires 2 --hires-upscaler lanczos --hires-strength 0.4[/cyan]

[cyan]avila txt2img "a cat" --seed 7 --variation 0.2 --count 4[/cyan]

[cyan]avila txt2img "pebbles, top view" --seamless xy[/cyan]

[cyan]avila txt2img --from 00001-7.png --steps 30[/cyan]

[cyan]avila txt2img "a castle" --model sdxl/ --refiner refiner/ --refiner-switch 0.8[/cyan]

[cyan]avila txt2img "a fox" --device cpu --json[/cyan]
"""


@app.command(epilog=EXAMPLES)
def txt2img(
    context: typer.Context,
    prompt: rarer.PromptOrNone = None,
    *,
    negative: options.Negative = "",
    size: options.Size = None,
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
    source: rarer.FromPicture = None,
    hires: options.HiresScale = None,
    hires_upscaler: options.HiresUpscaler = "latent",
    hires_strength: options.HiresStrength = 0.7,
    hires_steps: options.HiresSteps = None,
    hires_sampler: options.HiresSampler = None,
    hires_schedule: options.HiresSchedule = None,
    hires_guidance: options.HiresGuidance = None,
    hires_prompt: options.HiresPrompt = None,
    hires_negative: options.HiresNegative = None,
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
    """Draw pictures from a prompt.

    Every PNG holds its settings as text (key "parameters"), as other tools of the field read
    them. The files' names go to stdout, all else to stderr.

    --hires makes a second pass: the picture is enlarged, and --hires-strength of it is drawn anew
    at the new size, which adds detail without the doubled subjects that a large first pass shows.
    """
    with reporting(context, debug):
        second = None
        if hires is not None:
            second = Hires(
                hires,
                hires_upscaler,
                hires_strength,
                hires_steps,
                hires_sampler,
                hires_schedule,
                hires_prompt,
                hires_negative,
                hires_guidance,
            )
        if prompt is None and source is None:
            raise SettingsError("prompt", None, "give one, or --from PICTURE")
        asked = asked_variation(variation, variation_seed, seed_resize)
        settings = Settings(
            prompt or "",
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
            hires=second,
            variation=rarer.some(asked),
            vae_tiling=vae_tiling,
            seamless=rarer.parsed_seamless(seamless),
            rng=rng,
            sampling=rarer.parsed_sampling(rare),
            zero_snr=zero_snr,
        )
        written = rarer.written(context)
        text = None if source is None else rarer.carried(source)
        if text is not None:
            settings = rarer.again(text, settings, asked, written)
            dtype = dtype or rarer.carried_dtype(text)
        named = NamedModel(model, tokenizer, prediction, vae, dtype, preview_vae)
        rarer.check_partners(written, settings.hires, settings.variation)
        usual = None if text is None else rarer.carried_switch(text)
        last = networks.NamedRefiner.chosen(refiner, refiner_switch, usual)
        shown = previews.Preview.chosen(preview, preview_every, preview_vae, (source, profile))
        draw(settings, Place(named, output, device, profile, as_json, debug, last, shown), text)
