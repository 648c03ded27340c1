"""``/api/v1/choices``: what a request may name; ``/api/v1/tokens``: how long its prompts are."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Final

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from diffusion.adapters.tags import remove_tags
from diffusion.catalogue import Named
from diffusion.control import (
    COMBINATIONS,
    KINDS,
    MODES,
    MOST_CONTROLS,
    PASSES,
    RESIZES,
    SCALINGS,
    WEIGHT_TYPES,
)
from diffusion.noise import NOISES
from diffusion.pipeline.loading import load_tokenizers
from diffusion.prompts import EMPHASES, chunk_prompt, schedule_prompt
from diffusion.release import version
from diffusion.samplers import SAMPLERS
from diffusion.schedules import SCHEDULES
from diffusion.server.jobs.control_request import MOST_CONTROL_PIXELS
from diffusion.server.model_files import ModelFiles
from diffusion.server.routes.given import CurrentUser, Parts
from diffusion.tasks import (
    AREAS,
    CONTENTS,
    PIXEL_UPSCALERS,
    RESIZE_MODES,
    SPEED_PRESETS,
    TILINGS,
    UPSCALERS,
)
from diffusion.text.tokenizer import ClipTokenizer

__all__ = ["router"]

router = APIRouter(prefix="/api/v1", tags=["choices"])

USUAL_STEPS: Final = 20
"""Steps over which a prompt that changes is counted."""

_READABLE: Final = ("crop", "stretch", "fill")
"""How a picture becomes a square that an image encoder reads."""


@router.get("/choices")
async def list_choices(services: Parts, user: CurrentUser) -> Mapping[str, object]:
    """List the values of each field that has names, and the limits of a job."""
    work, speeds = services.settings.work, _names(SPEED_PRESETS)
    networks = [{"name": each, "label": each} for each in services.adapters.upscalers.names]
    return {
        "version": version(),
        "sampler": _names(SAMPLERS),
        "schedule": [{"name": "automatic", "label": "Automatic"}, *_names(SCHEDULES)],
        "upscaler": [*_names(UPSCALERS), *networks],
        "pixel_upscaler": [*_names(PIXEL_UPSCALERS), *networks],
        "upscaler_network": networks,
        "resize": _names(RESIZE_MODES),
        "content": _names(CONTENTS),
        "area": _names(AREAS),
        "emphasis": _names(EMPHASES),
        "rng": _names(NOISES),
        "vae_tiling": _names(TILINGS),
        "speed": [{**row, "settings": SPEED_PRESETS.find(row["name"]).settings} for row in speeds],
        "control_mode": _names(MODES),
        "control_resize": _names(RESIZES),
        "control_passes": _names(PASSES),
        "control_kind": _names(KINDS),
        "ip_weight_type": _names(WEIGHT_TYPES),
        "ip_combine": _names(COMBINATIONS),
        "ip_scaling": _names(SCALINGS),
        "ip_resize": [row for row in _names(RESIZE_MODES) if row["name"] in _READABLE],
        "limits": {
            "pixels": work.pixels,
            "count": work.count,
            "work": work.work,
            "queue": services.settings.queue,
            "body": services.settings.largest_body,
            "controls": MOST_CONTROLS,
            "control_pixels": MOST_CONTROL_PIXELS,
        },
    }


def _names(catalogue: Iterable[Named]) -> Sequence[Mapping[str, str]]:
    return [{"name": each.name, "label": each.label} for each in catalogue]


class Prompts(BaseModel):
    """Prompts whose tokens are counted, as a model reads them."""

    model_config = ConfigDict(extra="forbid")

    model: str | None = Field(default=None, max_length=300)
    prompts: list[Annotated[str, Field(max_length=65536)]] = Field(max_length=16)


@router.post("/tokens")
async def count_tokens(asked: Prompts, services: Parts, user: CurrentUser) -> Mapping[str, object]:
    """Count the tokens of prompts, and the chunks that the text encoder reads them in."""
    model = services.models.find(asked.model)
    files = services.models.files
    return {"prompts": await asyncio.to_thread(_count, files, model.path, asked.prompts)}


@lru_cache(maxsize=4)
def _tokenizer(files: ModelFiles, model: Path) -> ClipTokenizer:
    """Return the tokenizer of a model. Raises `ModelError`."""
    return load_tokenizers(files.open(model))[0]


def _count(files: ModelFiles, model: Path, prompts: Sequence[str]) -> Sequence[Mapping[str, int]]:
    tokenizer = _tokenizer(files, model)
    return [_longest(tokenizer, prompt) for prompt in prompts]


def _longest(tokenizer: ClipTokenizer, prompt: str) -> Mapping[str, int]:
    """Return the tokens and chunks of a prompt; of one that changes over the steps, the most."""
    texts = schedule_prompt("prompt", remove_tags(prompt), USUAL_STEPS).texts
    rows = [chunk_prompt("prompt", text, EMPHASES.find("original"), tokenizer) for text in texts]
    return {
        "tokens": max(sum(len(chunk.tokens) for chunk in chunks) for chunks in rows),
        "chunks": max(len(chunks) for chunks in rows),
        "capacity": tokenizer.capacity,
    }
