"""The Ray Serve application: replicas of the server, each with a worker on a GPU of its own.

``serve run diffusion.server.ray.serving:build config=server.toml max_replicas=4`` starts it.
docs/deploy.md says how to do so safely.
"""

from __future__ import annotations

import asyncio
import ipaddress
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field
from ray import serve
from ray.serve.config import AutoscalingConfig, BackpressureConfig

from diffusion.server.access.control import ASGIApp, Receive, Scope, Send
from diffusion.server.app import create_app
from diffusion.server.engine.interface import EngineState
from diffusion.server.errors import UnavailableError
from diffusion.server.jobs.history import PictureSearch
from diffusion.server.logs import configure_logs
from diffusion.server.ray.device import own_device
from diffusion.server.ray.routes import ROUTERS
from diffusion.server.services import Services, make_services
from diffusion.server.settings import ServerSettings, load_settings

__all__ = ["ReplicaOptions", "build"]

KEPT_SECONDS: Final = 600
"""Seconds for which a replica keeps a picture that it has sent."""


class ReplicaOptions(BaseModel):
    """Arguments of `build`.

    Attributes:
        config: TOML file of the server's settings, at the same place on every machine.
        gpus, cpus: of a replica; 0 GPUs draw in software.
        min_replicas, max_replicas: between them, as many as the requests under way ask for.
        requests: that a replica has at most; Ray adds one where they have half of it.
        waiting: requests that wait at a proxy; more are answered 429.
        retry_after: seconds after which such a client may come again.
    """

    model_config = ConfigDict(extra="forbid")

    config: Path | None = None
    gpus: float = Field(default=1, ge=0, le=1)
    cpus: float = Field(default=1, ge=0)
    min_replicas: int = Field(default=1, ge=0)
    max_replicas: int = Field(default=1, ge=1)
    requests: int = Field(default=16, ge=1)
    waiting: int = Field(default=100, ge=0)
    retry_after: float = Field(default=5, gt=0)

    def settings(self, device: str | None = None, output: Path | None = None) -> ServerSettings:
        """Return the settings of a replica. Raises `ConfigurationError`."""
        return load_settings(self.config, {"device": device, "output": output})


def build(options: ReplicaOptions) -> serve.Application:
    """Return the application that Ray Serve runs. Raises `ConfigurationError`."""
    settings = options.settings()
    deployment = serve.deployment(
        name="avila",
        ray_actor_options={"num_gpus": options.gpus, "num_cpus": options.cpus},
        autoscaling_config=AutoscalingConfig(
            min_replicas=options.min_replicas,
            max_replicas=max(options.min_replicas, options.max_replicas),
            target_ongoing_requests=max(1.0, options.requests / 2),
        ),
        max_ongoing_requests=options.requests,
        max_queued_requests=options.waiting,
        backpressure_config=BackpressureConfig(status_code=429, retry_after_s=options.retry_after),
        graceful_shutdown_timeout_s=settings.drain_seconds + 5,
        health_check_period_s=10,
        health_check_timeout_s=30,
    )
    return deployment(serve.ingress()(Replica)).bind(options)


class Replica:
    """A server of its own behind Ray's proxies, which begins once its worker is ready."""

    def __init__(self, options: ReplicaOptions) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="avila-replica-"))
        device = own_device(options.settings().device)
        settings = options.settings(device, self._folder)
        configure_logs(settings.json_logs)
        self._services = make_services(settings, alone=False)

    def __serve_build_asgi_app__(self) -> ASGIApp:
        """Return the application that Ray calls."""
        application = create_app(self._services, ROUTERS)
        return _ReplicaApp(application.gate, self._services, self._folder)

    async def check_health(self) -> None:
        """Raise `UnavailableError` where the replica's worker was given up, so that it is replaced.

        One that is started again is waited for.
        """
        for engine in self._services.engines:
            if engine.status.state is EngineState.FAILED:
                raise UnavailableError(f"the worker was given up: {engine.status.reason}")


class _ReplicaApp:
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
