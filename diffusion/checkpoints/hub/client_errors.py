"""What goes wrong between this machine and the Hub, as this project's errors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from diffusion.errors import ModelNotFoundError, quote

__all__ = ["status_error", "translate_client_errors", "web_page_error"]

_REFUSALS = {
    "GatedRepo": (
        "the model is gated",
        "accept its terms on the Hub's page, then set HF_TOKEN or run `hf auth login`",
    ),
    "RepoNotFound": (
        "there is no such model on the Hub",
        "check the name; a private model needs HF_TOKEN",
    ),
    "RevisionNotFound": ("there is no such revision", "check --revision"),
    "EntryNotFound": ("the Hub lists a file that it does not have", "pull it again later"),
}
"""Reason and hint by the code that the Hub sends in a header."""

_STATUS_CODES = {401: "RepoNotFound", 403: "GatedRepo"}
"""The code where the Hub sends none."""


def status_error(name: str, status: int, headers: Mapping[str, str]) -> ModelNotFoundError:
    """Return the error for an answer whose status is a refusal."""
    code = headers.get("X-Error-Code") or _STATUS_CODES.get(status, "")
    if code in _REFUSALS:
        return ModelNotFoundError(name, *_REFUSALS[code])
    if status == 404:
        hint = "check the name, and HF_ENDPOINT where it is set"
        return ModelNotFoundError(name, "the server does not know such a model", hint)
    if status == 429:
        return ModelNotFoundError(name, "the Hub had too many requests", "try again later")
    hint = "try again later; a download goes on where it stopped"
    return ModelNotFoundError(name, f"the Hub failed: it answers with status {status}", hint)


def web_page_error(name: str) -> ModelNotFoundError:
    """Return the error for a web page in place of data."""
    reason = "a web page came in place of the Hub's answer"
    hint = "sign in to the network in a browser, or check HF_ENDPOINT"
    return ModelNotFoundError(name, reason, hint)


@contextmanager
def translate_client_errors(name: str) -> Iterator[None]:
    """Turn an error of the HTTP client into `ModelNotFoundError` for the model ``name``.

    So does a `ConnectionError`, which stands for an answer that no Hub gives.
    """
    from huggingface_hub import errors  # with it comes an HTTP client, which takes time to load

    try:
        yield
    except errors.OfflineModeIsEnabled:
        hint = "unset HF_HUB_OFFLINE to download"
        raise ModelNotFoundError(name, "HF_HUB_OFFLINE forbids asking the Hub", hint) from None
    except Exception as error:
        if not _is_of_client(error):
            raise
        line = str(error).strip().partition("\n")[0] or type(error).__name__
        hint = "check the connection and try again; a download goes on where it stopped"
        raise ModelNotFoundError(name, f"the Hub failed: {quote(line, 200)}", hint) from error


def _is_of_client(error: Exception) -> bool:
    """Tell whether the network or the HTTP client raised an error.

    The client's classes have no root, so that their module tells.
    """
    return isinstance(error, OSError) or type(error).__module__.partition(".")[0] in (
        "h11",
        "httpcore",
        "httpcore2",
        "httpx",
        "httpx2",
    )
