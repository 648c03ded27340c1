"""The routes whose feature this server does not have yet: each answers 501 with a sentence."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from typing import Final, NoReturn

from fastapi import APIRouter

from diffusion.server.errors import NotBuiltError
from diffusion.server.routes.given import CurrentUser

__all__ = ["MISSING", "router"]

router = APIRouter(tags=["not built yet"])

_TRAINING: Final = "This server does not train; train elsewhere, and put the file into its folder"
_HYPERNETWORKS: Final = "Hypernetworks are neither trained nor read here; take a LoRA"

# fmt: off
MISSING: Final[Mapping[str, str]] = {
    "POST /sdapi/v1/interrogate": "This server has no model that describes pictures; read a "
        "picture's own settings by /sdapi/v1/png-info",
    "POST /sdapi/v1/create/embedding": _TRAINING,
    "POST /sdapi/v1/create/hypernetwork": _HYPERNETWORKS,
    "POST /sdapi/v1/train/embedding": _TRAINING,
    "POST /sdapi/v1/train/hypernetwork": _HYPERNETWORKS,
    "POST /sdapi/v1/server-kill": "No request ends this server; send SIGTERM to its process",
    "POST /sdapi/v1/server-restart": "No request ends this server; send SIGTERM to its process",
    "POST /sdapi/v1/server-stop": "No request ends this server; send SIGTERM to its process",
    "POST /controlnet/render_openpose_json": "Poses are not drawn here; send the drawn map with "
        "module none",
    "GET /internal/profile-startup": "Times of the start are not kept; its log has them",
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
