"""What an operator chooses of replicas, beside the settings of the server."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from diffusion.server.settings import ServerSettings, load_settings

__all__ = ["ReplicaOptions"]


class ReplicaOptions(BaseModel):
    """Arguments of `diffusion.server.ray.serving.build`.

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

    def settings(self, output: Path | None = None) -> ServerSettings:
        """Return the settings of a replica. Raises `ConfigurationError`."""
        return load_settings(self.config, {"output": output})
