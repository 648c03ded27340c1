"""How late the event loop is: what each answer waits for while something else holds it."""

from __future__ import annotations

import asyncio
import time
from typing import Final

from prometheus_client import Histogram

__all__ = ["watch_loop"]

EVERY: Final = 0.05
"""Seconds between two looks."""


async def watch_loop(lag: Histogram) -> None:
    """Note again and again how much later than asked the loop came back."""
    while True:
        asked = time.monotonic() + EVERY
        await asyncio.sleep(EVERY)
        lag.observe(max(0.0, time.monotonic() - asked))
