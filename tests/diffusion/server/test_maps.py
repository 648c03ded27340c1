"""Maps that a worker makes: asked of one that is ready, told of where it is lost or full."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from diffusion.control import Control
from diffusion.server import maps as maps_module
from diffusion.server.engine.interface import EngineState, EngineStatus, Listener
from diffusion.server.engine.messages import (
    Command,
    EngineEvent,
    Lost,
    MakeMap,
    MapFailed,
    MapMade,
    Ready,
)
from diffusion.server.engine.process import ProcessEngine
from diffusion.server.errors import BusyError, RefusedError, ServerError, UnavailableError
from diffusion.server.maps import MOST_WAITING, MapMaker
from tests.diffusion.server.adapter_files import encode, picture
from tests.diffusion.server.fake_studio import FakeStudio
from tests.diffusion.server.live_server import Live, run_on_thread, wait_until

CONTROL = Control("x", picture())


class SilentEngine:
    """An engine that keeps what it is asked for."""

    capacity = 1

    def __init__(self, name: str, state: EngineState = EngineState.READY) -> None:
        self.name = name
        self.status = EngineStatus(state)
        self.asked: list[MakeMap] = []

    async def start(self, listener: Listener) -> None:
        self.listener = listener

    def send(self, command: Command) -> None:
        assert isinstance(command, MakeMap)
        self.asked.append(command)

    async def close(self) -> None:
        pass


def run(test: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(test, 30))


def begin(maker: MapMaker) -> asyncio.Task[bytes]:
    return asyncio.ensure_future(maker.make(CONTROL, None))


def test_maps_go_to_the_engine_with_the_fewest_and_come_back() -> None:
    async def ask() -> None:
        engines = [SilentEngine("a"), SilentEngine("b"), SilentEngine("c", EngineState.STARTING)]
        maker, others = MapMaker(engines), list[EngineEvent]()
        hear = maker.listener(engines[0], others.append)
        tasks = [begin(maker) for _ in range(4)]
        await asyncio.sleep(0)
        assert [len(each.asked) for each in engines] == [2, 2, 0]
        first, second = engines[0].asked
        hear(MapMade(second.number, b"second"))
        hear(MapMade(first.number, b"first"))
        hear(MapMade(first.number, b"again"))
        hear(MapMade("unknown", b""))
        hear(Ready("x"))
        assert await tasks[0] == b"first"
        assert await tasks[2] == b"second"
        assert others == [Ready("x")]
        wrong, failed = (each.number for each in engines[1].asked)
        hear(MapFailed(wrong, "no such picture", wrong_input=True))
        hear(MapFailed(failed, "no memory"))
        with pytest.raises(RefusedError, match="no such picture"):
            await tasks[1]
        with pytest.raises(ServerError, match="no memory") as caught:
            await tasks[3]
        assert caught.value.status == 500

    run(ask())


def test_a_lost_engine_ends_its_maps_alone() -> None:
    async def ask() -> None:
        engines = [SilentEngine("a"), SilentEngine("b")]
        maker, others = MapMaker(engines), list[EngineEvent]()
        hear = [maker.listener(each, others.append) for each in engines]
        lost, kept = begin(maker), begin(maker)
        await asyncio.sleep(0)
        hear[0](Lost((), "a crash"))
        with pytest.raises(UnavailableError, match="a crash; come again"):
            await lost
        assert others == [Lost((), "a crash")]
        hear[1](MapMade(engines[1].asked[0].number, b"png"))
        assert await kept == b"png"

    run(ask())


def test_too_many_maps_and_no_device_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    async def ask() -> None:
        engine = SilentEngine("a")
        maker = MapMaker([engine])
        tasks = [begin(maker) for _ in range(MOST_WAITING)]
        await asyncio.sleep(0)
        with pytest.raises(BusyError, match="come later"):
            await maker.make(CONTROL, None)
        for each in tasks:
            each.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        monkeypatch.setattr(maps_module, "LONGEST_WAIT", 0.0)
        with pytest.raises(UnavailableError, match="was not made within"):
            await maker.make(CONTROL, None)
        engine.status = EngineStatus(EngineState.RESTARTING)
        with pytest.raises(UnavailableError, match="no device"):
            await maker.make(CONTROL, None)

    run(ask())


def test_a_map_is_made_between_the_steps_of_a_job(tmp_path: Any) -> None:
    """The preprocessor none needs no device, which this worker does not have."""
    with run_on_thread(tmp_path, [ProcessEngine("worker", FakeStudio())]) as live:
        wait_until(lambda: live.get("/readyz").ok)
        number = live.submit("slow", steps=1000)
        wait_until(lambda: live.job(number)["step"] >= 1)
        body = {"image": encode(picture()), "preprocessor": "none"}
        answer = live.post("/api/v1/preprocess", body)
        assert (answer.status_code, answer.json()["width"]) == (200, 64)
        assert live.job(number)["state"] == "running"
        assert refreshed(live, number)


def refreshed(live: Live, number: str) -> bool:
    """Tell whether a worker looks for files once its job is done, and draws on."""
    assert live.post("/api/v1/adapters/refresh").ok
    live.delete(f"/api/v1/jobs/{number}")
    return live.post("/txt2img", {"prompt": "x"}).ok
