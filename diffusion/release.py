"""The version of the installed program."""

from __future__ import annotations

from importlib import metadata

__all__ = ["version"]


def version() -> str:
    """Return the installed version, or "unknown" for a checkout that is not installed."""
    try:
        return metadata.version("avila-diffusion")
    except metadata.PackageNotFoundError:
        return "unknown"
