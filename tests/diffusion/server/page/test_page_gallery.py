"""The gallery in a real browser: thousands of pictures, search, compare, zip, delete."""

from __future__ import annotations

import zipfile
from typing import Any

import pytest

from tests.diffusion.server.live_server import Live, wait_until

expect: Any = pytest.importorskip("playwright.sync_api", reason="no playwright").expect
expect.set_options(timeout=30_000)

MANY = 10_000
JOB = (
    "INSERT INTO jobs (id, user, interface, acknowledged, priority, digest, model, seed, count,"
    " state, created) VALUES (?, 'local', 'jobs', 1, 0, '', 'emoji', '1', ?, 'done', 1e9)"
)
PICTURE = "INSERT INTO pictures VALUES (?, ?, 'none.png', '1', 64, 64, ?, 0)"


def add_many(live: Live) -> None:
    """Write rows of pictures that were never drawn."""
    history, job = live.server.services.history, "0" * 24
    text = "number {}\nSteps: 1, Sampler: Euler, Seed: 1"
    rows = [(job, i, text.format(i)) for i in range(MANY)]

    def insert() -> None:
        history._db.execute("BEGIN")
        history._db.execute(JOB, (job, MANY))
        history._db.executemany(PICTURE, rows)
        history._db.execute("COMMIT")

    history._thread.submit(insert).result()


def draw(live: Live, *prompts: str) -> None:
    for prompt in prompts:
        live.wait_for(live.submit(prompt), "done")


def test_ten_thousand_pictures_are_few_elements(open_page: Any, live: Live) -> None:
    add_many(live)
    page = open_page(f"{live.url}/#gallery")
    expect(page.locator(".total").first).to_have_text("10,000 pictures")
    cells = page.locator(".cell")
    assert 0 < cells.count() < 150
    expect(page.get_by_label("Open “number 9999”")).to_be_visible()
    page.locator(".grid-scroll").evaluate("(each) => each.scrollTo(0, each.scrollHeight)")
    expect(page.get_by_label("Open “number 0”")).to_be_visible()
    assert cells.count() < 150
    page.locator(".cell-open").last.focus()
    page.keyboard.press("Home")
    expect(page.get_by_label("Open “number 9999”")).to_be_focused()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_label("Open “number 9998”")).to_be_focused()
    page.get_by_label("Words of the prompt").fill("777")
    expect(page.locator(".total").first).to_have_text("19 pictures")


def test_chosen_pictures_are_compared_zipped_and_deleted(
    open_page: Any, live: Live, tmp_path: Any
) -> None:
    draw(live, "a cat", "a dog", "a fox")
    page = open_page(f"{live.url}/#gallery")
    for words in ("a cat", "a fox"):
        page.get_by_label(f"Choose “{words}”").check(force=True)
    page.get_by_role("button", name="Compare").click()
    slider = page.get_by_label("How much of the left picture is shown")
    slider.fill("20")
    over = page.locator(".compare-box .over")
    assert "80%" in over.evaluate("(each) => each.style.clipPath")
    page.keyboard.press("Escape")
    with page.expect_download() as saved:
        page.get_by_role("button", name="Zip").click()
    with zipfile.ZipFile(saved.value.path()) as archive:
        assert len(archive.namelist()) == 2
    page.locator(".chosen-bar").get_by_role("button", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page.locator(".cell")).to_have_count(1)
    wait_until(lambda: live.get("/api/v1/gallery").json()["total"] == 1)


def test_the_viewer_goes_on_and_sends_a_picture_on(open_page: Any, live: Live) -> None:
    draw(live, "a cat", "a dog")
    page = open_page(f"{live.url}/#gallery")
    page.get_by_label("Open “a dog”").click()
    prompt = page.locator(".viewer-prompt")
    expect(prompt).to_have_text("a dog")
    page.keyboard.press("ArrowRight")
    expect(prompt).to_have_text("a cat")
    page.get_by_role("button", name="Inpaint").click()
    expect(page.locator(".editor-canvas")).to_be_visible()
    expect(page.get_by_text("64 × 48")).to_be_visible()
    expect(page.get_by_label("Prompt", exact=True)).to_have_value("a cat")
