"""Random mixes of drawings that share their calls, compared bit for bit with each drawn alone.

    python -m tests.diffusion.batching.mixes 200 --device dawn

draws 200 mixes with tiny models, and ends with an error at the first pixel that differs. A mix has
random prompts, samplers, schedules, guidance, steps, sizes and tasks; its drawings join at random
turns, and some of them leave before they are done.
"""

from __future__ import annotations

import argparse
import functools
import random
import tempfile
import time
import warnings
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from diffusion import Pipeline, Settings
from diffusion.batching import Batcher, BatchLimits
from diffusion.batching.together import pictures_and_calls
from diffusion.pipeline.picture import Picture
from diffusion.samplers import SAMPLERS
from diffusion.tasks import Hires, InitImage, Inpaint
from gpucore import Device
from tests.goldens.family_folders import write_family

__all__ = ["MODELS", "Member", "check_mix", "draw_mix", "random_mix", "same_bits"]

MODELS = ("sd2", "xl_base", "consistency")
SIZES = ((16, 24), (24, 24))
PROMPTS = (
    "a red apple",
    "a (blue:1.3) cup on a table",
    "[a cat:a dog:2] in the sun",
    "a green leaf AND a tree :0.7",
    "",
    " ".join(["an apple and a pear"] * 20),
)
NEGATIVES = ("", "blurry", "ugly, [grey]")


@dataclass(frozen=True)
class Member:
    """A drawing of a mix: its settings, the turn at which it joins, and that at which it leaves."""

    settings: Settings
    joins: int
    leaves: int | None = None


def random_settings(draw: random.Random, *, composes: bool = True) -> Settings:
    """Return settings of one to three small pictures."""
    width, height = draw.choice(SIZES)
    prompts = [each for each in PROMPTS if composes or "AND" not in each]
    count = draw.choice((1, 1, 1, 2, 3))
    settings = Settings(
        draw.choice(prompts),
        draw.choice(NEGATIVES),
        width=width,
        height=height,
        steps=draw.randint(1, 4),
        guidance=draw.choice((1.0, 3.0, 7.5, round(draw.uniform(1.5, 9.0), 2))),
        sampler=draw.choice([each.name for each in SAMPLERS]),
        seed=draw.randrange(2**32),
        count=count,
        batch=draw.randint(1, count),
        clip_skip=draw.choice((1, 1, 2)),
        seamless=draw.choice(("", "", "", "x")),
    )
    task = draw.random()
    if task < 0.15:
        settings = replace(settings, hires=Hires(1.5, steps=2))
    elif task < 0.4:
        pixels = np.random.default_rng(draw.randrange(2**32))
        image = Image.fromarray(pixels.integers(0, 256, (height, width, 3), np.uint8))
        mask = Image.fromarray(pixels.integers(0, 2, (height, width), np.uint8) * np.uint8(255))
        inpaint = Inpaint(mask, blur=0) if task < 0.25 else None
        settings = replace(settings, init_image=InitImage(image, 0.7, inpaint=inpaint))
    return settings


def random_mix(draw: random.Random, members: int, *, composes: bool = True) -> list[Member]:
    """Return drawings, many of which have the size and the length of text of another."""
    mix: list[Member] = []
    for _ in range(members):
        settings = random_settings(draw, composes=composes)
        if mix and draw.random() < 0.7:
            other = draw.choice(mix).settings
            prompt = other.prompt if draw.random() < 0.5 else settings.prompt
            settings = replace(
                other,
                prompt=prompt,
                seed=settings.seed,
                steps=settings.steps,
                sampler=settings.sampler,
                guidance=draw.choice((other.guidance, 5.5)),
            )
        leaves = draw.randint(1, 6) if draw.random() < 0.2 else None
        mix.append(Member(settings, draw.randint(0, 6), leaves))
    return mix


def draw_mix(
    pipeline: Pipeline, mix: Iterable[Member], batcher: Batcher
) -> dict[int, list[Picture]]:
    """Return the pictures of each drawing that did not leave, by its place in the mix."""
    found: dict[int, list[Picture]] = {}
    members = dict(enumerate(mix))
    turn, last = 0, max(each.joins for each in members.values())
    while turn <= last or len(batcher):
        for number, each in members.items():
            if each.joins == turn:
                batcher.add(number, pictures_and_calls(pipeline, each.settings))
            if each.leaves is not None and each.joins + each.leaves == turn:
                batcher.remove(number)
        for ended in batcher.turn():
            if ended.error is not None:
                raise ended.error
            assert isinstance(ended.name, int)
            found[ended.name] = ended.result
        turn += 1
    return found


def pixels_of(pictures: Iterable[Picture]) -> NDArray[np.uint8]:
    """Return pictures (n, H, W, 3)."""
    return np.stack([np.asarray(each) for each in pictures])


def same_bits(a: Iterable[Picture], b: Iterable[Picture]) -> bool:
    """Tell whether pictures have the same pixels."""
    return np.array_equal(pixels_of(a), pixels_of(b))


def check_mix(pipeline: Pipeline, number: int, members: int) -> tuple[int, int]:
    """Draw mix ``number`` together and alone. Raises `AssertionError` where pixels differ.

    Return the pictures, and how many calls were made together with another drawing's.
    """
    draw = random.Random(number)
    composes = not pipeline.networks.embeds_guidance
    mix = random_mix(draw, members, composes=composes)
    batcher = Batcher(BatchLimits(images=draw.choice((2, 3, 4, 8))))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # settings that change nothing
        together = draw_mix(pipeline, mix, batcher)
        staying = {i for i, each in enumerate(mix) if each.leaves is None}
        assert staying <= together.keys(), "each that stays gets its pictures"
        for place, pictures in together.items():
            alone = pipeline.draw(mix[place].settings)
            if not same_bits(pictures, alone):
                raise AssertionError(f"mix {number}, drawing {place} differs: {mix[place]}")
    return sum(map(len, together.values())), batcher.sharing.shared


def main() -> None:
    """Draw mixes as the command line asks."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("count", type=int, help="mixes to draw")
    parser.add_argument("--first", type=int, default=0, help="number of the first mix")
    parser.add_argument("--members", type=int, default=6, help="drawings of a mix")
    parser.add_argument("--device", default=None, help="as in avila --device")
    chosen = parser.parse_args()
    device = Device.by_name(chosen.device) if chosen.device else Device.auto()
    begun, pictures, shared = time.monotonic(), 0, 0
    with tempfile.TemporaryDirectory() as folder:

        @functools.cache
        def pipeline(model: str) -> Pipeline:
            return Pipeline.load(write_family(Path(folder) / model, model), device)

        for number in range(chosen.first, chosen.first + chosen.count):
            model = MODELS[number % len(MODELS)]
            more = check_mix(pipeline(model), number, chosen.members)
            pictures, shared = pictures + more[0], shared + more[1]
            seconds = time.monotonic() - begun
            done = f"{pictures} pictures, {shared} calls made with others', {seconds:.0f} s"
            print(f"mix {number} ({model}): equal; {done}", flush=True)


if __name__ == "__main__":
    main()
