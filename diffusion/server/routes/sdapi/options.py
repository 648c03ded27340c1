"""``/sdapi/v1/options`` and what belongs to it: a user's own options."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter

from diffusion.server.engine.messages import LoadModel, UnloadModels
from diffusion.server.routes.given import Admin, CurrentUser, Parts
from diffusion.server.routes.sdapi.option_values import read_options, write_options

__all__ = ["router"]

router = APIRouter(prefix="/sdapi/v1", tags=["sdapi"])


@router.get("/options")
async def show_options(services: Parts, user: CurrentUser) -> Mapping[str, object]:
    """Show the user's options."""
    values = await read_options(services, user.name)
    return values.as_shown(services.settings.preview_every)


@router.post("/options")
async def change_options(given: dict[str, Any], services: Parts, user: CurrentUser) -> None:
    """Change some of the user's options. Names that are no options are ignored."""
    await write_options(services, user.name, given)


@router.post("/refresh-checkpoints")
async def refresh_checkpoints(services: Parts, user: Admin) -> None:
    """Look for models again."""
    await services.models.refresh()


@router.post("/unload-checkpoint")
async def unload_checkpoint(services: Parts, user: Admin) -> Mapping[str, object]:
    """Give the memory of all models back, unless jobs run."""
    for engine in services.engines:
        engine.send(UnloadModels())
    return {}


@router.post("/reload-checkpoint")
async def reload_checkpoint(services: Parts, user: Admin) -> None:
    """Load the model of the user's options into memory, before a job asks for it."""
    options = await read_options(services, user.name)
    for engine in services.engines:
        engine.send(LoadModel(services.models.find(options.model).path))


@router.get("/cmd-flags")
async def show_flags(services: Parts, user: CurrentUser) -> Mapping[str, object]:
    """Show how the server was started, under AUTOMATIC1111's names; no path is among them."""
    settings = services.settings
    return {
        "api": True,
        "nowebui": True,
        "listen": settings.host not in ("127.0.0.1", "localhost", "::1"),
        "port": settings.port,
        "api_auth": None if services.credentials is None else "set",
        "device_id": settings.device,
        "no_half": settings.dtype == "f32",
        "cors_allow_origins": ",".join(settings.allowed_origins) or None,
    }
