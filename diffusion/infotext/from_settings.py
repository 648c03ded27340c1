"""From settings to a picture's infotext, under the names that the WebUI gives them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from diffusion.adapters.tags import add_tags
from diffusion.infotext.grammar import write_infotext
from diffusion.infotext.guidance_fields import write_guidance
from diffusion.infotext.to_settings import (
    AXIS,
    DTYPE,
    HIRES_RESIZE,
    NOISE,
    SAMPLING_KEYS,
    WEIGHTS,
    ZERO_SNR,
)
from diffusion.noise import NOISES
from diffusion.prompts import EMPHASES
from diffusion.samplers import SamplerChoice, find_sampler_and_schedule
from diffusion.schedules import AUTOMATIC, ScheduleChoice, find_schedule
from diffusion.settings import Settings
from diffusion.tasks import AREAS, CONTENTS, UPSCALERS, Hires, InitImage, Inpaint, Variation

__all__ = ["infotext_from_settings", "other_networks_fields"]

Pairs = dict[str, str | int | float]


def infotext_from_settings(
    settings: Settings,
    number: int,
    model: str,
    digest: str,
    program: str,
    more: Mapping[str, str | int | float] | None = None,
) -> str:
    """Return the infotext of image ``number`` of a run.

    ``settings``: complete. ``model``, ``digest``: its name and hash. ``program``: name and version.
    ``more``: fields of other networks, from `other_networks_fields`.
    """
    sampler, schedule = _labels(settings.sampler or "", settings.schedule)
    same_seed = settings.variation is not None and settings.variation.strength > 0
    pairs: Pairs = {
        "Steps": settings.steps or 0,
        "Sampler": sampler,
        "Schedule type": schedule,
        "CFG scale": settings.guidance or 0.0,
        "Seed": (settings.seed + (0 if same_seed else number)) % 2**64,
        "Size": f"{settings.width}x{settings.height}",
        "Model hash": digest,
        "Model": model,
        "RNG": NOISES.find(settings.rng).label,
        "Version": program,
    }
    if settings.eta is not None:
        pairs["Eta"] = settings.eta
    for name, key in SAMPLING_KEYS.items():
        chosen = getattr(settings.sampling, name)
        if chosen is not None:
            pairs[key] = chosen
    if settings.vae_tiling != "auto":
        pairs["VAE tiling"] = settings.vae_tiling
    if settings.seamless:
        key, value = ("Tiling", "True") if settings.seamless == "xy" else (AXIS, settings.seamless)
        pairs[key] = value
    pairs |= write_guidance(settings.guidance_options)
    if settings.zero_snr:
        pairs[NOISE] = ZERO_SNR
    if settings.clip_skip > 1:
        pairs["Clip skip"] = settings.clip_skip
    emphasis = EMPHASES.find(settings.emphasis)
    if emphasis.name != "original":
        pairs["Emphasis"] = emphasis.label
    if settings.variation is not None:
        pairs |= _variation_fields(settings.variation, number)
    if settings.init_image is not None:
        pairs |= _init_image_fields(settings.init_image)
    if settings.hires is not None:
        first = settings.sampler or "", settings.schedule or AUTOMATIC
        pairs |= _hires_fields(settings.hires, *first)
    pairs |= more or {}
    prompt = add_tags(settings.prompt, settings.loras)
    return write_infotext(prompt, settings.negative, pairs)


def other_networks_fields(about: Mapping[str, Mapping[str, str]], switch: float | None) -> Pairs:
    """Return the fields of networks beside the model, and of the type that they compute in.

    ``about``: names and hashes of the ``vae``, the ``refiner`` and the model of ``hires`` where
    there are such, and the ``model``'s ``dtype`` and ``weights`` where such were chosen.
    ``switch``: the share of the steps before the refiner.
    """
    pairs: Pairs = {}
    if "dtype" in about["model"]:
        pairs[DTYPE] = about["model"]["dtype"]
    if "weights" in about["model"]:
        pairs[WEIGHTS] = about["model"]["weights"]
    if "vae" in about:
        pairs |= {"VAE": about["vae"]["name"], "VAE hash": about["vae"]["hash"]}
    if "refiner" in about and switch is not None:
        pairs["Refiner"] = "{name} [{hash}]".format(**about["refiner"])
        pairs["Refiner switch at"] = switch
    if "hires" in about:
        pairs["Hires checkpoint"] = "{name} [{hash}]".format(**about["hires"])
    return pairs


def _labels(sampler: SamplerChoice, schedule: ScheduleChoice | None) -> tuple[str, str]:
    """Return the labels of a sampler and its schedule."""
    found, named = find_sampler_and_schedule(sampler)
    chosen = find_schedule(schedule or AUTOMATIC) or named
    return found.label, chosen.label if chosen else "Automatic"


def _upscaler_label(name: str | Path) -> str:
    """Return the label of a filter, or the name of a network's file without its folders."""
    if isinstance(name, Path):
        return name.stem
    found = UPSCALERS.get(name)
    return found.label if found is not None else name.rpartition("/")[2]


