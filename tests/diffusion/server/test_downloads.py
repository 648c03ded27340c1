"""Downloads: a whole one from a local server that answers as the Hub does, cancel, failure."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from diffusion.checkpoints import hub
from diffusion.errors import StoppedError
from tests.diffusion.checkpoints.hub.hub_server import Hub
from tests.diffusion.server.live_server import Live, wait_until
from tests.diffusion.server.small_hub import WEIGHTS, run_small_hub

URL = "/api/v1/models/download"


@pytest.fixture
def remote(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """Return a Hub with one model."""
    with run_small_hub(tmp_path / "cache", monkeypatch) as remote:
        yield remote


def wait_for_end(live: Live, number: str) -> dict[str, Any]:
    """Return a download once it has ended."""

    def ended() -> dict[str, Any] | None:
        report: dict[str, Any] = live.get(f"{URL}s/{number}").json()
        return report if report["ended"] else None

    found: dict[str, Any] = wait_until(ended)
    return found


def test_a_model_is_downloaded_and_can_be_named(remote: Hub, live: Live) -> None:
    answer = live.post(URL, {"model": "some/model"})
    assert answer.status_code == 202
    number = answer.json()["id"]
    assert answer.headers["location"] == f"{URL}s/{number}"
    done = wait_for_end(live, number)
    assert (done["state"], done["licence"], done["message"]) == ("done", "mit", "")
    sizes = {each["name"]: each["bytes"] for each in done["files"]}
    assert sizes["unet/diffusion_pytorch_model.safetensors"] == len(WEIGHTS)
    assert done["bytes"] == done["done"] == sum(sizes.values())
    names = [each["name"] for each in live.get("/api/v1/models").json()["models"]]
    assert "some/model" in names
    assert [each["id"] for each in live.get(f"{URL}s").json()["downloads"]] == [number]
    with requests.get(f"{live.url}{URL}s/{number}/events", timeout=30) as events:
        assert events.text.startswith("id: ")
        assert json.loads(events.text.partition("data: ")[2])["state"] == "done"


def test_wrong_names_fail_with_a_sentence(remote: Hub, live: Live) -> None:
    refused = live.post(URL, {"model": "../etc/passwd"})
    assert refused.status_code == 422
    assert "give owner/name" in refused.text
    number = live.post(URL, {"model": "some/other"}).json()["id"]
    failed = wait_for_end(live, number)
    assert failed["state"] == "failed"
    assert "there is no such model on the Hub" in failed["message"]
    assert live.get(f"{URL}s/{'0' * 24}").status_code == 404


class HeldPull:
    """`hub.pull` that tells of one byte, waits until `released`, then tells of another."""

    def __init__(self) -> None:
        self.begun, self.released = threading.Event(), threading.Event()

    def __call__(self, offer: hub.Offer, progress: Any) -> Path:
        self.begun.set()
        assert self.released.wait(30)
        largest = max(offer.files, key=lambda each: each.size)
        progress(largest.name, 2)
        return Path()


def test_a_download_is_cancelled_at_its_next_bytes(
    remote: Hub, live: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = HeldPull()
    monkeypatch.setattr(hub, "pull", held)
    number = live.post(URL, {"model": "some/model"}).json()["id"]
    assert live.post(URL, {"model": "some/model"}).json()["id"] == number, "it is under way"
    waiting = live.post(URL, {"model": "some/model", "revision": "other"}).json()["id"]
    assert held.begun.wait(30)
    assert requests.delete(f"{live.url}{URL}s/{waiting}", timeout=30).json()["state"] == "cancelled"
    requests.delete(f"{live.url}{URL}s/{number}", timeout=30)
    assert live.get(f"{URL}s/{number}").json()["state"] == "running"
    held.released.set()
    assert wait_for_end(live, number)["state"] == "cancelled"


def test_a_mistake_of_ours_ends_the_download(
    remote: Hub, live: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(offer: hub.Offer, progress: Any) -> Path:
        raise ZeroDivisionError

    monkeypatch.setattr(hub, "pull", fail)
    number = live.post(URL, {"model": "some/model"}).json()["id"]
    failed = wait_for_end(live, number)
    assert (failed["state"], failed["message"][:27]) == ("failed", "the server made a mistake; ")


def test_what_a_cancelled_download_left_is_used(
    remote: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The callback stops the download itself, and does not count as a broken connection."""

    def stop(name: str, done: int) -> None:
        raise StoppedError

    offer = hub.fetch_offer("some/model")
    with pytest.raises(StoppedError):
        hub.pull(offer, stop)
    rest = hub.fetch_offer("some/model")
    assert 0 < rest.missing < offer.missing
    assert hub.pull(rest).is_dir()
