"""A local server that answers as no Hub does: each answer is a function that writes raw bytes."""

from __future__ import annotations

import contextlib
import gzip
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

__all__ = [
    "PAGE",
    "Answer",
    "HostileServer",
    "answer",
    "drip",
    "endless",
    "listing",
    "packed_bomb",
    "raw",
    "redirect",
    "run",
    "silence",
]

Answer = Callable[[socket.socket], None]

PAGE = b"<!DOCTYPE html><html><title>Sign in to the hotel's network</title></html>"


def answer(body: bytes, status: str = "200 OK", *headers: str, length: int | None = None) -> Answer:
    """Return an answer of a body; ``length`` is the one that it claims to have."""
    claimed = f"Content-Length: {len(body) if length is None else length}"
    lines = [f"HTTP/1.1 {status}", claimed, "Connection: close", *headers, "", ""]
    return lambda connection: connection.sendall("\r\n".join(lines).encode("latin-1") + body)


def redirect(target: str, body: bytes = b"") -> Answer:
    """Return an answer that leads to another address."""
    return answer(body, "302 Found", f"Location: {target}")


def raw(text: bytes) -> Answer:
    """Return an answer that is no HTTP, or only part of it."""
    return lambda connection: connection.sendall(text)


def silence(connection: socket.socket) -> None:
    """Answer nothing until the client has gone."""
    connection.recv(1)


def endless(block: bytes = b" " * 2**16) -> Answer:
    """Return an answer whose body does not end."""

    def send(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            connection.sendall(block)

    return send


def drip(head: bytes, byte: bytes = b" ", seconds: float = 0.05) -> Answer:
    """Return an answer that begins with ``head`` and goes on byte by byte, without end."""

    def send(connection: socket.socket) -> None:
        connection.sendall(head)
        while True:
            connection.sendall(byte)
            time.sleep(seconds)

    return send


def packed_bomb() -> Answer:
    """Return an answer of some kilobytes that unpack to 64 MiB."""
    return answer(gzip.compress(bytes(2**26)), "200 OK", "Content-Encoding: gzip")


def listing(**changes: Any) -> Answer:
    """Return a Hub's answer about a model, with ``changes``; ``...`` leaves a key out."""
    tree = {"sha": "0" * 40, "siblings": [], "gated": False, "cardData": {}, **changes}
    return answer(json.dumps({key: each for key, each in tree.items() if each is not ...}).encode())


class HostileServer:
    """The server: ``info`` answers for the model, ``file`` for its files.

    ``requests``: the heads of the requests.
    """

    def __init__(self, info: Answer, file: Answer) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._answers = info, file
        self.requests: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _answer(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            head = b""
            while b"\r\n\r\n" not in head and (block := connection.recv(4096)):
                head += block
            self.requests.append(head.decode("latin-1"))
            self._answers[b"/resolve/" in head](connection)
            connection.shutdown(socket.SHUT_WR)
            connection.recv(1)


@contextlib.contextmanager
def run(info: Answer, file: Answer) -> Iterator[HostileServer]:
    """Run the server in a thread of its own, inside the context."""
    server = HostileServer(info, file)
    thread = threading.Thread(target=server.serve, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.close()
        thread.join()
