"""Users of tests: an admin and one who is none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import requests

from tests.diffusion.server.live_server import SECONDS, Live

__all__ = ["TOKENS", "ask_as", "bearer", "write_users"]

TOKENS = {"ana": "a" * 24, "bo": "b" * 24, "cleo": "c" * 24}


def write_users(folder: Path) -> Path:
    """Write a file with the admin ``ana``, and ``bo`` and ``cleo``."""
    path = folder / "users.toml"
    path.touch(0o600)
    lines = []
    for name, token in TOKENS.items():
        scopes = '["generate", "admin"]' if name == "ana" else '["generate"]'
        lines.append(f'[[users]]\nname = "{name}"\ntoken = "{token}"\nscopes = {scopes}\n')
    path.write_text("".join(lines))
    return path


def bearer(name: str) -> dict[str, str]:
    """Return the header that a user signs in with."""
    return {"authorization": f"Bearer {TOKENS[name]}"}


def ask_as(live: Live, name: str, method: str, path: str, **options: Any) -> requests.Response:
    """Ask as a user."""
    headers = {**bearer(name), **options.pop("headers", {})}
    return requests.request(method, live.url + path, headers=headers, timeout=SECONDS, **options)
