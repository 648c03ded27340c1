"""The route of the page that describes all routes."""

from __future__ import annotations

import asyncio

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from diffusion.server.routes.given import CurrentUser
from diffusion.server.routes.reference.writing import write_page

__all__ = ["router"]

router = APIRouter(tags=["page"])


@router.get("/docs", response_class=HTMLResponse)
async def show_reference(request: Request, user: CurrentUser) -> HTMLResponse:
    """Return a page that describes all routes, with an example of each."""
    schema = request.app.openapi()
    return HTMLResponse(await asyncio.to_thread(write_page, schema))
