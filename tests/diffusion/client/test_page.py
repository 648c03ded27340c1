"""The code of docs/client.md, with a server in place of the one that it names."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.diffusion.server.live_server import Live
from tests.docs.pages import blocks


def test_the_page_runs(
    live: Live,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for client in ("sync_client", "async_client"):
        monkeypatch.setattr(f"diffusion.client.{client}.server_url", lambda server: live.url)
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {"__name__": "page"}
    for block in blocks("client"):
        exec(compile(block.code, f"docs/client.md:{block.line}", "exec"), names)
    for client in ("client", "patient"):
        names[client].close()  # type: ignore[attr-defined]
    printed = capsys.readouterr().out
    assert "Steps: 12, Sampler" in printed
    assert "there is no model 'no such model'; did you mean" in printed
    saved = {path.name for path in tmp_path.iterdir()}
    assert {"apple-0.png", "apple.png", "edges.png", "led.png", "pear.png"} <= saved
