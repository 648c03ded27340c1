"""What a batch is drawn with, and how lines' defaults are typed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from diffusion.checkpoints.bundled import named_model
from diffusion.errors import SettingsError
from diffusion.server.batch.lines import ModelNames
from diffusion.server.engine.interface import Engine
from diffusion.server.services import make_engines
from diffusion.server.settings import ServerSettings, load_settings

__all__ = ["BatchOptions", "parse_changes"]

_LARGEST: Final = 65536
"""Characters of a default."""


@dataclass(frozen=True)
class BatchOptions:
    """The models of a batch and the devices that draw it.

    ``model``: of lines that name none, as `named_model` takes it. ``models`` to ``vaes``:
    folders. ``device`` to ``at_once``: as the server's settings; None for their defaults.
    ``ray``: the address of a cluster, ``auto`` or ``local``; None for none; ``workers``: there.

    They can be sent to another machine, whose own files they name then.
    """

    model: str | None = None
    models: Path | None = None
    loras: Path | None = None
    embeddings: Path | None = None
    controls: Path | None = None
    upscalers: Path | None = None
    vaes: Path | None = None
    device: str | None = None
    devices: str | None = None
    dtype: str | None = None
    vram: str | None = None
    weights: str | None = None
    at_once: int | None = None
    ray: str | None = None
    workers: int | None = None

    def check(self) -> None:
        """Raise `ConfigurationError`, `ModelNotFoundError` or `SettingsError`."""
        self.settings()
        if self.ray is None and self.workers is not None:
            raise SettingsError("workers", self.workers, "needs --ray ADDRESS")
        if self.ray is not None and self.devices is not None:
            raise SettingsError("devices", self.devices, "must not be given with --ray")
        if self.models is not None and not self.models.is_dir():
            raise SettingsError("models", str(self.models), "must be a folder")

    def settings(self) -> ServerSettings:
        """Return the server's settings of the same names. Raises `ConfigurationError`."""
        given = {
            "host": "127.0.0.1",  # whatever a server of this environment listens to
            "models": self.models,
            "loras": self.loras,
            "embeddings": self.embeddings,
            "controls": self.controls,
            "upscalers": self.upscalers,
            "vaes": self.vaes,
            "device": self.device,
            "devices": self.devices,
            "dtype": self.dtype,
            "vram": self.vram,
            "weights": self.weights,
            "jobs_at_once": self.at_once,
        }
        return load_settings(None, given)

    @property
    def identity(self) -> str:
        """The options that pictures depend on, as text."""
        adapters = self.loras, self.embeddings, self.controls, self.upscalers
        given = [self.model, self.dtype, *adapters]
        given += [] if self.vaes is None else [self.vaes]  # which old batches do not have
        given += [] if self.weights is None else [f"weights {self.weights}"]
        return json.dumps([None if each is None else str(each) for each in given])

    def model_names(self) -> ModelNames:
        """Return the models that lines may name. Raises `ModelNotFoundError`."""
        return ModelNames(named_model(self.model), self.models, self.vaes)

    def engines(self) -> Sequence[Engine]:
        """Return a worker for each device. Raises `ConfigurationError`."""
        return make_engines(self.settings())


def parse_changes(texts: Sequence[str]) -> dict[str, Any]:
    """Return the fields of texts such as ``steps=30`` and ``hires.scale=2``.

    A value is JSON where it can be, otherwise text. Raises `SettingsError`.
    """
    found: dict[str, Any] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        *parts, last = name.strip().split(".")
        if not equals or not all([*parts, last]):
            raise SettingsError("set", text, "must be NAME=VALUE, such as steps=30")
        if name.strip() == "id":
            raise SettingsError("set", text, "must be a field of several lines; id is of one")
        inner = found
        for part in parts:
            inner = inner.setdefault(part, {})
            if not isinstance(inner, dict):
                raise SettingsError("set", text, f"must not come with another value of {part}")
        inner[last] = _parse_value(value[:_LARGEST])
    return found


def _parse_value(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text
