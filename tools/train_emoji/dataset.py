"""The built data on the device: pixels as bytes, and the facts of each image."""

import io
import json
import random
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from tools.train_emoji.captions import Concept, read_concepts


@dataclass(frozen=True)
class Picture:
    """One image: its concept, style, and the hue (degrees, -1: none) of `share` of its area."""

    concept: int
    style: str
    hue: float
    share: float


@dataclass(frozen=True)
class Dataset:
    """Concepts, pictures, and `pixels` uint8 (N, 4, S, S) with straight alpha on the device."""

    concepts: Sequence[Concept]
    pictures: Sequence[Picture]
    pixels: Tensor
    labels: Tensor

    def premultiply(self, index: Tensor) -> Tensor:
        """Return RGBA in [0, 1] with colour multiplied by alpha, (n, 4, S, S) float32."""
        x = self.pixels[index].float() / 255
        return torch.cat([x[:, :3] * x[:, 3:], x[:, 3:]], 1)

    def on_white(self, index: Tensor) -> Tensor:
        """Return unchanged pictures on white, RGB in [-1, 1]."""
        x = self.premultiply(index)
        return (x[:, :3] + 1 - x[:, 3:]) * 2 - 1

    def of_style(self, style: str) -> Tensor:
        """Return the indices of the pictures in one style."""
        found = [k for k, picture in enumerate(self.pictures) if picture.style == style]
        return torch.tensor(found, device=self.pixels.device)


def load(folder: Path, size: int, device: torch.device, *, concepts: int | None = None) -> Dataset:
    """Read `emoji.bin` and `meta.json`; `concepts` keeps that many of them (for tests)."""
    meta = json.loads((folder / "meta.json").read_text(encoding="utf-8"))
    known = read_concepts(meta["concepts"])
    kept = set(range(len(known)))
    if concepts is not None:
        kept = set(random.Random(0).sample(sorted(kept), concepts))
    images = [image for image in meta["images"] if image["c"] in kept]
    raw = (folder / "emoji.bin").read_bytes()

    def decode(image: dict[str, int]) -> "np.ndarray[tuple[int, ...], np.dtype[np.uint8]]":
        picture = Image.open(io.BytesIO(raw[image["o"] : image["o"] + image["n"]]))
        rgba = picture.convert("RGBA")
        if rgba.size != (size, size):
            rgba = rgba.resize((size, size), Image.Resampling.LANCZOS)
        return np.asarray(rgba, dtype=np.uint8).transpose(2, 0, 1)

    with ThreadPoolExecutor() as pool:
        pixels = np.stack(list(pool.map(decode, images)))
    pictures = [Picture(i["c"], i["s"], i["hue"], i["frac"]) for i in images]
    return Dataset(
        known,
        pictures,
        torch.from_numpy(pixels).to(device),
        torch.tensor([p.concept for p in pictures], device=device),
    )
