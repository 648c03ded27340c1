"""``/healthz``, ``/readyz`` and ``/metrics``."""

from __future__ import annotations

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse, PlainTextResponse

from diffusion.server.routes.given import Parts

__all__ = ["router"]

router = APIRouter(tags=["health"])


@router.get("/healthz")
async def tell_health() -> dict[str, str]:
    """Answer as long as the process works; it says nothing about the device."""
    return {"status": "ok"}


@router.get("/readyz", responses={503: {"description": "No job would start now."}})
async def tell_readiness(services: Parts) -> JSONResponse:
    """Tell whether a job would start now, and if not, why."""
    reasons = services.why_not_ready()
    engines = [
        {
            "name": engine.name,
            "state": engine.status.state.value,
            "device": engine.status.device,
            "reason": engine.status.reason,
            "restarts": engine.status.restarts,
            "jobs": services.scheduler.count_running(engine),
        }
        for engine in services.engines
    ]
    body = {"ready": not reasons, "reasons": reasons, "engines": engines}
    return JSONResponse(body, 503 if reasons else 200)


@router.get("/metrics", response_class=PlainTextResponse)
async def tell_metrics(services: Parts) -> Response:
    """Return numbers for Prometheus."""
    return Response(services.metrics.text(), media_type="text/plain; version=0.0.4")
