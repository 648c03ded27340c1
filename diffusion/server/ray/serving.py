"""The Ray Serve application: replicas of the server, each with a worker on a GPU of its own.

``serve run diffusion.server.ray.serving:build config=server.toml max_replicas=4`` starts it.
docs/deploy.md says how to do so safely.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ray import serve
from ray.serve.config import AutoscalingConfig, BackpressureConfig

from diffusion.server.access.control import ASGIApp
from diffusion.server.app import create_app
from diffusion.server.engine.interface import EngineState
from diffusion.server.errors import UnavailableError
from diffusion.server.logs import configure_logs
from diffusion.server.ray.device import own_device
from diffusion.server.ray.options import ReplicaOptions
from diffusion.server.ray.replica_app import ReplicaApp
from diffusion.server.ray.routes import ROUTERS
from diffusion.server.services import Services, make_services
from diffusion.server.settings import ServerSettings

__all__ = ["Replica", "application_of", "build"]


def build(arguments: Mapping[str, Any]) -> serve.Application:
    """Return the application that Ray Serve runs, of the arguments of its configuration.

    Raises `ConfigurationError`, and pydantic's error for arguments that are not `ReplicaOptions`.
    """
    return application_of(Replica, ReplicaOptions.model_validate(arguments))


def application_of(replica: type[Replica], options: ReplicaOptions) -> serve.Application:
    """Return the application of a kind of replica."""
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
    return deployment(serve.ingress()(replica)).bind(options)


class Replica:
    """A server of its own behind Ray's proxies, which begins once its worker is ready."""

    def __init__(self, options: ReplicaOptions) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="avila-replica-"))
        settings = options.settings(self._folder)
        configure_logs(settings.json_logs)
        self._services = self.make_services(settings)

    def make_services(self, settings: ServerSettings) -> Services:
        """Return the parts of the server, with a worker on the GPU that Ray gave."""
        device = own_device(settings.device)
        own = settings.model_copy(update={"device": device, "devices": None})
        return make_services(own, alone=False)

    def __serve_build_asgi_app__(self) -> ASGIApp:
        """Return the application that Ray calls."""
        application = create_app(self._services, ROUTERS)
        return ReplicaApp(application.gate, self._services, self._folder)

    async def check_health(self) -> None:
        """Raise `UnavailableError` where the replica's worker was given up, so that it is replaced.

        One that is started again is waited for.
        """
        for engine in self._services.engines:
            if engine.status.state is EngineState.FAILED:
                raise UnavailableError(f"the worker was given up: {engine.status.reason}")
