"""The lists of ``/sdapi/v1``: what there is to choose from.

Lists of things that this server has none of are empty, which is the truth about them.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence

from fastapi import APIRouter

from diffusion.samplers.registry import SAMPLERS
from diffusion.schedules.registry import SCHEDULES
from diffusion.server.routes.given import CurrentUser, Parts
from diffusion.tasks import UPSCALERS

__all__ = ["router"]

router = APIRouter(prefix="/sdapi/v1", tags=["sdapi"])
Rows = Sequence[Mapping[str, object]]


@router.get("/samplers")
async def list_samplers(user: CurrentUser) -> Rows:
    """List the samplers."""
    return [
        {"name": each.label, "aliases": [each.name, *each.aliases], "options": {}}
        for each in SAMPLERS
    ]


@router.get("/schedulers")
async def list_schedulers(user: CurrentUser) -> Rows:
    """List the sigma schedules."""
    automatic: dict[str, object] = {"name": "automatic", "label": "Automatic", "aliases": None}
    rows: list[dict[str, object]] = [
        {"name": each.name, "label": each.label, "aliases": list(each.aliases) or None}
        for each in SCHEDULES
    ]
    return [{**row, "default_rho": -1, "need_inner_model": False} for row in [automatic, *rows]]


@router.get("/sd-models")
async def list_models(services: Parts, user: CurrentUser) -> Rows:
    """List the models. ``filename`` is a name, since no path leaves the server."""
    return [
        {
            "title": entry.title,
            "model_name": entry.name.removesuffix(".safetensors"),
            "hash": entry.digest,
            "sha256": entry.sha256,
            "filename": entry.name,
            "config": None,
        }
        for entry in services.models.entries
    ]


@router.get("/upscalers")
async def list_upscalers(user: CurrentUser) -> Rows:
    """List the upscalers of pixels; clients expect "None" first."""
    names = ["None", *(each.label for each in UPSCALERS if each.filter is not None)]
    return [
        {"name": name, "model_name": None, "model_path": None, "model_url": None, "scale": 4}
        for name in names
    ]


@router.get("/latent-upscale-modes")
async def list_latent_upscalers(user: CurrentUser) -> Rows:
    """List the upscalers of latents."""
    return [{"name": each.label} for each in UPSCALERS if each.kernel is not None]


@router.get("/sd-vae")
@router.get("/sd-modules")
@router.get("/loras")
@router.get("/hypernetworks")
@router.get("/face-restorers")
@router.get("/realesrgan-models")
@router.get("/prompt-styles")
@router.get("/script-info")
@router.get("/extensions")
async def list_nothing(user: CurrentUser) -> Rows:
    """List nothing: this server has none of these."""
    return []


@router.get("/embeddings")
async def list_embeddings(user: CurrentUser) -> Mapping[str, Mapping[str, object]]:
    """List the embeddings: none yet."""
    return {"loaded": {}, "skipped": {}}


@router.get("/scripts")
async def list_scripts(user: CurrentUser) -> Mapping[str, Sequence[str]]:
    """List the scripts: none yet."""
    return {"txt2img": [], "img2img": []}


@router.get("/memory")
async def show_memory(services: Parts, user: CurrentUser) -> Mapping[str, object]:
    """Show the machine's memory, and what the devices have given out."""
    reserved = sum(engine.status.reserved for engine in services.engines)
    return {
        "ram": _ram(),
        "cuda": {"error": "not CUDA: see avila"},
        "avila": {"device_reserved": reserved},
    }


def _ram() -> Mapping[str, object]:
    if sys.platform == "win32" or "SC_AVPHYS_PAGES" not in os.sysconf_names:
        return {"error": "this system does not tell"}
    page = os.sysconf("SC_PAGE_SIZE")
    total, free = (page * os.sysconf(name) for name in ("SC_PHYS_PAGES", "SC_AVPHYS_PAGES"))
    return {"free": free, "used": total - free, "total": total}
