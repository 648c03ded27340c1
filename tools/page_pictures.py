"""Make the pictures of the page in the documentation, by Chromium.

``avila serve`` must run with an empty output folder, so that no picture is there twice::

    python tools/page_pictures.py http://localhost:7860
"""

from __future__ import annotations

import io
import sys
import time
from pathlib import Path
from typing import Any

import requests
from PIL import Image
from playwright.sync_api import sync_playwright

FOLDER = Path(__file__).parents[1] / "docs" / "images"
CHROMIUM = "/usr/bin/chromium"
SIZE = {"width": 1280, "height": 800}
PROMPTS = (
    "a red apple, a yellow star, a cat, a rocket, a house with a garden, a panda, a slice of pizza,"
    " a rainbow, a mountain with snow, a blue fish, a bunch of grapes, a fox, a strawberry, "
    "a tropical drink, a sun with a face, a penguin, a cactus, a sailboat, an owl, a cherry blossom"
).split(", ")


UPCOMING = ("a lion, orange", "a (teddy bear:1.2) with a scarf", "a hot air balloon in the sky")
"""Prompts of jobs that no picture of the gallery has."""


def draw_all(url: str) -> None:
    """Draw the pictures of the gallery, and wait for them."""
    if requests.get(f"{url}/api/v1/gallery", timeout=60).json()["total"]:
        sys.exit("the gallery has pictures: start avila serve with an empty --output")
    for seed, prompt in enumerate(PROMPTS, start=100):
        job = {"prompt": prompt, "seed": seed}
        requests.post(f"{url}/api/v1/jobs", json=job, timeout=60).raise_for_status()
    while requests.get(f"{url}/api/v1/gallery", timeout=60).json()["total"] < len(PROMPTS):
        time.sleep(1)


def generate(page: Any, prompt: str) -> None:
    """Send a prompt by keys."""
    page.get_by_label("Prompt", exact=True).fill(prompt)
    page.keyboard.press("Control+Enter")


def show_create(page: Any) -> None:
    """Show a preview, and two jobs that wait."""
    for prompt in UPCOMING:
        generate(page, prompt)
    page.locator(".preview").wait_for()
    drawn = page.locator(".preview").get_attribute("alt").removeprefix("Preview: ")
    page.get_by_label("Prompt", exact=True).fill(drawn)


def show_gallery(page: Any) -> None:
    """Show all pictures, two of them chosen."""
    page.get_by_role("link", name="Gallery").click()
    for words in ("an owl", "a penguin"):
        page.get_by_label(f"Choose “{words}”").check(force=True)


def show_inpaint(page: Any) -> None:
    """Show a mask that is painted."""
    page.get_by_role("link", name="Gallery").click()
    page.get_by_label("Open “a house with a garden”").click()
    page.get_by_role("dialog").get_by_role("button", name="Inpaint").click()
    page.get_by_label("Prompt", exact=True).fill("a house with a blue roof")
    page.locator(".brush-size input").fill("30")
    box = page.locator(".editor-canvas").bounding_box()
    places = [(0.24, 0.52), (0.57, 0.23), (0.87, 0.53)]
    points = [(box["x"] + box["width"] * x, box["y"] + box["height"] * y) for x, y in places]
    page.mouse.move(*points[0])
    page.mouse.down()
    for point in points[1:]:
        page.mouse.move(*point, steps=10)
    page.mouse.up()


def cancel_all(url: str) -> None:
    """Cancel the jobs that are open, whose pictures nobody needs."""
    for job in requests.get(f"{url}/api/v1/jobs", timeout=60).json()["jobs"]:
        if job["state"] in ("queued", "running"):
            requests.delete(f"{url}/api/v1/jobs/{job['id']}", timeout=60)


def save(page: Any, name: str) -> None:
    """Write what the page shows, with 256 colours."""
    page.wait_for_timeout(1500)
    with Image.open(io.BytesIO(page.screenshot())) as image:
        small = image.convert("RGB").quantize(256, dither=Image.Dither.FLOYDSTEINBERG)
    small.save(FOLDER / name, optimize=True)


if __name__ == "__main__":
    url = sys.argv[1]
    draw_all(url)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        for show, theme in ((show_inpaint, "dark"), (show_gallery, "light"), (show_create, "dark")):
            page = browser.new_page(viewport=SIZE, color_scheme=theme)
            page.goto(url)
            show(page)
            save(page, f"page-{show.__name__.removeprefix('show_')}.png")
            page.close()
            cancel_all(url)
        browser.close()
