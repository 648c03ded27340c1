"""The application: the routes, how errors are answered, and the gate before all."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import structlog
from fastapi import APIRouter, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute

from diffusion.errors import DiffusionError
from diffusion.release import version
from diffusion.server.access.control import AccessControl
from diffusion.server.error_answers import HTTP_ERRORS, answer_to
from diffusion.server.errors import TooLargeError
from diffusion.server.refusals import REFUSALS
from diffusion.server.routes import (
    adapter_routes,
    choice_routes,
    download_routes,
    gallery_routes,
    health,
    internal,
    job_routes,
    missing,
    model_routes,
    page_files,
    queue_routes,
    reference,
    session_routes,
    simple,
    style_routes,
)
from diffusion.server.routes.openai import drawing as openai_drawing
from diffusion.server.routes.openai import models as openai_models
from diffusion.server.routes.sdapi import (
    controlnet,
    drawing,
    extras,
    lists,
    options,
    picture_texts,
    progress,
)
from diffusion.server.services import Services

__all__ = ["Application", "create_app"]

log = structlog.get_logger()

ROUTERS = (
    health.router,
    simple.router,
    job_routes.router,
    queue_routes.router,
    model_routes.router,
    download_routes.router,
    gallery_routes.router,
    choice_routes.router,
    adapter_routes.router,
    style_routes.router,
    session_routes.router,
    page_files.router,
    reference.router,
    controlnet.router,
    drawing.router,
    extras.router,
    lists.router,
    options.router,
    picture_texts.router,
    progress.router,
    openai_drawing.router,
    openai_models.router,
    internal.router,
    missing.router,  # last: it answers what nothing else does
)


@dataclass(frozen=True)
class Application:
    """The application of the web server: ``gate`` is the whole, ``inner`` has the routes."""

    gate: AccessControl
    inner: FastAPI


def create_app(services: Services, routers: Sequence[APIRouter] = ROUTERS) -> Application:
    """Return the application of a server whose parts are made; starting it starts them."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        await services.start()
        try:
            yield
        finally:
            await services.close()

    settings = services.settings
    inner = FastAPI(
        title="Avila",
        version=version(),
        lifespan=lifespan,
        docs_url=None,  # FastAPI's page loads from other hosts
        redoc_url=None,
        max_body_size=settings.largest_body,
        responses=REFUSALS,
    )
    inner.state.services = services
    for router in routers:
        inner.include_router(router)
    inner.add_exception_handler(DiffusionError, _answer_error)
    for each in HTTP_ERRORS:
        inner.add_exception_handler(each, _answer_error)
    inner.add_exception_handler(RequestValidationError, _answer_error)
    inner.add_exception_handler(Exception, _answer_error)
    gate = AccessControl(
        inner,
        host=settings.host,
        credentials=services.credentials,
        allowed_hosts=settings.allowed_hosts,
        allowed_origins=settings.allowed_origins,
        largest_body=settings.largest_body,
    )
    return Application(gate, inner)


async def _answer_error(request: Request, error: Exception) -> JSONResponse:
    """Answer an error, and write one that nobody expected to the log."""
    if isinstance(error, HTTP_ERRORS) and error.status_code == TooLargeError.status:
        error = TooLargeError(request.app.state.services.settings.largest_body)
    answer = answer_to(request.url.path, error)
    if not isinstance(error, (DiffusionError, RequestValidationError, *HTTP_ERRORS)):
        log.error("a request failed", path=request.url.path, exc_info=error)
    headers = dict(answer.headers)
    if answer.status == 405:
        headers = {"allow": ", ".join(_methods_of(request.url.path))}
    return JSONResponse(dict(answer.body), answer.status, headers)


def _methods_of(path: str) -> list[str]:
    """Return the methods of all routes of a path."""
    routes = (route for router in ROUTERS for route in router.routes)
    own = (route for route in routes if isinstance(route, APIRoute))
    return sorted({m for each in own if each.path_regex.match(path) for m in each.methods or ()})
