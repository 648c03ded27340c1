"""Adapters through both clients: lists, maps, and pictures that lead a drawing."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from diffusion import Settings
from diffusion.client import AsyncClient, Client, RefusedError
from diffusion.control import PREPROCESSORS, Control
from diffusion.errors import SettingsError
from tests.diffusion.server.adapter_files import picture, write_controls, write_word
from tests.diffusion.server.live_server import Live, run_on_thread

PICTURE, REGION = picture(), picture(seed=4)


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    place = tmp_path_factory.mktemp("client")
    write_controls(place / "controls")
    write_word(place / "embeddings", "alien", 7)
    folders: dict[str, Any] = {name: place / name for name in ("controls", "embeddings")}
    with run_on_thread(place / "out", **folders) as live:
        yield live


def test_controls_are_sent_whole(client: Client, live: Live) -> None:
    control = Control(
        "canny",
        PICTURE,
        "canny",
        0.5,
        0.125,
        0.75,
        "prompt",
        "fill",
        REGION,
        REGION,
        128,
        50.0,
        150.0,
        (1.0, 0.5),
        "base",
        "canny",
    )
    plain = Control("deep/pose", PICTURE)
    client.draw(Settings("x", steps=1, width=64, height=48, controls=(control, plain)))
    first, second = live.engine.drawn[-1].controls
    for name in ("image", "region", "mask"):
        sent = getattr(first, name)
        assert np.array_equal(np.asarray(sent), np.asarray(getattr(control, name)))
    for name in Control.__dataclass_fields__:
        if name not in ("image", "region", "mask"):
            assert getattr(first, name) == getattr(control, name), name
            assert getattr(second, name) == getattr(plain, name), name


def test_a_path_is_not_sent(client: Client, tmp_path: Path) -> None:
    for model in (tmp_path, tmp_path / "x.safetensors", "x.safetensors"):
        with pytest.raises(SettingsError, match="networks lie on the server"):
            client.submit(Settings("x", controls=(Control(model, PICTURE),)))
    with pytest.raises(RefusedError, match="did you mean 'canny'"):
        client.submit(Settings("x", controls=(Control("cany", PICTURE),)))


def test_lists_and_maps(client: Client, live: Live) -> None:
    assert [each.name for each in client.control_models()] == ["canny", "deep/pose"]
    found = {each.name: each for each in client.preprocessors()}
    assert list(found) == list(PREPROCESSORS.names)
    a, b = found["canny"].a, found["canny"].b
    assert a is not None
    assert b is not None
    assert (a.default, b.default, found["none"].a) == (100, 200, None)
    (word,) = client.embeddings("emoji")
    assert (word.name, word.vectors, word.width) == ("alien", 2, 7)
    assert "does not fit" in (word.problem or "")
    assert [each.name for each in client.loras()] == ["neon"]
    client.refresh_adapters()
    assert live.engine.looks == 1
    made = client.make_map(PICTURE, "canny", threshold_a=9)
    assert np.array_equal(np.asarray(made), np.asarray(PICTURE)[::-1])
    with pytest.raises(RefusedError, match="did you mean canny"):
        client.make_map(PICTURE, "cany")


def test_the_asynchronous_client_has_them_too(live: Live) -> None:
    async def ask() -> tuple[list[str], list[str], Any]:
        async with AsyncClient(f"127.0.0.1:{live.port}") as client:
            models, words = await asyncio.gather(client.control_models(), client.embeddings())
            made = await client.make_map(PICTURE, "canny")
            return [each.name for each in models], [each.name for each in words], made

    models, words, made = asyncio.run(ask())
    assert (models, words) == (["canny", "deep/pose"], ["alien"])
    assert np.array_equal(np.asarray(made), np.asarray(PICTURE)[::-1])
