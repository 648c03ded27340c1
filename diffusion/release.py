"""The version of the installed program."""

from __future__ import annotations

__all__ = ["version"]


def version() -> str:
    """Return the installed version, or "unknown" for a checkout that is not installed."""
    from importlib import metadata  # takes 14 ms to load: a first step comes before it

    try:
        return metadata.version("avila-diffusion")
    except metadata.PackageNotFoundError:
        return "unknown"
