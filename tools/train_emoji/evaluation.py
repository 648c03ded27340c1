"""Measure a model folder: sharpness of its VAE, retrieval of names, truth of colours."""

import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 - the name that the field knows
from torch import Tensor

from tools.train_emoji.captions import HELD_OUT_FORMS
from tools.train_emoji.colours import to_hsv
from tools.train_emoji.dataset import Dataset
from tools.train_emoji.losses import psnr
from tools.train_emoji.networks import decode, posterior
from tools.train_emoji.sampling import Sampler
from tools.train_emoji.settings import STYLES
from tools.train_emoji.sheets import PROMPTS, sheet
from tools.train_emoji.timebox import log

RETRIEVED_NAMES = 192
# Things of one colour that every caption style names in the same way.
COLOURED_THINGS = (
    *("apple", "car", "dragon", "strawberry", "umbrella", "fish", "frog", "elephant"),
    *("dog", "whale", "rose", "hat"),
)
# Hue range in degrees in which each colour word is true.
HUE_RANGES: dict[str, tuple[float, float]] = {
    "red": (342.0, 16.0),
    "orange": (16.0, 42.0),
    "yellow": (40.0, 68.0),
    "green": (75.0, 160.0),
    "teal": (160.0, 196.0),
    "blue": (196.0, 242.0),
    "purple": (248.0, 302.0),
    "pink": (302.0, 352.0),
}


def reconstruct(sampler: Sampler, x: Tensor) -> Tensor:
    """Reconstruct pictures (RGB in [-1, 1]) from the posterior's mean in float32."""
    return decode(sampler.vae, posterior(sampler.vae, x)[0]).clamp(-1, 1)


@torch.no_grad()
def reconstruction_psnr(sampler: Sampler, data: Dataset, *, every: int = 7) -> dict[str, float]:
    """Return the mean PSNR in dB over every 7th picture of each style, over all, and over 24.

    The last is the set by which the first model was measured.
    """
    values: dict[str, Tensor] = {}
    for style in STYLES:
        values[style] = _psnr_of(sampler, data, data.of_style(style)[::every])
    values["all"] = torch.cat(list(values.values()))
    spread = torch.linspace(0, len(data.pictures) - 1, min(24, len(data.pictures))).long()
    values["24 pictures"] = _psnr_of(sampler, data, spread)
    return {name: value.mean().item() for name, value in values.items()}


def _psnr_of(sampler: Sampler, data: Dataset, index: Tensor) -> Tensor:
    parts = index.to(sampler.device).split(16)
    pictures = [data.on_white(part) for part in parts]
    return torch.cat([psnr(reconstruct(sampler, x), x) for x in pictures])


def coarse_pixels(x: Tensor) -> Tensor:
    """Return 8 x 8 and 16 x 16 means of RGB in [-1, 1], the finer at half weight."""
    x = (x + 1) / 2
    coarse = F.adaptive_avg_pool2d(x, 8).flatten(1)
    return torch.cat([coarse, F.adaptive_avg_pool2d(x, 16).flatten(1) * 0.5], 1)


def ranks(pictures: Tensor, wanted: Sequence[int], data: Dataset) -> dict[str, float]:
    """Return how often the nearest training picture, or one of five, has the concept."""
    index = torch.arange(len(data.pictures), device=pictures.device)
    known = torch.cat([coarse_pixels(data.on_white(part)) for part in index.split(128)])
    nearest = torch.cdist(coarse_pixels(pictures), known).topk(5, 1, largest=False).indices
    right = data.labels[nearest] == torch.tensor(wanted, device=pictures.device)[:, None]
    return {
        "top1": right[:, 0].float().mean().item(),
        "top5": right.any(1).float().mean().item(),
    }


def retrieval(sampler: Sampler, data: Dataset) -> dict[str, Any]:
    """Measure names alone, and the same names in sentences that training never used.

    192 concepts that have a 3D picture, drawn as for the first model.
    """
    index = [k for k, picture in enumerate(data.pictures) if picture.style == STYLES[0]]
    random.Random(5).shuffle(index)
    wanted = [data.pictures[k].concept for k in index[:RETRIEVED_NAMES]]
    names = [data.concepts[c].label for c in wanted]
    forms = [HELD_OUT_FORMS[k % len(HELD_OUT_FORMS)] for k in range(len(names))]
    spoken = [form.format(name) for form, name in zip(forms, names, strict=True)]
    return {
        "names": ranks(sampler(names, seed=5), wanted, data),
        "unseen phrasing": ranks(sampler(spoken, seed=5), wanted, data),
    }


def dominant_hue(pictures: Tensor) -> Tensor:
    """Return the most common hue (degrees) of the coloured pixels; NaN for almost none."""
    hue, saturation, value = to_hsv((pictures + 1) / 2)
    coloured = (saturation > 0.25) & (value > 0.2)
    found = torch.full((len(pictures),), float("nan"))
    for k, mask in enumerate(coloured.cpu()):
        if mask.float().mean() > 0.02:
            counts = torch.histc(hue[k].cpu()[mask], bins=72, min=0, max=360)
            smooth = counts + counts.roll(1) + counts.roll(-1)
            found[k] = smooth.argmax() * 5 + 2.5
    return found


def colour_truth(sampler: Sampler) -> dict[str, Any]:
    """Return the share of "a COLOUR THING" whose most common hue is the named one."""
    pairs = [(colour, thing) for colour in HUE_RANGES for thing in COLOURED_THINGS]
    prompts = [f"a {colour} {thing}".replace("a o", "an o") for colour, thing in pairs]
    hues = dominant_hue(sampler(prompts, seed=3))
    wrong = [
        f"{prompt}: {hue:.0f}"
        for (colour, _), prompt, hue in zip(pairs, prompts, hues.tolist(), strict=True)
        if not _within(hue, *HUE_RANGES[colour])
    ]
    return {"right": 1 - len(wrong) / len(prompts), "prompts": len(prompts), "wrong": wrong}


def _within(hue: float, low: float, high: float) -> bool:
    return low <= hue <= high if low < high else hue >= low or hue <= high


def evaluate(folder: Path, data: Dataset, out: Path) -> None:
    """Write `evaluation.json`, `samples.png` and `reconstructions.png` into `out`."""
    out.mkdir(parents=True, exist_ok=True)
    device = data.pixels.device
    sampler = Sampler(folder, device, batch=64 if device.type == "cuda" else 8)
    sheet(sampler(PROMPTS), PROMPTS).save(out / "samples.png")
    spread = torch.linspace(0, len(data.pictures) - 1, 24).long().to(device)
    originals = data.on_white(spread)
    with torch.no_grad():
        seen = torch.cat([reconstruct(sampler, part) for part in originals.split(8)])
    rows = torch.cat([originals[:12], seen[:12], originals[12:], seen[12:]])
    sheet(rows, [""] * len(rows), columns=12, side=256).save(out / "reconstructions.png")
    measured: dict[str, Any] = {"psnr": reconstruction_psnr(sampler, data)}
    log("evaluate: PSNR", measured["psnr"])
    measured["retrieval"] = retrieval(sampler, data)
    log("evaluate: retrieval", measured["retrieval"])
    measured["colours"] = colour_truth(sampler)
    log("evaluate: colours", measured["colours"])
    text = json.dumps(measured, indent=2) + "\n"
    (out / "evaluation.json").write_text(text, encoding="utf-8")
