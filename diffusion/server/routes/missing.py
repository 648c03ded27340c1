"""The routes whose feature this server does not have yet: each answers 501 with a sentence."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from typing import Final, NoReturn

from fastapi import APIRouter

from diffusion.server.errors import NotBuiltError
from diffusion.server.routes.given import CurrentUser

__all__ = ["MISSING", "router"]

router = APIRouter(tags=["not built yet"])

# fmt: off
MISSING: Final[Mapping[str, str]] = {
    "GET /docs": "The page of the interface is not built yet; read /openapi.json",
    "POST /sdapi/v1/extra-single-image": "Upscaling of a finished picture is not here yet; "
        "send it to img2img at a larger size",
    "POST /sdapi/v1/extra-batch-images": "Upscaling of finished pictures is not here yet; "
        "send each to img2img at a larger size",
    "POST /sdapi/v1/interrogate": "Describing a picture needs a model that this server lacks",
    "POST /sdapi/v1/refresh-loras": "LoRA is not here yet, so there are none to look for",
    "POST /sdapi/v1/refresh-embeddings": "Embeddings are not here yet, so there are none to "
        "look for",
    "POST /sdapi/v1/refresh-vae": "A VAE in place of the model's own is not here yet",
    "POST /sdapi/v1/reload-checkpoint": "A model is loaded by the job that names it, or by POST "
        "/api/v1/models/load",
    "POST /sdapi/v1/create/embedding": "Training is not part of this server",
    "POST /sdapi/v1/create/hypernetwork": "Training is not part of this server",
    "POST /sdapi/v1/train/embedding": "Training is not part of this server",
    "POST /sdapi/v1/train/hypernetwork": "Training is not part of this server",
    "POST /sdapi/v1/server-kill": "No request ends this server; send SIGTERM to its process",
    "POST /sdapi/v1/server-restart": "No request ends this server; send SIGTERM to its process",
    "POST /sdapi/v1/server-stop": "No request ends this server; send SIGTERM to its process",
    "GET /controlnet/version": "ControlNet is not here yet",
    "GET /controlnet/model_list": "ControlNet is not here yet",
    "GET /controlnet/module_list": "ControlNet is not here yet",
    "GET /controlnet/control_types": "ControlNet is not here yet",
    "POST /controlnet/detect": "ControlNet is not here yet",
    "POST /internal/progress": "The WebUI's own routes are not here; ask GET "
        "/sdapi/v1/progress, or follow GET /api/v1/jobs/JOB/events",
    "GET /internal/pending-tasks": "The WebUI's own routes are not here; ask GET /api/v1/jobs",
    "GET /internal/ping": "The WebUI's own routes are not here; ask GET /healthz",
    "POST /v1/images/generations": "OpenAI's routes are not here yet; use POST /txt2img",
    "POST /v1/images/edits": "OpenAI's routes are not here yet; use POST /sdapi/v1/img2img",
    "POST /v1/images/variations": "OpenAI's routes are not here yet; use POST /sdapi/v1/img2img",
    "GET /v1/models": "OpenAI's routes are not here yet; use GET /api/v1/models",
    "POST /api/v1/models/download": "Downloading is not here yet; run 'avila model pull NAME'",
}
# fmt: on
"""Method and path, and the sentence."""


def _refusal(sentence: str) -> Callable[[CurrentUser], Coroutine[None, None, NoReturn]]:
    async def refuse(user: CurrentUser) -> NoReturn:
        raise NotBuiltError(f"{sentence}.")

    return refuse


for _route, _sentence in MISSING.items():
    _method, _path = _route.split()
    router.add_api_route(
        _path,
        _refusal(_sentence),
        methods=[_method],
        summary=f"{_sentence}.",
        responses={501: {"description": _sentence}},
        response_model=None,
        name=_path,
    )
