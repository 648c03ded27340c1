"""The exchange with a server as generators: they yield calls and pauses, and are sent answers.

So each operation is written once, and knows neither sockets nor clocks.
"""

from __future__ import annotations

import email.utils
import json
import time
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from http.client import responses
from typing import Any, Final, TypeAlias, TypeVar

from diffusion.client.errors import (
    AnswerError,
    ConflictError,
    ForbiddenError,
    ForeignAnswerError,
    NotFoundError,
    NotSignedInError,
    RefusedError,
    ServerBusyError,
    UnreachableError,
)
from diffusion.client.policy import Policy

__all__ = ["Answer", "Call", "Exchange", "Lost", "Pause", "error_of", "perform", "read_json"]

T = TypeVar("T")

_KINDS: Final[Mapping[int, type[AnswerError]]] = {
    400: RefusedError,
    401: NotSignedInError,
    403: ForbiddenError,
    404: NotFoundError,
    409: ConflictError,
    413: RefusedError,
    422: RefusedError,
    429: ServerBusyError,
    503: ServerBusyError,
}


@dataclass(frozen=True)
class Call:
    """A request. ``body``: sent as JSON unless None."""

    method: str
    path: str
    parameters: Mapping[str, str] = field(default_factory=dict)
    body: object = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Pause:
    """A time to wait."""

    seconds: float


@dataclass(frozen=True)
class Answer:
    """An answer. Names of headers are in small letters."""

    status: int
    headers: Mapping[str, str]
    content: bytes


@dataclass(frozen=True)
class Lost:
    """No answer. ``address``: of the server; ``reason``: a sentence."""

    address: str
    reason: str


Exchange: TypeAlias = Generator[Call | Pause, Answer | Lost | None, T]


def perform(call: Call, policy: Policy) -> Exchange[Answer]:
    """Return the answer to a call, which is sent again where the server is busy or not there.

    Raises `AnswerError` and `UnreachableError`.
    """
    attempt = 0
    while True:
        answer = yield call
        assert answer is not None
        if isinstance(answer, Answer) and answer.status < 400:
            return answer
        error = error_of(answer)
        pause = pause_after(error, attempt, policy)
        if pause is None:
            raise error
        yield Pause(pause)
        attempt += 1


def pause_after(
    error: AnswerError | UnreachableError, attempt: int, policy: Policy
) -> float | None:
    """Return the seconds after which a failed call is sent again; None for never."""
    if attempt >= policy.retries or not isinstance(error, ServerBusyError | UnreachableError):
        return None
    asked = error.retry_after if isinstance(error, ServerBusyError) else None
    seconds = policy.pause(attempt) if asked is None else asked
    return seconds if seconds <= policy.longest_wait else None


def error_of(answer: Answer | Lost) -> AnswerError | UnreachableError:
    """Return the error that a refusal stands for."""
    if isinstance(answer, Lost):
        return UnreachableError(answer.address, answer.reason)
    kind = _KINDS.get(answer.status, AnswerError)
    return kind(answer.status, _sentence(answer), _retry_after(answer))


def _sentence(answer: Answer) -> str:
    """Return the server's sentence; of several problems of validation the first.

    Where there is none, such as from a proxy, the status has a name.
    """
    try:
        detail = json.loads(answer.content)["detail"]
    except (ValueError, TypeError, KeyError):
        return responses.get(answer.status, "the server gives no reason")
    if isinstance(detail, list) and detail and isinstance(detail[0], Mapping):
        place = ".".join(str(each) for each in detail[0].get("loc", ())[1:])
        return f"{place}: {detail[0].get('msg', '')}"
    return str(detail)


def _retry_after(answer: Answer) -> float | None:
    """Return the seconds of ``Retry-After``, which may be a date; None for none."""
    text = answer.headers.get("retry-after", "")
    if text.isascii() and text.isdigit() and len(text) < 10:
        return float(text)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(text).timestamp() - time.time())
    except (ValueError, TypeError):
        return None


def read_json(answer: Answer, call: Call) -> Mapping[str, Any]:
    """Return the object of an answer. Raises `ForeignAnswerError`."""
    try:
        tree = json.loads(answer.content)
    except ValueError:
        tree = None
    if not isinstance(tree, dict):
        raise ForeignAnswerError(call.path, "it is no JSON object")
    return tree
