"""The server's errors, in one tree below that of ``diffusion``.

::

    DiffusionError
    └── ServerError              root of what the server refuses; each has an HTTP status
        ├── ConfigurationError   the server cannot start as it is configured
        ├── MalformedError       400: a request that another program could read otherwise
        ├── NotSignedInError     401: no credential, or a wrong one
        ├── ForbiddenError       403: the user lacks the scope, or a page of another site asks
        ├── NotFoundError        404: no such job, picture or model
        ├── ConflictError        409: a request contradicts an earlier one
        ├── TooLargeError        413: a body has more bytes than the server takes
        ├── RefusedError         422: a field that has no SettingsError of its own
        │   └── UnknownModelError    no model has the name that a request gives
        ├── BusyError            429: the queue is full; says when to come again
        ├── NotBuiltError        501: a feature that this server does not have
        └── UnavailableError     503: the server is stopping, or its worker is

Each message is one line that says what is wrong and what to do.
"""

from __future__ import annotations

from typing import ClassVar

from diffusion.errors import DiffusionError


class ServerError(DiffusionError):
    """Root of what the server refuses. ``retry_after``: seconds until it is worth trying."""

    status: ClassVar[int] = 500

    def __init__(self, message: str, retry_after: int | None = None) -> None:
        super().__init__(message, retry_after)
        self.message = message
        self.retry_after = retry_after

    def __str__(self) -> str:
        return self.message


class ConfigurationError(ServerError):
    """The server cannot start as it is configured."""


class MalformedError(ServerError):
    """A request that another program could read otherwise."""

    status = 400


class NotSignedInError(ServerError):
    """A request has no credential, or a wrong one."""

    status = 401


class ForbiddenError(ServerError):
    """The user lacks the scope that a route needs, or a page of another site asks."""

    status = 403


class NotFoundError(ServerError):
    """No such job, picture or model."""

    status = 404


class ConflictError(ServerError):
    """A request contradicts an earlier one."""

    status = 409


class TooLargeError(ServerError):
    """A request has more bytes than the server takes."""

    status = 413

    def __init__(self, most: int) -> None:
        size = f"{most >> 20} MiB" if most >= 1 << 20 else f"{most} bytes"
        super().__init__(f"a request may have at most {size}; send less, or smaller pictures")


class RefusedError(ServerError):
    """A field of a request has a value that cannot be taken."""

    status = 422


class UnknownModelError(RefusedError):
    """No model has the name that a request gives."""


class BusyError(ServerError):
    """The queue is full."""

    status = 429


class NotBuiltError(ServerError):
    """A request asks for a feature that this server does not have."""

    status = 501


class UnavailableError(ServerError):
    """The server is stopping, or its worker is."""

    status = 503
