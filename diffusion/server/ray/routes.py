"""The routes of a replica: those whose whole work is one request.

A balancer sends each request to any replica. So a route that reads what an earlier request left
(jobs, gallery, options, progress, sessions, the page) answers 501 and says why.
"""

from __future__ import annotations

from typing import Final, NoReturn

from fastapi import APIRouter

from diffusion.server.errors import NotBuiltError
from diffusion.server.routes import choice_routes, gallery_routes, health, model_routes, simple
from diffusion.server.routes.openai import drawing as openai_drawing
from diffusion.server.routes.openai import models as openai_models
from diffusion.server.routes.sdapi import drawing, extras, lists, picture_texts

__all__ = ["ROUTERS"]

router = APIRouter()
router.add_api_route("/healthz", health.tell_health)
router.add_api_route("/readyz", health.tell_readiness)
router.add_api_route("/api/v1/models", model_routes.list_models)
router.add_api_route("/api/v1/gallery/read", gallery_routes.read_picture, methods=["POST"])

_KEPT: Final = "what a request leaves behind; send a request whose answer has the pictures"


@router.api_route(
    "/{path:path}",
    methods=["DELETE", "GET", "PATCH", "POST", "PUT"],
    include_in_schema=False,
    response_model=None,
)
async def refuse_route(path: str) -> NoReturn:
    """Answer that this server is one of several."""
    raise NotBuiltError(f"this server is one of several replicas, which do not share {_KEPT}.")


ROUTERS: Final = (
    simple.router,
    choice_routes.router,
    drawing.router,
    extras.router,
    lists.router,
    picture_texts.router,
    openai_drawing.router,
    openai_models.router,
    router,  # last: it answers what nothing else does
)
