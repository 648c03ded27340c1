"""``/api/v1/loras``, ``embeddings``, ``vaes`` and so on: the adapters that requests may name.

``/api/v1/preprocess`` makes a map of a picture, as a control network would read it.
"""

from __future__ import annotations

import asyncio
import base64
import io
from collections.abc import Mapping, Sequence
from typing import Annotated

from fastapi import APIRouter, Query
from PIL import Image
from pydantic import BaseModel

from diffusion.control import Preprocessor, Threshold, find_preprocessor, preprocessor_names
from diffusion.errors import SettingsError
from diffusion.server.adapters.loras import text_width_of
from diffusion.server.jobs.control_request import ControlRequest, clean_controls
from diffusion.server.jobs.fields import Finite, Part, Picture
from diffusion.server.routes.bodies import PictureRoute
from diffusion.server.routes.given import Admin, CurrentUser, Parts

__all__ = ["router"]

router = APIRouter(prefix="/api/v1", tags=["adapters"], route_class=PictureRoute)
Rows = Mapping[str, Sequence[Mapping[str, object]]]
ModelOf = Annotated[str | None, Query(alias="model", max_length=300)]


@router.get("/loras")
async def list_loras(services: Parts, user: CurrentUser, model: ModelOf = None) -> Rows:
    """List the LoRAs that prompts may name, as ``<lora:name:weight>``.

    ``words``: what it was trained with. ``problem``: why the model cannot draw with it, or null.
    """
    found, files = services.models.find(model), services.models.files
    width = await asyncio.to_thread(text_width_of, found.path, files)
    return {
        "loras": [
            {
                "name": each.name,
                "alias": each.alias,
                "notes": dict(each.notes),
                "words": each.words,
                "problem": each.problem(width),
            }
            for each in await services.adapters.loras.entries()
        ]
    }


@router.get("/embeddings")
async def list_embeddings(services: Parts, user: CurrentUser, model: ModelOf = None) -> Rows:
    """List the words of textual inversion that prompts may have.

    ``problem``: why the model cannot draw with one; null where it can.
    """
    entry = services.models.find(model)
    found = await services.adapters.embeddings.entries(entry.path)
    return {
        "embeddings": [
            {
                "name": each.name,
                "vectors": each.vectors,
                "width": each.width,
                "fits": each.problem is None,
                "problem": each.problem,
            }
            for each in found
        ]
    }


@router.get("/control-models")
async def list_control_models(services: Parts, user: CurrentUser) -> Rows:
    """List what ``controls`` and ``image_prompts`` may name.

    ``kind``: ``control`` (ControlNets and T2I-Adapters), ``ip-adapter``, ``image-encoder``; null
    where the file does not tell.
    """
    entries = await services.adapters.controls.entries()
    rows = [{"name": each.name, "title": each.title, "kind": each.kind} for each in entries]
    return {"control_models": rows}


@router.get("/vaes")
async def list_vaes(services: Parts, user: CurrentUser) -> Rows:
    """List the VAEs that ``vae`` may name in place of a model's own."""
    return {"vaes": [{"name": each} for each in services.adapters.vaes.names]}


@router.get("/preprocessors")
async def list_preprocessors(user: CurrentUser) -> Rows:
    """List what makes maps of pictures, with the numbers that each reads."""
    found = []
    for name in preprocessor_names():
        try:
            found.append(_describe(find_preprocessor(name)))
        except SettingsError:  # of another package that fails; who uses it gets the reason
            continue
    return {"preprocessors": found}


def _describe(preprocessor: Preprocessor) -> Mapping[str, object]:
    return {
        "name": preprocessor.name,
        "label": preprocessor.label,
        "kind": preprocessor.kind,
        "needs_mask": preprocessor.marks_mask,
        "a": _describe_threshold(preprocessor.a),
        "b": _describe_threshold(preprocessor.b),
    }


def _describe_threshold(threshold: Threshold | None) -> Mapping[str, object] | None:
    if threshold is None:
        return None
    return {
        "title": threshold.title,
        "default": threshold.default,
        "least": threshold.least,
        "most": threshold.most,
    }


@router.post("/adapters/refresh")
async def refresh_adapters(services: Parts, user: Admin) -> Mapping[str, object]:
    """Look for LoRAs, embeddings, control networks and VAEs again."""
    await services.adapters.refresh(services.engines)
    return {}


class MapRequest(Part):
    """A picture to make a map of; fields as in a job's ``controls``."""

    image: Picture
    preprocessor: str = "canny"
    resolution: int | None = None
    threshold_a: Finite | None = None
    threshold_b: Finite | None = None


class MapAnswer(BaseModel):
    """A map as base64 of a PNG."""

    image: str
    width: int
    height: int


@router.post("/preprocess", response_model=MapAnswer)
async def make_map(asked: MapRequest, services: Parts, user: CurrentUser) -> MapAnswer:
    """Make the map of a picture, as a control network would read it."""
    request = ControlRequest(model="none", **asked.model_dump())
    (clean,) = await asyncio.to_thread(clean_controls, [request])
    control = await asyncio.to_thread(clean.task)
    control.check()
    png = await services.maps.make(control, None)
    with Image.open(io.BytesIO(png), formats=["PNG"]) as made:
        width, height = made.size
    return MapAnswer(image=base64.b64encode(png).decode(), width=width, height=height)
