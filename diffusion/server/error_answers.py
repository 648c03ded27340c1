"""Answers to errors: status, headers and body, in the form of the interface that was asked.

Clients of ``/v1`` know OpenAI's form and status codes; all others get AUTOMATIC1111's, whose
``detail`` is the sentence.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from fastapi.exceptions import HTTPException, RequestValidationError

from diffusion.errors import DiffusionError, ModelError, SettingsError
from diffusion.server.client_texts import text_for_clients
from diffusion.server.errors import ServerError, UnknownModelError

__all__ = ["HTTP_ERRORS", "ErrorAnswer", "answer_to"]

HTTP_ERRORS: Final[tuple[type[HTTPException], ...]] = HTTPException.__mro__[:2]
"""FastAPI's error, and the one of the routing below it for unknown routes and methods."""

_MISTAKE: Final = "the server made a mistake; its log has the details"
_CODES: Final = {
    400: "invalid_value",
    401: "invalid_api_key",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    409: "conflict",
    413: "request_too_large",
    429: "rate_limit_exceeded",
    501: "not_supported",
    503: "service_unavailable",
}
"""OpenAI's ``code`` by status; none for others."""
_PROBLEM_CODES: Final = {
    "missing": "missing_required_parameter",
    "extra_forbidden": "unknown_parameter",
}
"""OpenAI's ``code`` by the type of a problem of validation."""
_PARAMETERS: Final = {
    "count": "n",
    "height": "size",
    "negative": "negative_prompt",
    "width": "size",
}
"""OpenAI's names of our settings, where they differ."""
_SETTLED: Final = (409, 500, 501)
"""Statuses that another try would not change, though OpenAI's clients try again."""


@dataclass(frozen=True)
class ErrorAnswer:
    """An answer to an error."""

    status: int
    body: Mapping[str, object]
    headers: Mapping[str, str] = field(default_factory=dict)


def answer_to(path: str, error: Exception) -> ErrorAnswer:
    """Return the answer to an error of a request for ``path``."""
    status, headers = _status_of(error), dict(getattr(error, "headers", None) or {})
    retry_after = getattr(error, "retry_after", None)
    if retry_after is not None:
        headers["retry-after"] = str(retry_after)
    if path == "/v1" or path.startswith("/v1/"):
        return _openai_answer(status, headers, error)
    detail = _detail(error)
    body = {"error": type(error).__name__, "detail": detail, "body": "", "errors": ""}
    return ErrorAnswer(status, body, headers)


def _status_of(error: Exception) -> int:
    if isinstance(error, ServerError):
        return error.status
    if isinstance(error, HTTP_ERRORS):
        return int(error.status_code)
    wrong = RequestValidationError | SettingsError | ModelError  # who asks may name another model
    return 422 if isinstance(error, wrong) else 500


def _detail(error: Exception) -> object:
    """Return the sentence of an error, or the list of all problems of validation."""
    if isinstance(error, RequestValidationError):
        return _problems(error)
    if isinstance(error, HTTP_ERRORS):
        return error.detail
    return text_for_clients(error) if isinstance(error, DiffusionError) else _MISTAKE


def _problems(error: RequestValidationError) -> list[dict[str, Any]]:
    """Return the problems of validation without what was sent, which may be a whole picture."""
    return [
        {name: problem[name] for name in ("type", "loc", "msg") if name in problem}
        for problem in error.errors()
    ]


def _openai_answer(status: int, headers: dict[str, str], error: Exception) -> ErrorAnswer:
    """Return an answer as OpenAI's: 400 for a wrong value, 404 for an unknown model."""
    status = 404 if isinstance(error, UnknownModelError) else 400 if status == 422 else status
    message, parameter, code = str(_detail(error)), None, _CODES.get(status)
    if isinstance(error, RequestValidationError):
        problem = _problems(error)[0]
        parameter, code = _parameter(problem["loc"]), _PROBLEM_CODES.get(problem["type"], code)
        message = f"{parameter}: {problem['msg']}" if parameter else problem["msg"]
    elif isinstance(error, UnknownModelError):
        parameter, code = "model", "model_not_found"
    elif isinstance(error, SettingsError):
        parameter = _PARAMETERS.get(error.field, error.field)
    if status in _SETTLED:
        headers["x-should-retry"] = "false"
    kinds = {429: "rate_limit_error"}
    kind = kinds.get(status, "server_error" if status >= 500 else "invalid_request_error")
    body = {"message": message, "type": kind, "param": parameter, "code": code}
    return ErrorAnswer(status, {"error": body}, headers)


def _parameter(place: Sequence[str | int]) -> str | None:
    """Return the parameter that a problem is about, without ``body``; None for the whole."""
    names = [str(each) for each in place[1:] if isinstance(each, str)]
    return names[0] if names else None
