"""Latents and captions made once, so that diffusion training never touches a picture."""

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import accumulate
from pathlib import Path
from typing import Literal

import torch
from diffusers import AutoencoderKL
from torch import Tensor

from tools.train_emoji.augment import Placement, composite, place, slight_placement
from tools.train_emoji.captions import (
    Concept,
    background_caption,
    colour_caption,
    plain_caption,
)
from tools.train_emoji.colours import BACKGROUNDS, COLOURS, recolour
from tools.train_emoji.dataset import Dataset, Picture
from tools.train_emoji.networks import autocast, compile_function, posterior
from tools.train_emoji.settings import SCALING_FACTOR, STYLES, Mix
from tools.train_emoji.timebox import log
from tools.train_emoji.tokenizer import Encoder

BATCH = 64
PLAIN_VIEWS = 4
PLAIN_CAPTIONS, OTHER_CAPTIONS = 32, 6
GROUP_WEIGHTS = {"symbols": 0.7, "flags": 0.7, "smileys-emotion": 1.0}
_NEVER_RECOLOURED = {"people-body", "flags"}
_TINTED = {"animals-nature", "food-drink", "objects", "travel-places", "activities"}


@dataclass(frozen=True)
class Entry:
    """One kind of picture to draw from: which, how changed, how many latents, how often."""

    picture: int
    kind: Literal["plain", "colour", "background"]
    colour: str
    views: int
    captions: int
    weight: float


@dataclass(frozen=True)
class Bank:
    """All of training's inputs on the device.

    `latents` float16 (L, 4, h, w) scaled; `tokens` int16 (C, 77); an entry owns `views`
    latents from `first_latent` on and `captions` captions from `first_caption` on. The
    first of several views is the picture as drawn, with the chance `still`.
    """

    latents: Tensor
    tokens: Tensor
    first_latent: Tensor
    views: Tensor
    first_caption: Tensor
    captions: Tensor
    cumulative: Tensor
    still: float

    def draw(self, n: int) -> tuple[Tensor, Tensor]:
        """Draw n scaled latents float32 and their tokens int64 (n, 77)."""
        device = self.latents.device
        chosen = torch.searchsorted(
            self.cumulative, torch.rand(n, device=device, dtype=torch.float64)
        ).clamp(max=len(self.views) - 1)
        others = self.views[chosen] - 1
        moved = (others > 0) & (torch.rand(n, device=device) >= self.still)
        view = torch.where(moved, 1 + (torch.rand(n, device=device) * others).long(), 0)
        spoken = (torch.rand(n, device=device) * self.captions[chosen]).long()
        latents = self.latents[self.first_latent[chosen] + view].float()
        return latents, self.tokens[self.first_caption[chosen] + spoken].long()

    def save(self, path: Path) -> None:
        """Write the bank for a later call."""
        torch.save(asdict(self), path)

    @classmethod
    def load(cls, path: Path, device: torch.device) -> "Bank":
        """Read what `save` wrote."""
        return cls(**torch.load(path, map_location=device))


def may_recolour(picture: Picture, concept: Concept) -> bool:
    """Tell whether one hue dominates the picture, or it has none and a tint makes sense."""
    if not concept.nouns or concept.group in _NEVER_RECOLOURED:
        return False
    if picture.hue < 0:
        return concept.group in _TINTED
    return picture.share >= 0.35


def entries(data: Dataset, mix: Mix, rng: random.Random) -> Iterator[Entry]:
    """Return the bank's entries: every picture plain, many recoloured, all on two backgrounds."""
    number = Counter(picture.style for picture in data.pictures)
    rest = (1 - mix.solid) / 21
    styles = {"3d": mix.solid, "flat": rest * 10, "noto": rest * 11}
    groups = GROUP_WEIGHTS | {"people-body": mix.people}
    plain, recoloured, on_background = mix.kinds
    for index, picture in enumerate(data.pictures):
        concept = data.concepts[picture.concept]
        weight = groups.get(concept.group, 1.2)
        weight *= styles[picture.style] / number[picture.style]
        share = weight * plain
        yield Entry(index, "plain", "", PLAIN_VIEWS, PLAIN_CAPTIONS, share)
        if may_recolour(picture, concept):
            colours = list(COLOURS)
            if picture.style != STYLES[0]:
                colours = rng.sample(colours, 4)
            share = weight * recoloured / len(colours)
            for colour in colours:
                yield Entry(index, "colour", colour, 1, OTHER_CAPTIONS, share)
        for colour in rng.sample(list(BACKGROUNDS), 2):
            share = weight * on_background / 2
            yield Entry(index, "background", colour, 1, OTHER_CAPTIONS, share)


