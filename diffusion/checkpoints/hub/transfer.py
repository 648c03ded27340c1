"""Answers of the Hub over HTTP, of bounded size and time, from whatever server answers.

A login page of the network, a wrong mirror or a hostile Hub answers as it likes. So the bytes are
taken as they come, never unpacked; each redirect is followed here, without its body; and an answer
that is slower than `SLOWEST` ends in an error. What comes is checked by the caller.
"""

from __future__ import annotations

import json
import queue
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from diffusion.checkpoints.file_kinds import PROBE_BYTES, recognise_file
from diffusion.checkpoints.hub.client_errors import status_error, web_page_error

__all__ = ["chunks", "fetch_json", "open_answer"]

T = TypeVar("T")

HEADER_SECONDS = 60.0
"""The time until an answer begins, with all redirects."""

QUIET_SECONDS = 30.0
"""The time without a byte after which an answer counts as broken off."""

WINDOW_SECONDS = 60.0
"""The time over which the speed of an answer is measured."""

SLOWEST = 1024
"""Bytes a second."""

REDIRECTS = 5
JSON_LIMIT = 16 * 2**20


@contextmanager
def open_answer(name: str, url: str, start: int = 0) -> Iterator[Any]:
    """Ask for a URL from byte ``start`` on, follow redirects, and yield the answer's beginning.

    ``name``: the model, for errors. Raises `ModelNotFoundError`, `ConnectionError`, and the errors
    of the HTTP client.
    """
    from huggingface_hub.utils import (  # type: ignore[attr-defined]
        build_hf_headers,
        get_session,
    )

    session = get_session()
    headers = {**build_hf_headers(), "Accept-Encoding": "identity"}
    if start:
        headers["Range"] = f"bytes={start}-"
    request = session.build_request("GET", url, headers=headers, timeout=QUIET_SECONDS)
    deadline = time.monotonic() + HEADER_SECONDS
    for _ in range(REDIRECTS + 1):
        response = _within(deadline - time.monotonic(), _sender(session, request))
        try:
            request = response.next_request
            if request is None:
                _check_answer(name, response)
                yield response
                return
            if response.url.scheme == "https" != request.url.scheme:
                raise ConnectionError("it leads from https to a connection that anybody can read")
        finally:
            response.close()
    raise ConnectionError(f"it leads on more than {REDIRECTS} times")


def _sender(session: Any, request: Any) -> Callable[[], Any]:
    """Return the function that sends a request and reads the head of its answer."""
    return lambda: session.send(request, stream=True, follow_redirects=False)


def _within(seconds: float, call: Callable[[], Any]) -> Any:
    """Return what ``call`` returns. Raises what it raises, and `ConnectionError` after ``seconds``.

    The HTTP client bounds the time between two bytes alone, and a head may drip without end. So
    the call runs in a thread of its own, which is left behind.
    """
    results: queue.Queue[Any] = queue.Queue(1)
    given_up = threading.Event()

    def work() -> None:
        try:
            results.put(call())
        except Exception as error:  # noqa: BLE001
            results.put(error)
        if given_up.is_set() and not isinstance(found := results.get(), Exception):
            found.close()

    threading.Thread(target=work, daemon=True).start()
    try:
        found = results.get(timeout=max(seconds, 0.001))
    except queue.Empty:
        given_up.set()
        raise ConnectionError(f"no answer within {HEADER_SECONDS:g} s") from None
    if isinstance(found, Exception):
        raise found
    return found


def _check_answer(name: str, response: Any) -> None:
    """Raise an error unless an answer brings bytes as they are."""
    if response.status_code not in (200, 206):
        raise status_error(name, response.status_code, response.headers)
    if response.headers.get("Content-Type", "").lower().startswith("text/html"):
        raise web_page_error(name)
    encoding = response.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding != "identity":
        raise ConnectionError("it sends packed data, which nobody asked for")


def chunks(response: Any) -> Iterator[bytes]:
    """Yield the bytes of an answer as they come. Raises `ConnectionError` where they only drip."""
    begun, count = time.monotonic(), 0
    for chunk in response.iter_raw():
        yield chunk
        count += len(chunk)
        spent = time.monotonic() - begun
        if spent > WINDOW_SECONDS:
            if count < SLOWEST * spent:
                raise ConnectionError(f"it sends less than {SLOWEST} bytes a second")
            begun, count = time.monotonic(), 0


def fetch_json(name: str, url: str) -> dict[str, Any]:
    """Return the JSON object at a URL, of at most `JSON_LIMIT` bytes. Raises as `open_answer`."""
    text = bytearray()
    with open_answer(name, url) as response:
        for chunk in chunks(response):
            text += chunk
            if len(text) > JSON_LIMIT:
                raise ConnectionError(f"it sends more than {JSON_LIMIT} bytes about the model")
    try:
        tree = json.loads(text)
    except (ValueError, RecursionError):
        tree = None
    if isinstance(tree, dict):
        return tree
    kind = recognise_file(bytes(text[:PROBE_BYTES]))
    if kind is not None and "web page" in kind.reason:
        raise web_page_error(name)
    raise ConnectionError("it sends no JSON object about the model")
