"""The servers of these tests: without users, and with an admin and a user."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.diffusion.server.live_server import Live, run_on_thread
from tests.diffusion.server.rows.users import write_users

__all__: list[str] = []


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[Live]:
    """Return a server with the users ``ana``, an admin, and ``bo``."""
    with run_on_thread(tmp_path / "out", users=write_users(tmp_path)) as live:
        yield live
