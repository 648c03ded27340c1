"""A server for each test."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from tests.diffusion.server.live_server import Live, run_on_thread


@pytest.fixture
def live(tmp_path: Path) -> Iterator[Live]:
    """Return a server with a fake engine."""
    with run_on_thread(tmp_path / "out") as live:
        yield live


@pytest.fixture(autouse=True)
def _logs_as_before() -> Iterator[None]:
    """Undo what ``avila serve`` does to the logs of its process: here it is that of all tests."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()
