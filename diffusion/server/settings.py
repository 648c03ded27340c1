"""The server's settings: a TOML file, ``AVILA_*`` variables and options, the last one wins."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from platformdirs import user_pictures_path
from pydantic import BeforeValidator, Field, ValidationError
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
    TomlConfigSettingsSource,
)

from diffusion.checkpoints.bundled import bundled_controls, bundled_loras
from diffusion.checks import bytes_of
from diffusion.errors import quote
from diffusion.models.quantized import WEIGHT_NAMES
from diffusion.server.errors import ConfigurationError
from diffusion.server.jobs.request import WorkLimits

__all__ = ["ServerSettings", "is_loopback", "load_settings"]


def _read_bytes(value: object) -> object:
    """Return a text such as ``8GB`` or ``512 MiB`` as bytes; other values as they are."""
    return bytes_of(value) if isinstance(value, str) else value


def _split_names(value: object) -> object:
    """Return the items of a text such as ``0,1``; other values with numbers as text."""
    items = value.split(",") if isinstance(value, str) else value
    if not isinstance(items, list | tuple):
        return items
    return [str(each) if isinstance(each, int) else each for each in items]


def _read_weight_name(value: object) -> object:
    """Return the name of a format in lower case, as the command line takes it."""
    name = value.lower() if isinstance(value, str) else value
    if name is not None and name not in WEIGHT_NAMES:
        raise ValueError(f"must be one of {', '.join(WEIGHT_NAMES)}")
    return name


Name = Annotated[str, Field(min_length=1, max_length=200)]
Names = Annotated[tuple[Name, ...], NoDecode, BeforeValidator(_split_names), Field(min_length=1)]
WeightName = Annotated[str, BeforeValidator(_read_weight_name)]
Bytes = Annotated[int, BeforeValidator(_read_bytes)]
Seconds = Annotated[float, Field(gt=0, le=86400, allow_inf_nan=False)]


class ServerSettings(BaseSettings):
    """Everything that can be chosen. `load_settings` makes it; docs/server.md explains each."""

    model_config = SettingsConfigDict(env_prefix="AVILA_", extra="forbid", frozen=True)

    host: str = "127.0.0.1"
    port: int = Field(default=7860, ge=0, le=65535)
    users: Path | None = None
    allowed_hosts: tuple[str, ...] = ()
    allowed_origins: tuple[str, ...] = ()
    output: Path = Field(default_factory=lambda: user_pictures_path() / "avila")
    model: str | None = None
    models: Path | None = None
    tokenizer: Path | None = None
    unet_base: str | None = None
    loras: Path | None = None
    embeddings: Path | None = None
    controls: Path | None = None
    upscalers: Path | None = None
    vaes: Path | None = None
    styles: Path | None = None
    device: str | None = None
    devices: Names | None = None
    dtype: str | None = Field(default=None, pattern="^(f16|f32)$")
    vram: Bytes | None = Field(default=None, ge=1)
    weights: WeightName | None = None
    queue: int = Field(default=100, ge=1, le=100_000)
    queue_memory: Bytes = Field(default=1 << 30, ge=1 << 20)
    jobs_at_once: int | None = Field(default=None, ge=1, le=64)
    preview_every: int = Field(default=5, ge=0, le=1000)
    preview_method: str = Field(default="auto", pattern="^(auto|full|taesd|approx)$")
    largest_body: Bytes = Field(default=32 << 20, ge=1024)
    work: WorkLimits = WorkLimits()
    head_seconds: Seconds = 10.0
    body_seconds: Seconds = 30.0
    send_seconds: Seconds = 60.0
    drain_seconds: Seconds = 30.0
    stall_seconds: Seconds = 120.0
    load_seconds: Seconds = 600.0
    json_logs: bool = False

    @property
    def lora_folder(self) -> Path | None:
        """Where names of LoRAs are found: by default those that come with the bundled model."""
        return bundled_loras(self.model) if self.loras is None else self.loras

    @property
    def control_folder(self) -> Path | None:
        """Where names of control networks are found: by default those of the bundled model."""
        return bundled_controls(self.model) if self.controls is None else self.controls

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Return the sources, the strongest first."""
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls)


def load_settings(file: Path | None, options: Mapping[str, Any]) -> ServerSettings:
    """Return the settings of a TOML ``file``, the environment and ``options``; None is not given.

    Raises `ConfigurationError` that names every wrong setting.
    """
    if file is not None and not file.is_file():
        raise ConfigurationError(f"{file} is no file; check --config")

    class FromFile(ServerSettings):
        """The settings, with the file that is read this time."""

        model_config = SettingsConfigDict(toml_file=file)

    given = {name: value for name, value in options.items() if value is not None}
    try:
        settings = FromFile(**given)
    except ValidationError as error:
        raise ConfigurationError("; ".join(_problem(each) for each in error.errors())) from error
    except (SettingsError, ValueError) as error:
        raise ConfigurationError(f"the settings cannot be read: {error}") from error
    if settings.users is None and not is_loopback(settings.host):
        raise ConfigurationError(
            f"host {settings.host} lets other machines in, so it needs users: run "
            "'avila serve --new-users users.toml', then add --users users.toml"
        )
    return settings


def _problem(error: Any) -> str:
    """Return one problem as a sentence: the setting, the rule, what was given."""
    name = ".".join(map(str, error["loc"])) or "settings"
    if error["type"] == "extra_forbidden":
        return f"{name} is no setting; docs/server.md lists all"
    given = quote(error["input"])
    if error["type"] == "value_error":  # ours, which says what it must be
        return f"{name} {error['ctx']['error']}; got {given}"
    return f"{name}: {error['msg'].lower()}, got {given}"


def is_loopback(host: str) -> bool:
    """Tell whether a host is this machine alone."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
