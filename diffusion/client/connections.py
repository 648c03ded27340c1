"""What both clients tell their HTTP library: headers and time limits."""

from __future__ import annotations

from typing import Final

import httpx2

from diffusion.client.policy import Policy
from diffusion.release import version

__all__ = ["client_headers", "client_timeout"]

LONGEST_CONNECT: Final = 10.0
"""Seconds for a connection: a host that is not there is known soon."""


def client_headers(token: str | None) -> dict[str, str]:
    """Return the headers of every request."""
    headers = {"user-agent": f"avila-client/{version()}"}
    if token is not None:
        headers["authorization"] = f"Bearer {token}"
    return headers


def client_timeout(policy: Policy) -> httpx2.Timeout:
    """Return the time limits of a policy."""
    return httpx2.Timeout(policy.timeout, connect=min(policy.timeout, LONGEST_CONNECT))
