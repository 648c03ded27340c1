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
from diffusion.server.routes.given import Admin, CurrentUser, Parts
from diffusion.server.routes.sdapi import controlnet
from diffusion.server.routes.sdapi.guidance_scripts import GUIDANCE_SCRIPTS
from diffusion.server.routes.sdapi.option_values import read_options
from diffusion.server.routes.sdapi.scripts import SCRIPTS
from diffusion.tasks import PIXEL_UPSCALERS, UPSCALERS

__all__ = ["ram", "router"]

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
            "model_name": entry.stem,
            "hash": entry.digest,
            "sha256": entry.sha256,
            "filename": entry.name,
            "config": None,
        }
        for entry in services.models.entries
    ]


@router.get("/upscalers")
async def list_upscalers(services: Parts, user: CurrentUser) -> Rows:
    """List the upscalers of pixels, networks too; clients expect "None" first."""
    filters = [each.label for each in PIXEL_UPSCALERS]
    names = ["None", *filters, *services.adapters.upscalers.names]
    return [
        {"name": name, "model_name": None, "model_path": None, "model_url": None, "scale": 4}
        for name in names
    ]


@router.get("/latent-upscale-modes")
async def list_latent_upscalers(user: CurrentUser) -> Rows:
    """List the upscalers of latents."""
    return [{"name": each.label} for each in UPSCALERS if each.kernel is not None]


@router.get("/loras")
async def list_loras(services: Parts, user: CurrentUser) -> Rows:
    """List the LoRAs that prompts may name. ``path`` is a name, since no path leaves the server."""
    return [
        {"name": each.name, "alias": each.alias, "path": each.name, "metadata": dict(each.notes)}
        for each in await services.adapters.loras.entries()
    ]


@router.post("/refresh-loras")
@router.post("/refresh-embeddings")
@router.post("/refresh-vae")
async def refresh_adapters(services: Parts, user: Admin) -> None:
    """Look for LoRAs, embeddings, control networks and VAEs again."""
    await services.adapters.refresh(services.engines)


@router.get("/prompt-styles")
async def list_styles(services: Parts, user: CurrentUser) -> Rows:
    """List the prompt styles."""
    return [
        {"name": each.name, "prompt": each.prompt, "negative_prompt": each.negative}
        for each in services.styles.styles
    ]


@router.get("/scripts")
async def list_scripts(user: CurrentUser) -> Mapping[str, Sequence[str]]:
    """List the scripts: those that ``script_name`` may name, and those that are always on."""
    always_on = [controlnet.NAME, *(each.title.lower() for each in GUIDANCE_SCRIPTS)]
    names = [*(script.title.lower() for script in SCRIPTS), *always_on]
    return {"txt2img": names, "img2img": names}


@router.get("/script-info")
async def describe_scripts(user: CurrentUser) -> Rows:
    """List the scripts with their arguments, in the order of ``script_args``.

    Units of ControlNet are objects, whose fields have names.
    """
    always_on: list[Mapping[str, object]] = [
        {"name": controlnet.NAME, "is_alwayson": True, "is_img2img": is_img2img, "args": []}
        for is_img2img in (False, True)
    ]
    always_on += [
        {
            "name": script.title.lower(),
            "is_alwayson": True,
            "is_img2img": is_img2img,
            "args": [argument.as_shown() for argument in script.arguments],
        }
        for script in GUIDANCE_SCRIPTS
        for is_img2img in (False, True)
    ]
    return always_on + [
        {
            "name": script.title.lower(),
            "is_alwayson": False,
            "is_img2img": is_img2img,
            "args": [argument.as_shown() for argument in script.arguments(is_img2img)],
        }
        for script in SCRIPTS
        for is_img2img in (False, True)
    ]


@router.get("/sd-vae")
@router.get("/sd-modules")
async def list_vaes(services: Parts, user: CurrentUser) -> Rows:
    """List the VAEs that ``sd_vae`` may name. ``filename`` is a name, no path."""
    return [{"model_name": each, "filename": each} for each in services.adapters.vaes.file_names]


@router.get("/hypernetworks")
@router.get("/face-restorers")
@router.get("/realesrgan-models")
@router.get("/extensions")
async def list_nothing(user: CurrentUser) -> Rows:
    """List nothing: this server has none of these."""
    return []


@router.get("/embeddings")
async def list_embeddings(
    services: Parts, user: CurrentUser
) -> Mapping[str, Mapping[str, Mapping[str, object]]]:
    """List the words of textual inversion: those that the user's model can draw with, and others.

    ``step`` and ``sd_checkpoint`` are null, since ``.safetensors`` files do not tell them.
    """
    options = await read_options(services, user.name)
    model = services.models.find(options.model)
    shown: dict[str, dict[str, Mapping[str, object]]] = {"loaded": {}, "skipped": {}}
    for each in await services.adapters.embeddings.entries(model.path):
        shown["loaded" if each.problem is None else "skipped"][each.name] = {
            "step": None,
            "sd_checkpoint": None,
            "sd_checkpoint_name": None,
            "shape": each.width,
            "vectors": each.vectors,
        }
    return shown


@router.get("/memory")
async def show_memory(services: Parts, user: CurrentUser) -> Mapping[str, object]:
    """Show the machine's memory, and what the devices have given out."""
    reserved = sum(engine.status.reserved for engine in services.engines)
    return {
        "ram": ram(),
        "cuda": {"error": "the server's process opens no device; avila has what its workers took"},
        "avila": {"device_reserved": reserved},
    }


def ram() -> Mapping[str, object]:
    """Return the bytes of the machine's memory: free, used and in all."""
    if sys.platform == "win32" or "SC_AVPHYS_PAGES" not in os.sysconf_names:
        return {"error": "this system does not tell"}
    page = os.sysconf("SC_PAGE_SIZE")
    total, free = (page * os.sysconf(name) for name in ("SC_PHYS_PAGES", "SC_AVPHYS_PAGES"))
    return {"free": free, "used": total - free, "total": total}
