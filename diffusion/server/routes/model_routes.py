"""``/api/v1/models``: list; load and unload for admins."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from diffusion.server.engine.messages import LoadModel, UnloadModels
from diffusion.server.routes.given import Admin, CurrentUser, Parts
from diffusion.server.services import Services

__all__ = ["router"]

router = APIRouter(prefix="/api/v1/models", tags=["models"])


class ModelName(BaseModel):
    """A model by its name, title or hash."""

    model_config = ConfigDict(extra="forbid")

    model: Annotated[str, Field(min_length=1, max_length=300)]


@router.get("")
async def list_models(services: Parts, user: CurrentUser) -> Mapping[str, object]:
    """List the models that requests may name, and which are in memory."""
    return _models(services)


@router.post("/refresh")
async def refresh_models(services: Parts, user: Admin) -> Mapping[str, object]:
    """Look for models again."""
    await services.models.refresh()
    return _models(services)


@router.post("/load", status_code=202)
async def load_model(asked: ModelName, services: Parts, user: Admin) -> Mapping[str, object]:
    """Load a model into the memory of every device before a job asks for it."""
    entry = services.models.find(asked.model)
    for engine in services.engines:
        engine.send(LoadModel(entry.path))
    return _models(services)


@router.post("/unload", status_code=202)
async def unload_model(asked: ModelName, services: Parts, user: Admin) -> Mapping[str, object]:
    """Give the memory of a model back, unless jobs run."""
    entry = services.models.find(asked.model)
    for engine in services.engines:
        engine.send(UnloadModels(entry.path))
    return _models(services)


def _models(services: Services) -> Mapping[str, object]:
    workers: dict[Path, dict[str, int]] = {}
    for engine in services.engines:
        for each in engine.status.models:
            workers.setdefault(each.model, {})[engine.name] = each.nbytes
    return {
        "default": services.models.default.name,
        "models": [
            {
                "name": entry.name,
                "title": entry.title,
                "sha256": entry.sha256,
                "loaded": entry.path in workers,
                "bytes": sum(workers[entry.path].values()) if entry.path in workers else None,
                "workers": workers.get(entry.path, {}),
            }
            for entry in services.models.entries
        ],
    }
