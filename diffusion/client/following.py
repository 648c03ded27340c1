"""Follow a job by server-sent events, across cut connections and restarts of the server."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from diffusion.client.errors import AnswerError, ForeignAnswerError, UnreachableError
from diffusion.client.exchange import Call, pause_after
from diffusion.client.policy import Policy
from diffusion.client.records import Event, Job, PictureRecord, read_record

__all__ = ["Following"]

LONGEST_EVENT: Final = 1 << 20
"""Characters of an event that are read."""


class Following:
    """The state of following one job: what came last, and how often the connection was cut."""

    def __init__(self, job: str, policy: Policy) -> None:
        self._path, self._policy = f"/api/v1/jobs/{job}/events", policy
        self._last: str | None = None
        self._cuts = 0
        self._fields: dict[str, str] = {}
        self.ended = False

    @property
    def call(self) -> Call:
        """The request that goes on after what came last."""
        headers = {"accept": "text/event-stream"}
        if self._last is not None:
            headers["last-event-id"] = self._last
        return Call("GET", self._path, headers=headers)

    def feed(self, line: str) -> Event | None:
        """Take a line; return the event that it completes, None for none.

        Raises `ForeignAnswerError`.
        """
        if line:
            name, _, value = line.partition(":")
            self._fields[name] = value.removeprefix(" ")
            if len(line) > LONGEST_EVENT:
                raise ForeignAnswerError(self._path, "an event is too long")
            return None
        given, self._fields = self._fields, {}
        if "event" not in given:
            return None
        self._last, self._cuts = given.get("id", self._last), 0
        self.ended = given["event"] == "end"
        return self._read(given["event"], given.get("data", ""))

    def _read(self, name: str, text: str) -> Event:
        try:
            data: Any = json.loads(text)
        except ValueError:
            data = None
        if not isinstance(data, Mapping):
            raise ForeignAnswerError(self._path, "an event is no JSON object")
        whole, finished = name in ("state", "end"), name == "picture"
        job = read_record(Job, data, self._path) if whole else None
        picture = read_record(PictureRecord, data, self._path) if finished else None
        return Event(name, data, job, picture)

    def pause_after(self, error: AnswerError | UnreachableError) -> float:
        """Return the seconds after which to connect anew. Raises the error after too many cuts."""
        self._fields = {}
        pause = pause_after(error, self._cuts, self._policy)
        if pause is None:
            raise error
        self._cuts += 1
        return pause
