"""Sessions of browsers: a cookie that stands for a user's token, which it does not hold.

Its value is the user's name, the time when it ends, and both signed with the token's digest. So it
outlives a restart of the server, and ends with the token. The server keeps nothing.
"""

from __future__ import annotations

import hashlib
import hmac
import time
from http.cookies import CookieError, SimpleCookie
from typing import Final

__all__ = ["COOKIE", "SESSION_SECONDS", "read_cookie", "session_name", "sign_session"]

COOKIE: Final = "avila-session"
SESSION_SECONDS: Final = 30 * 86400
_PARTS: Final = 3


def sign_session(name: str, digest: bytes, ends: int | None = None) -> str:
    """Return the cookie of a user; ``ends``: seconds since 1970, by default in thirty days."""
    ends = int(time.time()) + SESSION_SECONDS if ends is None else ends
    signature = hmac.new(digest, f"{name}|{ends}".encode(), hashlib.sha256).hexdigest()
    return f"{name}|{ends}|{signature}"


def session_name(cookie: str) -> str | None:
    """Return the name that a cookie claims, None where it has another form or has ended."""
    parts = cookie.split("|")
    if len(parts) != _PARTS or not (parts[1].isascii() and parts[1].isdigit()):
        return None
    return parts[0] if len(parts[1]) < 12 and int(parts[1]) > time.time() else None


def read_cookie(header: str) -> str | None:
    """Return the session in a ``Cookie`` header, None where it has none."""
    try:
        found = SimpleCookie(header).get(COOKIE)
    except CookieError:
        return None
    return None if found is None else found.value
