"""The client's errors, in one tree below that of ``diffusion``.

::

    DiffusionError
    └── ClientError              root of what goes wrong between this program and a server
        ├── UnreachableError     no answer came, though it was tried several times
        ├── ForeignAnswerError   an answer that no server of this project gives
        ├── WaitTimeoutError     a job or download has not ended in the time that was given
        ├── JobEndedError        a job or download ended without its result
        └── AnswerError          the server refused; has the HTTP status and the server's sentence
            ├── RefusedError     400, 413, 422: a value cannot be taken
            ├── NotSignedInError 401: the token is missing or wrong
            ├── ForbiddenError   403: the user lacks the scope
            ├── NotFoundError    404: no such job, picture, model or download
            ├── ConflictError    409: an idempotency key came with another request before
            └── ServerBusyError  429, 503: still busy after all tries; says when to come again

Each keeps its constructor's arguments as attributes and can be pickled.
"""

from __future__ import annotations

from diffusion.errors import DiffusionError, quote

SENTENCE_LENGTH = 500
"""Characters of a server's sentence that a message shows."""


class ClientError(DiffusionError):
    """Root of what goes wrong between this program and a server."""


class UnreachableError(ClientError):
    """No answer came. ``address``: the server's; ``reason``: of the last try."""

    def __init__(self, address: str, reason: str) -> None:
        super().__init__(address, reason)
        self.address, self.reason = address, reason

    def __str__(self) -> str:
        return f"no answer from {self.address}: {self.reason}; is the server running there?"


class ForeignAnswerError(ClientError):
    """An answer that no server of this project gives. ``path``: that was asked for."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(path, reason)
        self.path, self.reason = path, reason

    def __str__(self) -> str:
        return f"the answer to {self.path} is not one of Avila's: {self.reason}; check the address"


class WaitTimeoutError(ClientError):
    """A job or download has not ended in the time that was given, and goes on."""

    def __init__(self, what: str, seconds: float) -> None:
        super().__init__(what, seconds)
        self.what, self.seconds = what, seconds

    def __str__(self) -> str:
        return f"{self.what} has not ended within {self.seconds:g} s; it goes on: wait, or cancel"


class JobEndedError(ClientError):
    """A job or download ended without its result.

    ``what``: which; ``state``: failed or cancelled; ``message``: why.
    """

    def __init__(self, what: str, state: str, message: str) -> None:
        super().__init__(what, state, message)
        self.what, self.state, self.message = what, state, message

    def __str__(self) -> str:
        reason = f": {quote(self.message, SENTENCE_LENGTH)[1:-1]}" if self.message else ""
        return f"{self.what} {'was ' * (self.state == 'cancelled')}{self.state}{reason}"


class AnswerError(ClientError):
    """The server refused. ``status``: of HTTP; ``sentence``: the server's own."""

    def __init__(self, status: int, sentence: str, retry_after: float | None = None) -> None:
        super().__init__(status, sentence, retry_after)
        self.status, self.sentence, self.retry_after = status, sentence, retry_after

    def __str__(self) -> str:
        return f"{quote(self.sentence, SENTENCE_LENGTH)[1:-1]} (status {self.status})"


class RefusedError(AnswerError):
    """A value of the request cannot be taken."""


class NotSignedInError(AnswerError):
    """The token is missing or wrong."""


class ForbiddenError(AnswerError):
    """The user lacks the scope that this needs."""


class NotFoundError(AnswerError):
    """No such job, picture, model or download."""


class ConflictError(AnswerError):
    """An idempotency key came with another request before."""


class ServerBusyError(AnswerError):
    """The server takes nothing more now; ``retry_after``: seconds until it is worth trying."""
