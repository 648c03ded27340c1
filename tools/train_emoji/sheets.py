"""Contact sheets: many pictures with their captions in one PNG, for judging by eye."""

import random
from collections.abc import Sequence
from pathlib import Path

import torch
from PIL import Image, ImageDraw
from torch import Tensor

from tools.train_emoji.bank import Entry, may_recolour, render
from tools.train_emoji.colours import BACKGROUNDS, COLOURS
from tools.train_emoji.dataset import Dataset

PROMPTS = (
    *("a red apple", "a green apple", "a cat", "a dog", "a rocket", "a red car", "a house"),
    *("a pizza", "a birthday cake", "a smiling face with sunglasses", "a panda", "a tree"),
    *("a diamond", "a castle", "a guitar", "a bicycle", "a sunflower", "a penguin"),
    *("a hamburger", "a snowman", "a heart", "a flower", "a book", "an umbrella"),
    *("a blue apple", "a purple strawberry", "a green dog", "a pink car", "a blue dragon"),
    *("a yellow whale", "a red frog", "an orange elephant", "a teal umbrella", "a red fish"),
    *("a black cat", "a white cat", "a brown horse", "a gray owl", "a pink elephant"),
    *("a blue rose", "a rocket on a blue background", "a strawberry on a yellow background"),
    *("a pizza, flat", "a red apple, flat", "a cat, cartoon", "a rocket, cartoon"),
    *("a green heart, flat", "a blue car, cartoon", "a photo of a lion, highly detailed"),
    *("an icon of a mushroom", "a robot", "a ghost", "a crown", "an ice cream"),
    *("a whale", "a yellow rose"),
)


def to_image(x: Tensor) -> Image.Image:
    """Return a PIL image of RGB in [-1, 1], (3, H, W)."""
    levels = ((x.clamp(-1, 1) + 1) * 127.5).round().byte()
    return Image.fromarray(levels.permute(1, 2, 0).cpu().numpy())


def sheet(
    pictures: Tensor, captions: Sequence[str], *, columns: int = 8, side: int = 160
) -> Image.Image:
    """Arrange pictures in rows, each over its caption."""
    line = 14
    rows = -(-len(captions) // columns)
    page = Image.new("RGB", (columns * side, rows * (side + line)), "white")
    pen = ImageDraw.Draw(page)
    for k, (picture, text) in enumerate(zip(pictures, captions, strict=True)):
        left, top = k % columns * side, k // columns * (side + line)
        small = to_image(picture).resize((side, side), Image.Resampling.LANCZOS)
        page.paste(small, (left, top))
        pen.text((left + 4, top + side), text[:27], fill="black")
    return page


def recolouring_sheet(data: Dataset, path: Path, *, objects: int = 24) -> None:
    """Draw some pictures in every colour and on every background, to look at before training."""
    rng = random.Random(4)
    kept = [k for k, p in enumerate(data.pictures) if may_recolour(p, data.concepts[p.concept])]
    pairs: list[tuple[Entry, int]] = []
    for index in rng.sample(kept, min(objects, len(kept))):
        pairs.append((Entry(index, "plain", "", 1, 1, 1.0), 0))
        pairs += [(Entry(index, "colour", colour, 1, 1, 1.0), 0) for colour in COLOURS]
        ground = rng.choice(list(BACKGROUNDS))
        pairs.append((Entry(index, "background", ground, 1, 1, 1.0), 0))
    captions = [
        f"{entry.colour or entry.kind} {data.concepts[data.pictures[entry.picture].concept].label}"
        for entry, _ in pairs
    ]
    pictures = torch.cat([render(data, pairs[k : k + 64]) for k in range(0, len(pairs), 64)])
    sheet(pictures, captions, columns=len(COLOURS) + 2, side=96).save(path)
