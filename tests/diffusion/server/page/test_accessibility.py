"""axe finds nothing in any view, in both themes, on a desk and on a phone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.diffusion.server.live_server import Live
from tests.diffusion.server.page.pictures import give_file, png

expect: Any = pytest.importorskip("playwright.sync_api", reason="no playwright").expect
expect.set_options(timeout=30_000)
axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="no axe")

RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
SIZES = {"desk": {"width": 1280, "height": 800}, "phone": {"width": 360, "height": 740}}


def show_create(page: Any) -> None:
    expect(page.locator(".stage .result")).to_be_visible()
    for summary in page.locator(".panel summary:visible").all():
        summary.click()


def show_inpaint(page: Any) -> None:
    page.locator(".mode").get_by_text("Inpaint").click()
    give_file(page, png(), "paste")
    expect(page.locator(".editor-canvas")).to_be_visible()


def show_gallery(page: Any) -> None:
    page.get_by_role("link", name="Gallery").click()
    page.locator(".cell-choose input").first.check(force=True)


def show_viewer(page: Any) -> None:
    page.locator(".recent .thumb").first.click()
    expect(page.locator(".facts-list div")).not_to_have_count(0)


def show_table(page: Any) -> None:
    page.get_by_role("link", name="Table").click()
    page.get_by_role("button", name="Draw the table").click()
    expect(page.locator(".xyz .thumb")).to_have_count(6)


def show_differences(page: Any) -> None:
    text = "a pear\nSteps: 7, Sampler: Euler a, CFG scale: 3, Seed: 1, Model: other"
    give_file(page, png(text=text), "drop")
    expect(page.get_by_role("dialog")).to_be_visible()


def show_styles(page: Any) -> None:
    page.get_by_role("button", name="Styles").click()
    expect(page.get_by_role("dialog").locator(".row")).to_have_count(2)
    page.get_by_role("dialog").get_by_role("checkbox").first.check()


def show_loras(page: Any) -> None:
    page.get_by_label("Prompt", exact=True).fill("a cat <lora:paint:0.5>")
    page.get_by_role("button", name="LoRA", exact=True).click()
    expect(page.get_by_role("dialog").locator(".row.unfit")).to_have_count(1)


def show_words(page: Any) -> None:
    show_loras(page)
    page.get_by_role("dialog").get_by_text("Learned words", exact=True).click()


def show_models(page: Any) -> None:
    page.get_by_role("button", name="Models", exact=True).click()
    page.get_by_label("Fetch a model from the Hugging Face Hub").fill("../no")
    page.get_by_role("dialog").get_by_role("button", name="Fetch").click()
    expect(page.get_by_role("alert").filter(has_text="owner/name")).to_be_visible()


def show_control(page: Any) -> None:
    page.get_by_text("Control 1", exact=True).click()
    page.get_by_label("Use Control 1").check()
    give_file(page, png(), "drop", ".unit")
    page.get_by_label("Control 1: preprocessor").select_option("canny")
    page.get_by_role("button", name="Show the map").click()
    expect(page.get_by_label("The map of control 1")).to_be_visible()


def show_keys(page: Any) -> None:
    page.locator("main").focus()
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_be_visible()


VIEWS = [
    show_create,
    show_inpaint,
    show_gallery,
    show_viewer,
    show_table,
    show_differences,
    show_keys,
    show_styles,
    show_loras,
    show_words,
    show_control,
    show_models,
]


def test_axe_finds_nothing_in_the_reference(open_page: Any, live: Live) -> None:
    page = open_page(f"{live.url}/docs", viewport=SIZES["phone"])
    for name in ("POST /api/v1/jobs", "POST /v1/images/edits", "GET /sdapi/v1/samplers"):
        method, path = name.split()
        row = page.locator("details").filter(has=page.get_by_text(path, exact=True))
        row.filter(has=page.get_by_text(method, exact=True)).first.locator("summary").click()
    for theme in ("light", "dark"):
        page.evaluate("(theme) => (document.documentElement.dataset.theme = theme)", theme)
        options = {"runOnly": {"type": "tag", "values": RULES}}
        found = axe.Axe().run(page, options=options).response["violations"]
        assert [f"{theme} {v['id']}: {v['nodes'][0]['html']}" for v in found] == []
    wide = page.evaluate("document.documentElement.scrollWidth")
    assert wide <= SIZES["phone"]["width"], "the page scrolls sideways"


@pytest.mark.parametrize(
    "themes", [("light", "dark"), pytest.param(("dark", "light"), marks=pytest.mark.slow)]
)
@pytest.mark.parametrize("show", VIEWS)
def test_axe_finds_nothing(
    open_page: Any, served: Live, show: Callable[[Any], None], themes: tuple[str, str]
) -> None:
    live = served
    for name in ("Oil", "Night"):
        live.put("/api/v1/styles", {"name": name, "prompt": "x", "negative": "y"})
    live.wait_for(live.submit("a cat"), "done")
    page = open_page(live.url, viewport=SIZES["desk"])
    page.get_by_label("Prompt", exact=True).fill("a red apple")
    page.keyboard.press("Control+Enter")
    expect(page.locator(".stage .result")).to_be_visible()
    show(page)
    for (size, sides), theme in zip(SIZES.items(), themes, strict=True):
        page.set_viewport_size(sides)
        page.evaluate("(theme) => (document.documentElement.dataset.theme = theme)", theme)
        options = {"runOnly": {"type": "tag", "values": RULES}}
        found = axe.Axe().run(page, options=options).response["violations"]
        wrong = [f"{size} {theme} {v['id']}: {v['nodes'][0]['html']}" for v in found]
        assert wrong == []
        wide = page.evaluate("document.documentElement.scrollWidth")
        assert wide <= sides["width"], "the page scrolls sideways"
