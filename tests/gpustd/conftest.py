"""A device without tables of tiles."""

from __future__ import annotations

from pathlib import Path

import pytest

from gpucore import Device
from gpustd.matmul import tile_files as files
from gpustd.matmul.tile_files import TUNING_VARIABLE


@pytest.fixture
def null(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Device:
    """Return a null device whose user's and shipped tables would be in an empty folder."""
    monkeypatch.delenv(TUNING_VARIABLE, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("WIN_PD_OVERRIDE_LOCAL_APPDATA", str(tmp_path / "cache"))
    monkeypatch.setattr(files, "_SHIPPED", tmp_path / "shipped")
    return Device.null()
