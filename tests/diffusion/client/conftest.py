"""A server for each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from diffusion.client import Client
from tests.diffusion.server.adapter_files import write_controls
from tests.diffusion.server.live_server import Live, run_on_thread


@pytest.fixture
def live(tmp_path: Path) -> Iterator[Live]:
    """Return a server with a fake engine and control networks."""
    with run_on_thread(tmp_path / "out", controls=write_controls(tmp_path / "controls")) as live:
        yield live


@pytest.fixture
def client(live: Live) -> Iterator[Client]:
    """Return its client."""
    with Client(f"127.0.0.1:{live.port}") as client:
        yield client