def _variation_fields(variation: Variation, number: int) -> Pairs:
    """Return the fields of image ``number``'s variation."""
    pairs: Pairs = {}
    if variation.strength:
        pairs["Variation seed"] = (variation.seed + number) % 2**64
        pairs["Variation seed strength"] = variation.strength
    if variation.resize_from is not None:
        pairs["Seed resize from"] = "{}x{}".format(*variation.resize_from)
    return pairs


def _init_image_fields(start: InitImage) -> Pairs:
    """Return the fields of image to image, without defaults but the strength."""
    pairs: Pairs = {"Denoising strength": start.strength}
    if start.noise != 1:
        pairs["Noise multiplier"] = start.noise
    if start.keep_colours:
        pairs["Color correction"] = "True"
    if start.upscaler is not None:
        pairs["Upscaler"] = _upscaler_label(start.upscaler)
    return pairs | (_inpaint_fields(start.inpaint) if start.inpaint is not None else {})


def _inpaint_fields(inpaint: Inpaint) -> Pairs:
    """Return the fields of inpainting, without defaults."""
    pairs: Pairs = {}
    if inpaint.blur:
        pairs["Mask blur"] = inpaint.blur
    if inpaint.blur_down is not None and inpaint.blur_down != inpaint.blur:
        pairs["Mask blur down"] = inpaint.blur_down
    if inpaint.soft:
        pairs["Soft mask"] = "True"
    if inpaint.invert:
        pairs["Mask mode"] = "Inpaint not masked"
    content = CONTENTS.find(inpaint.content)
    if content.name != "original":
        pairs["Masked content"] = content.label
    area = AREAS.find(inpaint.area)
    if area.name == "masked":
        pairs["Inpaint area"] = area.label
        pairs["Masked area padding"] = inpaint.padding
    return pairs


def _hires_fields(hires: Hires, sampler: SamplerChoice, schedule: ScheduleChoice) -> Pairs:
    """Return the fields of the second pass; ``sampler`` and ``schedule`` are the first's.

    The schedule is written wherever a reader would take another from the first pass, since a
    sampler's name may hold one.
    """
    sampler_label, schedule_label = _labels(*hires.sampler_and_schedule(sampler, schedule))
    pairs: Pairs = {
        "Denoising strength": hires.strength,
        **(
            {"Hires upscale": hires.scale}
            if hires.resize is None
            else {HIRES_RESIZE: "{}x{}".format(*hires.resize)}
        ),
        "Hires upscaler": _upscaler_label(hires.upscaler),
    }
    if hires.first is not None:
        pairs["First pass"] = "given"
    if hires.steps is not None:
        pairs["Hires steps"] = hires.steps
    if hires.sampler is not None:
        pairs["Hires sampler"] = sampler_label
    if hires.schedule is not None or schedule_label != _labels(sampler, schedule)[1]:
        pairs["Hires schedule type"] = schedule_label
    if hires.guidance is not None:
        pairs["Hires CFG Scale"] = hires.guidance
    if hires.prompt is not None:
        pairs["Hires prompt"] = hires.prompt
    if hires.negative is not None:
        pairs["Hires negative prompt"] = hires.negative
    return pairs
