"""Downloads through the Python client."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from diffusion.client import AsyncClient, Client, JobEndedError, RefusedError
from tests.diffusion.checkpoints.hub.hub_server import Hub
from tests.diffusion.server.live_server import Live
from tests.diffusion.server.small_hub import WEIGHTS, run_small_hub


@pytest.fixture
def remote(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """Return a Hub with one model."""
    with run_small_hub(tmp_path / "cache", monkeypatch) as remote:
        yield remote


def test_a_model_is_downloaded_and_followed(client: Client, remote: Hub) -> None:
    begun = client.download_model("some/model")
    states = list(client.follow_download(begun))
    assert [state.is_final for state in states] == [False] * (len(states) - 1) + [True]
    assert all(before != after for before, after in itertools.pairwise(states))
    last = states[-1]
    assert (last.state, last.licence, last.done) == ("done", "mit", last.bytes)
    assert last.bytes > len(WEIGHTS)
    assert "some/model" in [model.name for model in client.models()]
    assert client.wait_for_download(begun) == last
    assert client.cancel_download(begun) == last, "it stays as it is"


def test_one_that_fails_says_why(client: Client, remote: Hub) -> None:
    with pytest.raises(JobEndedError, match="no such model on the Hub"):
        client.wait_for_download(client.download_model("some/other"))
    with pytest.raises(RefusedError, match="give owner/name"):
        client.download_model("/etc/passwd")


def test_the_async_client_downloads(live: Live, remote: Hub) -> None:
    async def work() -> None:
        async with AsyncClient(live.url) as client:
            begun = await client.download_model("some/model", variant="plain")
            states = [state async for state in client.follow_download(begun.id)]
            assert states[-1].state == "done"
            assert await client.wait_for_download(begun) == states[-1]
            assert await client.show_download(begun) == states[-1]

    asyncio.run(work())