def render(
    data: Dataset, wanted: Sequence[tuple[Entry, int]], at: Placement | None = None
) -> Tensor:
    """Render the pictures of (entry, view) pairs, RGB in [-1, 1].

    ``at``: where they stand, instead of as drawn in view 0 and slightly moved in others.
    """
    device = data.pixels.device
    index = torch.tensor([entry.picture for entry, _ in wanted], device=device)
    x = data.premultiply(index)
    rows = [k for k, (entry, _) in enumerate(wanted) if entry.kind == "colour"]
    if rows:
        hues = [data.pictures[wanted[k][0].picture].hue for k in rows]
        targets = [COLOURS[wanted[k][0].colour] for k in rows]
        x[rows] = recolour(
            x[rows], torch.tensor(hues, device=device), torch.tensor(targets, device=device)
        )
    moved = torch.tensor([view > 0 for _, view in wanted], device=device)
    x = place(x, slight_placement(moved) if at is None else at)
    white = (1.0, 1.0, 1.0)
    grounds = [BACKGROUNDS[e.colour] if e.kind == "background" else white for e, _ in wanted]
    ground = torch.tensor(grounds, device=device)[:, :, None, None]
    return composite(x, ground).clamp(0, 1) * 2 - 1


def caption(entry: Entry, data: Dataset, label: float, rng: random.Random) -> str:
    """Draw a caption of an entry; `label` is the chance of the concept's label."""
    picture = data.pictures[entry.picture]
    concept = data.concepts[picture.concept]
    if entry.kind == "colour":
        return colour_caption(concept, picture.style, entry.colour, rng)
    if entry.kind == "background":
        return background_caption(concept, picture.style, entry.colour, rng, label=label)
    return plain_caption(concept, picture.style, rng, label=label)


def build_bank(
    data: Dataset, vae: AutoencoderKL, encoder: Encoder, mix: Mix, *, compile_it: bool
) -> Bank:
    """Encode every entry and write its captions."""
    rng = random.Random(99)
    kept = list(entries(data, mix, rng))
    latents = _encode(data, vae, kept, compile_it=compile_it)
    texts = [caption(entry, data, mix.label, rng) for entry in kept for _ in range(entry.captions)]
    log(f"bank: {len(kept)} entries, {len(latents)} latents, {len(texts)} captions")
    log("bank: captions such as", rng.sample(texts, min(12, len(texts))))
    device = latents.device
    weight = torch.tensor([entry.weight for entry in kept], dtype=torch.float64)
    views = [entry.views for entry in kept]
    captions = [entry.captions for entry in kept]
    return Bank(
        latents=latents,
        tokens=encoder(texts).to(device, torch.int16),
        first_latent=_starts(views).to(device),
        views=torch.tensor(views, device=device),
        first_caption=_starts(captions).to(device),
        captions=torch.tensor(captions, device=device),
        cumulative=(weight / weight.sum()).cumsum(0).to(device),
        still=mix.still,
    )


def _starts(counts: Sequence[int]) -> Tensor:
    return torch.tensor([0, *accumulate(counts)][:-1])


@torch.no_grad()
def _encode(
    data: Dataset, vae: AutoencoderKL, kept: Sequence[Entry], *, compile_it: bool
) -> Tensor:
    """Return scaled posterior means, float16, in the order of entries and views."""
    device = data.pixels.device
    wanted = [(entry, view) for entry in kept for view in range(entry.views)]
    mean_of = compile_function(lambda x: posterior(vae, x)[0], enabled=compile_it)
    parts: list[Tensor] = []
    for start in range(0, len(wanted), BATCH):
        some = wanted[start : start + BATCH]
        padded = [*some, *[some[-1]] * (BATCH - len(some))]
        x = render(data, padded).contiguous(memory_format=torch.channels_last)
        with autocast(device):
            means = mean_of(x)
        parts.append((means[: len(some)] * SCALING_FACTOR).half().contiguous())
    return torch.cat(parts)
