"""The application of a replica: the server's, begun once its worker is ready, and kept small."""

from __future__ import annotations

import asyncio
import ipaddress
import shutil
import time
from pathlib import Path
from typing import Any, Final

from diffusion.server.access.control import ASGIApp, Receive, Scope, Send
from diffusion.server.engine.interface import EngineState
from diffusion.server.errors import UnavailableError
from diffusion.server.jobs.history import PictureSearch
from diffusion.server.services import Services

__all__ = ["ReplicaApp"]

KEPT_SECONDS: Final = 600
"""Seconds for which a replica keeps a picture that it has sent."""


class ReplicaApp:
    """The server's application, which without users lets in only this machine.

    Ray's proxy listens, and not the server, so that the address is checked with each request.
    """

    def __init__(self, gate: ASGIApp, services: Services, folder: Path) -> None:
        self._gate, self._services, self._folder = gate, services, folder
        self._sweeping: asyncio.Task[None] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or start and stop the server."""
        if scope["type"] == "lifespan":
            await self._gate(scope, receive, self._follow(send))
        elif self._services.credentials is not None or _is_local(scope):
            await self._gate(scope, receive, send)
        else:
            await _refuse(send)

    def _follow(self, send: Send) -> Send:
        """Return ``send`` that waits for the worker after the start, and tidies up at the end."""

        async def sending(message: Any) -> None:
            if message["type"] == "lifespan.startup.complete":
                await _wait_until_ready(self._services)
                self._sweeping = asyncio.create_task(_sweep(self._services))
            elif message["type"] == "lifespan.shutdown.complete":
                if self._sweeping is not None:
                    self._sweeping.cancel()
                await asyncio.to_thread(shutil.rmtree, self._folder, ignore_errors=True)
            await send(message)

        return sending


def _is_local(scope: Scope) -> bool:
    """Tell whether a request comes from this machine."""
    try:
        return ipaddress.ip_address((scope.get("client") or ("", 0))[0]).is_loopback
    except ValueError:
        return False


async def _refuse(send: Send) -> None:
    body = b'{"detail": "this server has no users, so that it answers to its machine alone"}'
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 403, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _wait_until_ready(services: Services) -> None:
    """Return once a worker is ready. Raises `UnavailableError` where none will be."""
    while reasons := services.why_not_ready():
        if all(each.status.state is EngineState.FAILED for each in services.engines):
            raise UnavailableError("; ".join(reasons))
        await asyncio.sleep(0.05)


async def _sweep(services: Services) -> None:
    """Delete pictures that were sent some time ago, again and again."""
    while True:
        await asyncio.sleep(KEPT_SECONDS / 10)
        search = PictureSearch(until=time.time() - KEPT_SECONDS)
        found = await services.history.do(services.history.search_pictures, search, 0, 1000)
        for each in found.pictures:
            await asyncio.to_thread(services.outputs.delete, each.picture.file)
            await services.history.do(services.history.drop_picture, each.job, each.picture.number)
