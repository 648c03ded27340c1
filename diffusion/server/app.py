"""The application: the routes, how errors are answered, and the gate before all."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import HTTPException, RequestValidationError
from fastapi.responses import JSONResponse

from diffusion.errors import DiffusionError, SettingsError
from diffusion.release import version
from diffusion.server.access.control import AccessControl
from diffusion.server.errors import ServerError
from diffusion.server.routes import (
    choice_routes,
    gallery_routes,
    health,
    job_routes,
    missing,
    model_routes,
    page_files,
    session_routes,
    simple,
)
from diffusion.server.routes.sdapi import drawing, lists, options, picture_texts, progress
from diffusion.server.services import Services

__all__ = ["Application", "create_app"]

log = structlog.get_logger()

ROUTERS = (
    health.router,
    simple.router,
    job_routes.router,
    model_routes.router,
    gallery_routes.router,
    choice_routes.router,
    session_routes.router,
    page_files.router,
    drawing.router,
    lists.router,
    options.router,
    picture_texts.router,
    progress.router,
    missing.router,  # last: it answers what nothing else does
)


@dataclass(frozen=True)
class Application:
    """The application of the web server: ``gate`` is the whole, ``inner`` has the routes."""

    gate: AccessControl
    inner: FastAPI


def create_app(services: Services) -> Application:
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
    )
    inner.state.services = services
    for router in ROUTERS:
        inner.include_router(router)
    inner.add_exception_handler(DiffusionError, _answer_error)
    inner.add_exception_handler(HTTPException, _answer_error)
    inner.add_exception_handler(RequestValidationError, _answer_error)
    inner.add_exception_handler(Exception, _answer_error)
    gate = AccessControl(
        inner,
        host=settings.host,
        credentials=services.credentials,
        allowed_hosts=settings.allowed_hosts,
        allowed_origins=settings.allowed_origins,
    )
    return Application(gate, inner)


async def _answer_error(request: Request, error: Exception) -> JSONResponse:
    """Answer an error in the form that clients of AUTOMATIC1111 know; ``detail``: the sentence."""
    headers: dict[str, str] = {}
    detail: object = str(error)
    if isinstance(error, ServerError):
        status = error.status
        if error.retry_after is not None:
            headers["retry-after"] = str(error.retry_after)
    elif isinstance(error, RequestValidationError):
        status, detail = 422, [_without_input(each) for each in error.errors()]
    elif isinstance(error, HTTPException):
        status, detail = error.status_code, error.detail
        headers |= error.headers or {}
    elif isinstance(error, SettingsError):
        status = 422
    else:
        status = 500
        if not isinstance(error, DiffusionError):
            log.error("a request failed", path=request.url.path, exc_info=error)
            detail = "the server made a mistake; its log has the details"
    body = {"error": type(error).__name__, "detail": detail, "body": "", "errors": ""}
    return JSONResponse(body, status, headers)


def _without_input(problem: Mapping[str, object]) -> dict[str, object]:
    """Return a problem of validation without what was sent, which may be a whole picture."""
    return {name: problem[name] for name in ("type", "loc", "msg") if name in problem}
