"""`Client`: a server of pictures from Python, for programs without an event loop."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator
from contextlib import closing, suppress
from dataclasses import replace
from types import TracebackType
from typing import Self, TypeVar

import httpx2
from PIL import Image

from diffusion.client.addresses import server_url
from diffusion.client.connections import client_headers, client_timeout
from diffusion.client.errors import AnswerError, ClientError, UnreachableError
from diffusion.client.exchange import Answer, Call, Exchange, Lost, Pause, error_of
from diffusion.client.following import Following
from diffusion.client.job_json import Drawing, Models
from diffusion.client.methods import BlockingRunner, Methods
from diffusion.client.operations import Operations, id_of
from diffusion.client.policy import Policy
from diffusion.client.records import Download, Event, Job

__all__ = ["Client"]

T = TypeVar("T")


class Client(Methods, BlockingRunner):
    """A server of pictures. Its methods raise `ClientError`; close it, or use it in ``with``.

    Args:
        server: ``HOST``, ``HOST:PORT`` or a URL; port 7860 where a host has none.
        token: of the user; None for a server without users.
        policy: when requests are sent again.
        transport: another way to send, such as one for tests.
    """

    def __init__(
        self,
        server: str = "127.0.0.1",
        token: str | None = None,
        policy: Policy | None = None,
        *,
        transport: httpx2.BaseTransport | None = None,
    ) -> None:
        self.url = server_url(server)
        self._operations = Operations(policy or Policy())
        self._http = httpx2.Client(
            base_url=self.url,
            headers=client_headers(token),
            timeout=client_timeout(self._operations.policy),
            transport=transport,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    # ------------------------------------------------------------------ jobs

    def draw(
        self,
        drawing: Drawing,
        *,
        model: str | Models | None = None,
        timeout: float | None = None,
    ) -> list[Image.Image]:
        """Draw, wait, and return the pictures. Where the wait is broken off, the job is cancelled.

        Each picture has its settings as text in ``info["parameters"]``.
        """
        job = self.submit(drawing, model=model)
        try:
            done = self.wait(job, timeout)
        except BaseException:
            with suppress(ClientError):
                self.cancel(job)
            raise
        return self.pictures(done)

    def jobs(self) -> Iterator[Job]:
        """Yield one's own jobs, for admins all, newest first; more are fetched as they are read."""
        page = self._run(self._operations.page(None))
        while page:
            yield from page
            page = self._run(self._operations.page(page[-1].id))

    def events(self, job: Job | str, *, previews: bool = False) -> Iterator[Event]:
        """Yield the events of a job up to its end, the first one with the whole job.

        A cut connection is made anew, and goes on where it was. ``previews``: fetch the pictures of
        preview events, too.
        """
        following = Following(id_of(job), self._operations.policy)
        while not following.ended:
            with closing(self._follow(following)) as events:
                for event in events:
                    preview = None
                    if previews and event.name == "preview":
                        preview = self._run(self._operations.preview(job))
                    yield event if preview is None else replace(event, preview=preview)

    # ------------------------------------------------------------------ downloads

    def follow_download(self, download: Download | str) -> Iterator[Download]:
        """Yield a download each time that it is seen to have changed, up to its end."""
        known = self.show_download(download)
        yield known
        while not known.is_final:
            known = self._run(self._operations.change_of(known))
            yield known

    # ------------------------------------------------------------------ sending

    def _run(self, exchange: Exchange[T]) -> T:
        """Return the result of an exchange, whose calls are sent and whose pauses are waited."""
        answer: Answer | Lost | None = None
        while True:
            try:
                step = exchange.send(answer)
            except StopIteration as end:
                result: T = end.value
                return result
            if isinstance(step, Pause):
                time.sleep(step.seconds)
                answer = None
            else:
                answer = self._send(step)

    def _send(self, call: Call) -> Answer | Lost:
        try:
            response = self._http.send(self._request(call))
        except httpx2.TransportError as error:
            return Lost(self.url, str(error) or type(error).__name__)
        return Answer(response.status_code, response.headers, response.content)

    def _request(self, call: Call) -> httpx2.Request:
        return self._http.build_request(
            call.method, call.path, params=call.parameters, json=call.body, headers=call.headers
        )

    def _follow(self, following: Following) -> Generator[Event]:
        """Yield the events of one connection; after a cut wait, so that the caller tries anew."""
        problem: AnswerError | UnreachableError
        try:
            response = self._http.send(self._request(following.call), stream=True)
            try:
                if response.status_code == 200:
                    for line in response.iter_lines():
                        event = following.feed(line)
                        if event is not None:
                            yield event
                    problem = UnreachableError(self.url, "the events broke off")
                else:
                    refusal = Answer(response.status_code, response.headers, response.read())
                    problem = error_of(refusal)
            finally:
                response.close()
        except httpx2.TransportError as error:
            problem = UnreachableError(self.url, str(error) or type(error).__name__)
        if not following.ended:
            time.sleep(following.pause_after(problem))
