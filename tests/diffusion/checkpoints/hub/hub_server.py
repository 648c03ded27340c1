"""A local server that answers as the Hugging Face Hub does, as far as downloads need."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

COMMIT = "0123456789abcdef0123456789abcdef01234567"
LARGE = 4096
"""Bytes from which a file is kept in git-LFS, so that its hash is SHA-256."""


@dataclass
class Repository:
    """A repository with its files by name.

    ``cut_at``: close the connection at this byte of a large file. ``trailing``: sent after it.
    """

    files: dict[str, bytes]
    licence: str = "apache-2.0"
    gated: bool = False
    cut_at: int | None = None
    trailing: bytes = b""
    requests: list[str] = field(default_factory=list)

    def entry(self, name: str) -> dict[str, Any]:
        content = self.files[name]
        oid = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
        entry = {"type": "file", "path": name, "rfilename": name, "size": len(content)}
        if len(content) >= LARGE:
            entry["lfs"] = {
                "oid": hashlib.sha256(content).hexdigest(),
                "sha256": hashlib.sha256(content).hexdigest(),
                "size": len(content),
                "pointerSize": 130,
            }
        return entry | {"oid": oid, "blobId": oid}

    def etag(self, name: str) -> str:
        entry = self.entry(name)
        return str(entry["lfs"]["oid"] if "lfs" in entry else entry["oid"])


class Hub(ThreadingHTTPServer):
    """The server; ``repositories`` by ``owner/name``."""

    daemon_threads = True

    def __init__(self, repositories: dict[str, Repository]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.repositories = repositories

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002
        """Say nothing."""

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def _answer(self, *, with_body: bool) -> None:
        path = self.path.partition("?")[0]
        match = re.fullmatch(
            r"(?:/api/models)?/([^/]+/[^/]+)(?:/(revision|tree|resolve)/([^/]+)(?:/(.+))?)?", path
        )
        repository = self.server.repositories.get(match[1]) if match else None
        if match is None or repository is None:
            self._send(404, b"{}", {"X-Error-Code": "RepoNotFound"})
            return
        kind, revision, name = match[2], match[3], match[4]
        repository.requests.append(
            f"{self.command} {kind} {name or ''} {self.headers.get('Range') or ''}".strip()
        )
        if revision not in (None, "main", COMMIT):
            self._send(404, b"{}", {"X-Error-Code": "RevisionNotFound"})
        elif kind == "resolve":
            self._file(repository, name, with_body=with_body)
        elif kind == "tree":
            self._json([repository.entry(each) for each in repository.files])
        else:
            self._json(
                {
                    "id": match[1],
                    "modelId": match[1],
                    "sha": COMMIT,
                    "private": False,
                    "gated": "auto" if repository.gated else False,
                    "tags": [],
                    "downloads": 0,
                    "likes": 0,
                    "siblings": [repository.entry(each) for each in repository.files],
                    "cardData": {"license": repository.licence},
                }
            )

    def _file(self, repository: Repository, name: str, *, with_body: bool) -> None:
        if repository.gated:
            self._send(403, b"{}", {"X-Error-Code": "GatedRepo"})
            return
        content = repository.files[name]
        start = int((re.findall(r"bytes=(\d+)-", self.headers.get("Range") or "") or [0])[0])
        headers = {
            "ETag": f'"{repository.etag(name)}"',
            "X-Repo-Commit": COMMIT,
            "Accept-Ranges": "bytes",
        }
        if start:
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        cut = None
        if repository.cut_at is not None and len(content) >= LARGE:
            cut = max(0, repository.cut_at - start)
        trailing = repository.trailing if len(content) >= LARGE else b""
        self._send(206 if start else 200, content[start:] + trailing, headers, with_body, cut)

    def _json(self, tree: object) -> None:
        self._send(200, json.dumps(tree).encode(), {"Content-Type": "application/json"})

    def _send(
        self,
        status: int,
        body: bytes,
        headers: dict[str, str],
        with_body: bool = True,
        cut: int | None = None,
    ) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if with_body and self.command != "HEAD":
            self.wfile.write(body if cut is None else body[:cut])
            if cut is not None:
                self.close_connection = True


@contextmanager
def run_hub(repositories: dict[str, Repository]) -> Iterator[Hub]:
    """Run the server in a thread of its own, inside the context."""
    hub = Hub(repositories)
    thread = threading.Thread(target=hub.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        hub.shutdown()
        hub.server_close()
        thread.join()
