"""``GET /v1/models``, and one of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from fastapi import APIRouter, Path

from diffusion.server.models import ModelEntry
from diffusion.server.routes.given import CurrentUser, Parts
from diffusion.server.routes.openai.refusals import REFUSALS

__all__ = ["router"]

router = APIRouter(prefix="/v1/models", tags=["openai"], responses=REFUSALS)


@router.get("")
async def list_models(services: Parts, user: CurrentUser) -> Mapping[str, object]:
    """List the models that requests may name."""
    return {"object": "list", "data": [_model(entry) for entry in services.models.entries]}


@router.get("/{model:path}")
async def show_model(
    model: Annotated[str, Path(max_length=300)], services: Parts, user: CurrentUser
) -> Mapping[str, object]:
    """Show a model, by its id or by any of its names."""
    return _model(services.models.find(model))


def _model(entry: ModelEntry) -> Mapping[str, object]:
    owner, slash, _ = entry.name.partition("/")
    return {
        "id": entry.name,
        "object": "model",
        "created": entry.created,
        "owned_by": owner if slash else "local",
    }
