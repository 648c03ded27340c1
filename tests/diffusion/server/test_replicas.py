"""What a replica of several answers, without a cluster."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from diffusion.server.app import create_app
from diffusion.server.engine.interface import EngineState, EngineStatus, Listener
from diffusion.server.engine.messages import Ready
from diffusion.server.ray.replica_app import ReplicaApp
from diffusion.server.ray.routes import ROUTERS
from diffusion.server.services import make_services
from diffusion.server.settings import load_settings
from tests.diffusion.server.fake_engine import FakeEngine

Message = dict[str, Any]


class LateEngine(FakeEngine):
    """Is ready only when it is told to be."""

    begun = closed = False

    async def close(self) -> None:
        self.closed = True
        await super().close()

    async def start(self, listener: Listener) -> None:
        self.listener, self.begun = listener, True

    def become(self, state: EngineState) -> None:
        self.status = EngineStatus(state, "no card")
        if state is EngineState.READY:
            self.listener(Ready("nothing"))


def replica(folder: Path, engine: FakeEngine) -> ReplicaApp:
    folder.mkdir()
    services = make_services(load_settings(None, {"output": folder}), [engine], alone=False)
    return ReplicaApp(create_app(services, ROUTERS).gate, services, folder)


class Driver:
    """Calls an application as a web server does: it starts, is asked, and stops."""

    def __init__(self, app: ReplicaApp) -> None:
        self._app = app
        self._to_app: asyncio.Queue[Message] = asyncio.Queue()
        self.from_app: asyncio.Queue[Message] = asyncio.Queue()

    def start(self) -> asyncio.Task[None]:
        self._to_app.put_nowait({"type": "lifespan.startup"})
        scope = {"type": "lifespan", "state": {}}
        return asyncio.ensure_future(
            self._app(scope, self._to_app.get, self.from_app.put)  # type: ignore[arg-type]
        )

    async def stop(self) -> str:
        self._to_app.put_nowait({"type": "lifespan.shutdown"})
        return str((await self.from_app.get())["type"])

    async def ask(
        self, method: str, path: str, body: object = None, client: str = "127.0.0.1"
    ) -> tuple[int, bytes]:
        """Return the status and the body of an answer."""
        sent: list[Message] = []
        data = b"" if body is None else json.dumps(body).encode()
        left = [{"type": "http.request", "body": data, "more_body": False}]
        headers = [(b"host", b"localhost"), (b"content-type", b"application/json")]

        async def receive() -> Message:
            return left.pop() if left else await asyncio.Event().wait()  # type: ignore[return-value]

        async def send(message: Any) -> None:
            sent.append(message)

        scope: Message = {"type": "http", "method": method, "path": path, "raw_path": path.encode()}
        scope |= {"query_string": b"", "headers": headers, "client": (client, 1)}
        scope |= {"scheme": "http", "server": ("localhost", 80), "root_path": ""}
        await self._app(scope, receive, send)
        return sent[0]["status"], b"".join(each.get("body", b"") for each in sent)


def test_a_replica_begins_once_its_worker_is_ready_and_leaves_nothing(tmp_path: Path) -> None:
    async def drive() -> None:
        engine = LateEngine()
        app = replica(tmp_path / "own", engine)
        driver = Driver(app)
        running = driver.start()
        while not engine.begun:
            await asyncio.sleep(0.01)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(driver.from_app.get(), 0.2)
        engine.become(EngineState.READY)
        assert (await driver.from_app.get())["type"] == "lifespan.startup.complete"
        assert (await driver.ask("GET", "/readyz"))[0] == 200
        status, picture = await driver.ask("POST", "/txt2img", {"prompt": "a fox"})
        assert (status, picture[:4]) == (200, b"\x89PNG")
        assert await driver.stop() == "lifespan.shutdown.complete"
        await running
        assert not (tmp_path / "own").exists()

    asyncio.run(drive())


def test_a_replica_whose_worker_never_starts_fails_its_start(tmp_path: Path) -> None:
    async def drive() -> None:
        engine = LateEngine()
        app = replica(tmp_path / "own", engine)
        driver = Driver(app)
        running = driver.start()
        engine.become(EngineState.FAILED)
        message = await driver.from_app.get()
        assert message["type"] == "lifespan.startup.failed"
        await asyncio.gather(running, return_exceptions=True)
        assert engine.closed

    asyncio.run(drive())


def test_a_replica_answers_what_needs_one_request_alone(tmp_path: Path) -> None:
    async def drive() -> None:
        app = replica(tmp_path / "own", FakeEngine())
        driver = Driver(app)
        running = driver.start()
        await driver.from_app.get()
        for path in ("/healthz", "/api/v1/models", "/api/v1/choices", "/sdapi/v1/samplers"):
            assert (await driver.ask("GET", path))[0] == 200, path
        body = {"prompt": "a fox", "response_format": "url"}
        status, text = await driver.ask("POST", "/v1/images/generations", body)
        assert (status, b"must be b64_json" in text) == (400, True)
        for method, path in (
            *(("GET", path) for path in ("/", "/api/v1/jobs", "/sdapi/v1/progress", "/metrics")),
            *(("POST", path) for path in ("/api/v1/jobs", "/sdapi/v1/options", "/nothing")),
        ):
            status, text = await driver.ask(method, path, {"prompt": "a fox"})
            assert (status, b"one of several replicas" in text) == (501, True), path
        for client in ("10.0.0.5", "::ffff:10.0.0.5", ""):
            status, text = await driver.ask("GET", "/readyz", client=client)
            assert (status, b"has no users" in text) == (403, True)
        await driver.stop()
        await running

    asyncio.run(drive())
