"""Sessions of browsers: a cookie that stands for a user's token, which it does not hold.

Its value is the time when it ends, signed together with the user's name by the token's digest. So
it outlives a restart of the server, and ends with the token. The server keeps nothing but the names
of those whose users signed out.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import time
from typing import Final

__all__ = [
    "COOKIE",
    "SESSION_SECONDS",
    "name_of_session",
    "read_cookie",
    "session_end",
    "sign_session",
]

COOKIE: Final = "avila-session"
SESSION_SECONDS: Final = 30 * 86400
_FORM: Final = re.compile(r"([0-9]{1,12})-[0-9a-f]{64}")


def sign_session(name: str, digest: bytes, ends: int | None = None) -> str:
    """Return the cookie of a user; ``ends``: seconds since 1970, by default in thirty days."""
    ends = int(time.time()) + SESSION_SECONDS if ends is None else ends
    signature = hmac.new(digest, f"{name}|{ends}".encode(), hashlib.sha256).hexdigest()
    return f"{ends}-{signature}"


def session_end(cookie: str) -> int | None:
    """Return when a session ends; None where it has ended, or the cookie has another form."""
    found = _FORM.fullmatch(cookie)
    ends = 0 if found is None else int(found[1])
    return ends if ends > time.time() else None


def name_of_session(cookie: str) -> str:
    """Return a name of a session that nobody can sign in with."""
    return hashlib.sha256(cookie.encode("utf-8", "replace")).hexdigest()


def read_cookie(header: str) -> str | None:
    """Return the session in a ``Cookie`` header, None where it has none.

    Python's own parser takes seconds for some headers, and stops at cookies of other programs.
    """
    pairs = (each.strip().partition("=") for each in header.split(";"))
    return next((value for name, _, value in pairs if name == COOKIE), None)
