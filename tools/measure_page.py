"""Measure in Chromium how quickly the page of a server comes, and how much is sent for it.

    python -m tools.measure_page --loads 5 --json FILE

Each load has a browser context of its own, so that nothing is cached. The server is a process of
its own on this machine, with an engine that paints rectangles. The numbers are medians, from the
start of the navigation in milliseconds:

- ``first_paint``: the first text or picture (first contentful paint)
- ``usable``: the button "Generate" is there, and lists of models and samplers have come
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

from playwright.sync_api import Browser, sync_playwright

from tests.diffusion.server.page.browser import chromium_path
from tools.load_server import PATIENCE, start_server
from tools.measure_server import machine_of

_PAINT: Final = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? null"
_SENT: Final = """
[...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')]
  .filter((each) => !each.name.includes('/api/'))
  .reduce((sum, each) => [sum[0] + 1, sum[1] + each.transferSize], [0, 0])
"""


def load_once(browser: Browser, url: str) -> dict[str, float]:
    """Return what one load took, in milliseconds and bytes."""
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    page = context.new_page()
    page.goto(url)
    page.locator("[data-key=sampler] option:nth-child(3)").wait_for(state="attached")
    usable = page.evaluate("performance.now()")
    page.wait_for_function(f"({_PAINT}) !== null")
    files, sent = page.evaluate(_SENT)
    found = {"first_paint": page.evaluate(_PAINT), "usable": usable, "files": files, "sent": sent}
    context.close()
    return found


def measure(url: str, loads: int) -> dict[str, Any]:
    """Return the medians of several loads, the first of which warms the browser up."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path(), args=["--no-sandbox"])
        found = [load_once(browser, url) for _ in range(loads + 1)][1:]
        browser.close()
    return {name: round(statistics.median(each[name] for each in found)) for name in found[0]}


def main() -> int:
    """Run it; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--loads", type=int, default=5)
    parser.add_argument("--json", type=Path, help="a file for the numbers")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        process, port = start_server(Path(name), "process", None)
        try:
            results = measure(f"http://127.0.0.1:{port}", options.loads)
        finally:
            process.terminate()
            process.wait(PATIENCE)
    print(json.dumps(results, indent=1))
    if options.json is not None:
        found = {"machine": machine_of(None), "results": results}
        options.json.write_text(json.dumps(found, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
