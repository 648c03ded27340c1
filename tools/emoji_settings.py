"""Measure how guidance, steps, samplers and schedules draw with the bundled model.

Each picture of a name counts as right if the nearest picture of the training data, by coarse
pixels, shows what was named: the same measure as `tools.train_emoji`'s `evaluate`.

python -m tools.emoji_settings bank BUILD BANK.npz   # BUILD: tools.train_emoji.build_data's folder
python -m tools.emoji_settings guidance BANK.npz     # names and colours by guidance and steps
python -m tools.emoji_settings samplers BANK.npz   # each sampler by steps
python -m tools.emoji_settings schedules BANK.npz    # each schedule, with DPM++ 2M
"""

from __future__ import annotations

import colorsys
import io
import json
import random
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from diffusion import Pipeline, Settings
from diffusion.samplers import SAMPLERS
from diffusion.schedules import SCHEDULES

GUIDANCES = (1.0, 1.5, 2.0, 2.5, 3.0, 4.0)
STEPS = (8, 12, 20)
NAMES = 96
FEW_NAMES = 24
COLOURED = ("apple", "car", "dragon", "strawberry", "umbrella", "fish", "rose", "dog")
# Hue in degrees in which a colour word is true, as in tools/train_emoji/evaluation.py.
HUES = {
    "red": (342, 16),
    "orange": (16, 42),
    "yellow": (40, 68),
    "green": (75, 160),
    "teal": (160, 196),
    "blue": (196, 242),
    "purple": (248, 302),
    "pink": (302, 352),
}


def coarse_pixels(image: Image.Image) -> NDArray[np.float32]:
    """Return 8 x 8 and 16 x 16 means of RGB in [0, 1], the finer at half weight."""
    parts = [
        np.asarray(image.resize((side, side), Image.Resampling.BOX), np.float32).ravel() / 255
        for side in (8, 16)
    ]
    return np.concatenate([parts[0], parts[1] / 2])


def make_bank(build: Path, bank: Path) -> None:
    """Write what retrieval needs of the data: coarse pixels, concepts, and names to draw."""
    meta = json.loads((build / "meta.json").read_text(encoding="utf-8"))
    raw = (build / "emoji.bin").read_bytes()
    known, concepts = [], []
    for image in meta["images"]:
        emoji = Image.open(io.BytesIO(raw[image["o"] : image["o"] + image["n"]])).convert("RGBA")
        ground = Image.new("RGBA", emoji.size, "white")
        known.append(coarse_pixels(Image.alpha_composite(ground, emoji).convert("RGB")))
        concepts.append(image["c"])
    plain = [k for k, image in enumerate(meta["images"]) if image["s"] == "3d"]
    random.Random(5).shuffle(plain)
    wanted = [concepts[k] for k in plain[:192]]
    names = [meta["concepts"][c]["label"] for c in wanted]
    coarse = np.stack(known).astype(np.float16)
    np.savez_compressed(bank, known=coarse, concepts=concepts, wanted=wanted, names=names)


class Bank:
    """The training data as coarse pixels, and names whose pictures can be told."""

    def __init__(self, path: Path) -> None:
        data = np.load(path)
        self.known: NDArray[np.float32] = data["known"].astype(np.float32)
        self.concepts: NDArray[np.int64] = data["concepts"]
        self.wanted: list[int] = data["wanted"].tolist()
        self.names: list[str] = data["names"].tolist()

    def shows(self, image: Image.Image, concept: int) -> bool:
        """Tell whether the nearest training picture shows the concept."""
        apart = np.square(self.known - coarse_pixels(image)).sum(axis=1)
        return int(self.concepts[apart.argmin()]) == concept


def draw(pipeline: Pipeline, settings: Settings) -> Image.Image:
    """Return the one picture of the settings."""
    return next(iter(pipeline.images(settings)))


def names_right(pipeline: Pipeline, bank: Bank, count: int, **options: Any) -> float:
    """Return the share of the first ``count`` names whose picture shows what was named."""
    drawn = zip(bank.names[:count], bank.wanted, strict=False)
    right = sum(
        bank.shows(draw(pipeline, Settings(name, seed=5 + k, **options)), concept)
        for k, (name, concept) in enumerate(drawn)
    )
    return right / count


def dominant_hue(image: Image.Image) -> float | None:
    """Return the most common hue of coloured pixels in degrees; None for almost none."""
    pixels = (
        np.asarray(image.resize((64, 64), Image.Resampling.BOX), np.float64).reshape(-1, 3) / 255
    )
    hues = [h for h, s, v in (colorsys.rgb_to_hsv(*p) for p in pixels) if s > 0.25 and v > 0.2]
    if len(hues) < 0.02 * len(pixels):
        return None
    counts = np.histogram(hues, bins=72, range=(0, 1))[0]
    return float((counts + np.roll(counts, 1) + np.roll(counts, -1)).argmax() * 5 + 2.5)


def colours_right(pipeline: Pipeline, **options: Any) -> float:
    """Return the share of "a COLOUR THING" whose most common hue is the named one."""
    pairs = [(colour, thing) for colour in HUES for thing in COLOURED]
    right = 0
    for k, (colour, thing) in enumerate(pairs):
        article = "an" if colour[0] in "aeiou" else "a"
        settings = Settings(f"{article} {colour} {thing}", seed=3 + k, **options)
        hue = dominant_hue(draw(pipeline, settings))
        low, high = HUES[colour]
        inside = hue is not None and (
            low <= hue <= high if low < high else hue >= low or hue <= high
        )
        right += inside
    return right / len(pairs)


def _within(hue: float, low: int, high: int) -> bool:
    return low <= hue <= high if low < high else hue >= low or hue <= high


def guidance_rows(pipeline: Pipeline, bank: Bank) -> Iterator[Sequence[object]]:
    """Yield guidance, steps, names and colours that are right."""
    for guidance in GUIDANCES:
        for steps in STEPS:
            names = names_right(pipeline, bank, NAMES, guidance=guidance, steps=steps)
            colours = colours_right(pipeline, guidance=guidance, steps=steps)
            yield guidance, steps, f"{names:.1%}", f"{colours:.1%}"


def sampler_rows(pipeline: Pipeline, bank: Bank) -> Iterator[Sequence[object]]:
    """Yield each sampler and the names that are right at 8, 12 and 20 steps."""
    for sampler in SAMPLERS:
        shares = [
            f"{names_right(pipeline, bank, FEW_NAMES, sampler=sampler.name, steps=n):.0%}"
            for n in STEPS
        ]
        yield sampler.name, *shares


def schedule_rows(pipeline: Pipeline, bank: Bank) -> Iterator[Sequence[object]]:
    """Yield each schedule with DPM++ 2M and the names that are right at 8, 12 and 20 steps."""
    for schedule in SCHEDULES:
        shares = [
            f"{names_right(pipeline, bank, FEW_NAMES, schedule=schedule.name, steps=n):.0%}"
            for n in STEPS
        ]
        yield schedule.name, *shares


def main(arguments: Sequence[str]) -> None:
    """Run one of the commands of the module's docstring; rows are printed as they are known."""
    command, *paths = arguments
    if command == "bank":
        make_bank(Path(paths[0]), Path(paths[1]))
        return
    pipeline, bank = Pipeline.load(), Bank(Path(paths[0]))
    rows = {"guidance": guidance_rows, "samplers": sampler_rows, "schedules": schedule_rows}
    for row in rows[command](pipeline, bank):
        print("|", " | ".join(map(str, row)), "|", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
