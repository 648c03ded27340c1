"""Run the server: the web server, its signals, and a stop that loses nothing."""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
from collections.abc import Sequence
from types import FrameType
from typing import Final

import structlog
import uvicorn

from diffusion.server.access.deadlines import protocol_with_deadlines
from diffusion.server.app import create_app
from diffusion.server.engine.interface import Engine
from diffusion.server.errors import ConfigurationError
from diffusion.server.logs import configure_logs
from diffusion.server.services import Services, make_services
from diffusion.server.settings import ServerSettings

__all__ = ["DrainingServer", "make_server", "serve"]

CLOSING_SECONDS = 3
"""Seconds that open answers have once all jobs have ended."""

SWITCH_SECONDS: Final = 0.001
"""How long a thread keeps Python's lock where another one waits for it.

The event loop gives the lock up at each read and write. While a thread decodes a large picture, it
waits for it each time: five milliseconds, as Python has it, are many in one request.
"""

log = structlog.get_logger()


class DrainingServer(uvicorn.Server):
    """uvicorn's server, whose first signal drains and whose second ends at once.

    While it drains it still answers: ``/readyz`` with 503, new jobs with 503, old ones as ever.
    """

    def __init__(self, config: uvicorn.Config, services: Services) -> None:
        super().__init__(config)
        self.services = services
        self._signalled = False
        self._draining: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def run(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve in this process, whose threads change more often meanwhile."""
        before = sys.getswitchinterval()
        sys.setswitchinterval(SWITCH_SECONDS)
        try:
            super().run(sockets)
        finally:
            sys.setswitchinterval(before)

    async def startup(self, sockets: list[object] | None = None) -> None:  # type: ignore[override]
        """Listen, and tell where."""
        self._loop = asyncio.get_running_loop()
        await super().startup(sockets)  # type: ignore[arg-type]
        for server in self.servers if self.started else []:
            for each in server.sockets:
                host, port = each.getsockname()[:2]
                log.info("listening", url=f"http://{host}:{port}")

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Drain at the first signal; end at the second."""
        if self._signalled or self._loop is None:
            self.should_exit = self.force_exit = True
            return
        self._signalled = True
        self._loop.call_soon_threadsafe(self.drain, signal.Signals(sig).name)

    def drain(self, why: str) -> None:
        """Begin to drain; the server ends once that is done."""
        self._draining = asyncio.ensure_future(self._drain(why))

    async def _drain(self, why: str) -> None:
        log.info("draining", why=why, running=len(self.services.scheduler.running))
        await self.services.scheduler.drain(self.services.settings.drain_seconds)
        self.should_exit = True


def make_server(
    settings: ServerSettings, engines: Sequence[Engine] | None = None
) -> DrainingServer:
    """Return a server that is ready to run. Raises `ConfigurationError`."""
    services = make_services(settings, engines)
    config = uvicorn.Config(
        create_app(services).gate,
        host=settings.host,
        port=settings.port,
        http=protocol_with_deadlines(
            settings.head_seconds, settings.body_seconds, settings.send_seconds
        ),
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=CLOSING_SECONDS,
    )
    return DrainingServer(config, services)


def serve(settings: ServerSettings) -> None:
    """Serve until a signal comes. Raises `ConfigurationError`."""
    configure_logs(settings.json_logs)
    server = make_server(settings)
    try:
        server.run()
    except SystemExit as error:
        message = f"{settings.host}:{settings.port} cannot be listened to; is the port taken?"
        raise ConfigurationError(message) from error
