"""The address of a server: a host's name alone, or a URL."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

from diffusion.errors import SettingsError

__all__ = ["DEFAULT_PORT", "server_url"]

DEFAULT_PORT: Final = 7860


def server_url(server: str) -> str:
    """Return the URL of a server: of a host alone, with http and port 7860.

    Raises `SettingsError`.
    """
    hint = "must be HOST, HOST:PORT or an http URL, without a name or token in it"
    alone = "://" not in server
    try:
        parts = urlsplit(f"http://{server}" if alone else server)
        port = parts.port or (DEFAULT_PORT if alone else None)
    except ValueError as error:
        raise SettingsError("server", server, hint) from error
    extra = parts.username or parts.query or parts.fragment or (alone and parts.path)
    if parts.scheme not in ("http", "https") or not parts.hostname or extra:
        raise SettingsError("server", server, hint)
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    place = host if port is None else f"{host}:{port}"
    return f"{parts.scheme}://{place}{parts.path.rstrip('/')}"
