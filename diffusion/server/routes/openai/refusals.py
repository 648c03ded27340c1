"""The refusals of ``/v1`` as the OpenAPI document describes them."""

from __future__ import annotations

from typing import Any, Final

from pydantic import BaseModel

__all__ = ["REFUSALS"]


class Problem(BaseModel):
    """A problem: a sentence, the parameter that it is about, and a code for programs."""

    message: str
    type: str
    param: str | None
    code: str | None


class ProblemAnswer(BaseModel):
    """The answer to a request that is refused."""

    error: Problem


_MEANINGS: Final = {
    400: "A value cannot be taken; `param` names it.",
    401: "No credential, or a wrong one.",
    403: "The Host is unknown, or a page of another site asks.",
    404: "There is no such model or picture.",
    409: "The job was cancelled.",
    413: "The body is too large.",
    429: "The queue is full, or a client sent too many wrong credentials; see Retry-After.",
    500: "The pictures could not be drawn; the server's log has the details.",
    503: "The server is stopping, or no device can draw.",
}
REFUSALS: Final[dict[int | str, dict[str, Any]]] = {
    status: {"model": ProblemAnswer, "description": meaning}
    for status, meaning in _MEANINGS.items()
}
