"""Chromium for the tests of the page."""

from __future__ import annotations

import os
import shutil

import pytest

__all__ = ["chromium_path"]

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
HOW = "no Chromium: apt-get install chromium, or name one in AVILA_CHROMIUM"


def chromium_path() -> str:
    """Return the browser's path; skip the test where there is none."""
    found = os.environ.get("AVILA_CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    return found or pytest.skip(HOW)
