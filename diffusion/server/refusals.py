"""The statuses of refusals, and the form of their bodies, for the OpenAPI schema."""

from __future__ import annotations

from typing import Any, Final

from pydantic import BaseModel

__all__ = ["REFUSALS", "ErrorBody"]


class ErrorBody(BaseModel):
    """The answer to a request that is refused; ``detail``: a sentence, or problems by field."""

    error: str
    detail: Any
    body: str = ""
    errors: str = ""


_MEANINGS: Final = {
    400: "The request is no HTTP, or its body no JSON.",
    401: "No credential, or a wrong one.",
    403: "The user lacks a scope, the Host is unknown, or a page of another site asks.",
    404: "There is no such job, picture or model.",
    409: "The request contradicts an earlier one, or its job was cancelled.",
    413: "The body is too large.",
    422: "A field has a value that cannot be; the answer says what it must be.",
    429: "The queue is full, or a client sent too many wrong credentials; see Retry-After.",
    500: "The job failed, or the server made a mistake; its log has the details.",
    501: "This server does not have the feature.",
    503: "The server is stopping, or no device can draw.",
}

REFUSALS: Final[dict[int | str, dict[str, Any]]] = {
    status: {"model": ErrorBody, "description": meaning} for status, meaning in _MEANINGS.items()
}
"""What every route may answer besides its own."""
