"""The gate before all routes: hosts, origins, users, and the headers of every answer."""

from __future__ import annotations

import ipaddress
import json
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping
from typing import Any, Final, TypeAlias
from urllib.parse import urlsplit

from diffusion.server.access.sessions import read_cookie
from diffusion.server.access.users import LOCAL, Credentials
from diffusion.server.error_answers import answer_to
from diffusion.server.errors import ForbiddenError, MalformedError, ServerError, TooLargeError
from diffusion.server.settings import is_loopback

__all__ = ["ASGIApp", "AccessControl", "Receive", "Scope", "Send"]

Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send: TypeAlias = Callable[[MutableMapping[str, Any]], Awaitable[None]]
ASGIApp: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]

HEALTH: Final = "/healthz"
PAGE: Final = "/"
PAGE_FOLDER: Final = "/page/"
"""The page's own files, which hold no secret."""
CHANGING_METHODS: Final = frozenset({"POST", "PUT", "PATCH", "DELETE"})
"""Those that change something. No route has others, but for GET and HEAD."""
_HEADERS: Final = (
    (
        b"content-security-policy",
        b"default-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'",
    ),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cache-control", b"no-store"),
)


class AccessControl:
    """An ASGI layer that lets a request through to ``app``, or answers it.

    A host name that is not of this machine is refused, since a page could point one here (DNS
    rebinding). An address may be used where the server listens to more than this machine: it cannot
    be pointed elsewhere. What changes state is refused to pages of other sites.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        host: str,
        credentials: Credentials | None = None,
        allowed_hosts: Iterable[str] = (),
        allowed_origins: Iterable[str] = (),
        largest_body: int | None = None,
    ) -> None:
        self._app, self._credentials, self._largest_body = app, credentials, largest_body
        self._local = is_loopback(host)
        self._hosts = {name.lower() for name in ("localhost", host, *allowed_hosts)}
        self._origins = {origin.lower().rstrip("/") for origin in allowed_origins}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Check a request and hand it on."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
            return
        headers = {name.lower(): value.decode("latin-1") for name, value in scope["headers"]}
        sending = _with_headers(send)
        try:
            self._let_in(scope, headers)
        except ServerError as error:
            await _answer(sending, scope["path"], error, headers)
            return
        await self._app(scope, receive, sending)

    def _let_in(self, scope: Scope, headers: dict[bytes, str]) -> None:
        """Check a request, and note its user. Raises `ServerError`."""
        path = scope["path"]
        if path == HEALTH:
            return
        _check_framing(headers)
        self._check_host(headers.get(b"host", ""))
        if scope["method"] in CHANGING_METHODS:
            self._check_origin(headers)
        elif path == PAGE or path.startswith(PAGE_FOLDER):
            return
        scope["user"] = self._find_user(scope, headers)
        self._check_length(headers.get(b"content-length", ""))
        # No route reads cookies, and FastAPI would parse them: some take it seconds.
        scope["headers"] = [each for each in scope["headers"] if each[0].lower() != b"cookie"]

    def _check_length(self, header: str) -> None:
        """Raise `TooLargeError` for a body that says so itself. Others are counted as they come."""
        most = self._largest_body
        if most is not None and header.isdigit() and int(header[:20]) > most:
            raise TooLargeError(most)

    def _check_host(self, header: str) -> None:
        """Raise `ForbiddenError` for a ``Host`` that is not ours."""
        name = _host_name(header)
        if name in self._hosts:
            return
        try:
            address = ipaddress.ip_address(name)
        except ValueError:
            raise ForbiddenError(
                "this Host is not one of this server; add it to allowed_hosts if it is"
            ) from None
        if self._local and not address.is_loopback:
            raise ForbiddenError("this server answers to this machine alone")

    def _check_origin(self, headers: dict[bytes, str]) -> None:
        """Raise `ForbiddenError` where a page of another site sent a request.

        Programs send no ``Origin``; browsers always do where a page changes something.
        """
        origin = headers.get(b"origin")
        fetch_site = headers.get(b"sec-fetch-site", "none").lower()
        if origin is None:
            if fetch_site in ("same-origin", "none"):
                return
        elif origin.lower().rstrip("/") in self._origins:
            return
        else:
            parts = urlsplit(origin.lower())
            if parts.netloc and parts.netloc == headers.get(b"host", "").lower():
                return
        raise ForbiddenError(
            "a page of another site may not change anything here; add it to allowed_origins"
        )

    def _find_user(self, scope: Scope, headers: dict[bytes, str]) -> object:
        """Return the user of a request; `LOCAL` where the server has no users."""
        if self._credentials is None:
            return LOCAL
        authorization = headers.get(b"authorization", "")
        session = None if authorization else read_cookie(headers.get(b"cookie", ""))
        if session is not None:
            user = self._credentials.find_by_session(session)
            if user is not None:
                scope["session"] = session
                return user
        address = (scope.get("client") or ("unknown", 0))[0]
        return self._credentials.find(authorization, address)


def _check_framing(headers: Mapping[bytes, str]) -> None:
    """Raise `MalformedError` for two lengths of a body: a proxy may take the other one."""
    if b"content-length" in headers and b"transfer-encoding" in headers:
        raise MalformedError("a request has Content-Length or Transfer-Encoding, not both")


def _host_name(header: str) -> str:
    """Return the name or address in a ``Host`` header, without its port; "" for a wrong one."""
    try:
        return (urlsplit(f"//{header}").hostname or "").lower().rstrip(".")
    except ValueError:
        return ""


def _with_headers(send: Send) -> Send:
    """Return ``send`` with our headers added to every answer that has not its own.

    ``X-Process-Time`` has the seconds until the answer began, as AUTOMATIC1111's WebUI tells them.
    """
    begun = time.perf_counter()

    async def sending(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            given = {name.lower() for name, _ in message["headers"]}
            new = [each for each in _HEADERS if each[0] not in given]
            seconds = f"{time.perf_counter() - begun:.4f}".encode()
            message["headers"] = [*message["headers"], *new, (b"x-process-time", seconds)]
        await send(message)

    return sending


async def _answer(send: Send, path: str, error: ServerError, asked: Mapping[bytes, str]) -> None:
    """Answer a request that is not let through.

    A browser that is sent ``Basic`` asks for a password in a window of its own. That is right where
    a person opens an address, and wrong where the page asks, which has its own form.
    """
    answer = answer_to(path, error)
    body = json.dumps(answer.body).encode()
    headers = [(name.encode(), value.encode()) for name, value in answer.headers.items()]
    headers.append((b"content-type", b"application/json"))
    headers.append((b"content-length", str(len(body)).encode()))
    if answer.status == 401:
        by_page = asked.get(b"sec-fetch-dest", "document") != "document"
        scheme = b"Bearer" if by_page else b"Basic"
        headers.append((b"www-authenticate", scheme + b' realm="avila"'))
    headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
