"""Chromium for the tests of the page."""

from __future__ import annotations

import os
import shutil
from typing import NoReturn

import pytest

__all__ = ["chromium_path", "give_up"]

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
HOW = "no Chromium: apt-get install chromium, or name one in AVILA_CHROMIUM"


def chromium_path() -> str:
    """Return the browser's path; give up where there is none."""
    found = os.environ.get("AVILA_CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    return found or give_up(HOW)


def give_up(reason: str) -> NoReturn:
    """Skip the test; fail in continuous integration, where a browser must be."""
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)
