"""Journeys through the page in a real browser: from a wish to a picture, and what goes wrong."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from diffusion.tasks import FreeU, GuidanceOptions, Thresholding
from tests.diffusion.server.fake_engine import HOLD
from tests.diffusion.server.live_server import Live, ServerProcess, run_on_thread, wait_until
from tests.diffusion.server.page.pictures import give_file, png

expect: Any = pytest.importorskip("playwright.sync_api", reason="no playwright").expect
expect.set_options(timeout=30_000)

TEXT = "a green pear\nNegative prompt: dull\nSteps: 7, Sampler: Euler a, CFG scale: 3, Seed: 11"


def type_prompt(page: Any, prompt: str) -> None:
    page.get_by_label("Prompt", exact=True).fill(prompt)


def draw(page: Any, prompt: str) -> None:
    type_prompt(page, prompt)
    page.keyboard.press("Control+Enter")


def result(page: Any, prompt: str) -> Any:
    """Return the picture of a prompt on the stage."""
    return page.locator(".stage .result img").and_(page.get_by_alt_text(prompt))


def focus_by_tab(page: Any, selector: str) -> None:
    """Press Tab until something has the focus."""
    for _ in range(60):
        page.keyboard.press("Tab")
        if page.evaluate("(s) => document.activeElement?.matches(s) ?? false", selector):
            return
    raise AssertionError(f"no {selector} by 60 times Tab")


def test_a_prompt_becomes_a_picture_by_keys_alone(page: Any, live: Live) -> None:
    """Prompt, generate, cancel, save and restore, without a pointer."""
    focus_by_tab(page, "[data-key=prompt]")
    page.keyboard.type("a red apple")
    page.keyboard.press("Control+Enter")
    expect(result(page, "a red apple")).to_be_visible()
    assert live.engine.drawn[-1].prompt == "a red apple"
    focus_by_tab(page, "[data-key=prompt]")
    page.keyboard.press("Control+A")
    page.keyboard.type(HOLD)
    page.keyboard.press("Control+Enter")
    expect(page.locator(".progress-text")).to_contain_text("Step 1 of")
    page.keyboard.press("Control+Alt+Enter")
    expect(page.get_by_role("heading", name="Cancelled")).to_be_visible()
    focus_by_tab(page, ".recent .thumb")
    page.keyboard.press("Enter")
    viewer = page.get_by_role("dialog", name="Picture")
    expect(viewer.locator(".viewer-prompt")).to_have_text("a red apple")
    focus_by_tab(page, "dialog a[download]")
    with page.expect_download() as saved:
        page.keyboard.press("Enter")
    assert Path(saved.value.path()).read_bytes().startswith(b"\x89PNG")
    while page.evaluate("document.activeElement.textContent") != "Settings":
        page.keyboard.press("Shift+Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog", name="Settings of this picture")).to_be_visible()
    focus_by_tab(page, "dialog .primary")
    page.keyboard.press("Enter")
    expect(page.get_by_label("Prompt", exact=True)).to_have_value("a red apple")


def test_the_first_run_needs_one_click(page: Any, live: Live) -> None:
    """Nobody chose a model or typed a word."""
    page.get_by_role("link", name="Gallery").click()
    expect(page.get_by_text("No pictures yet")).to_be_visible()
    page.get_by_role("link", name="Create", exact=True).click()
    chosen = page.get_by_label("Model", exact=True).locator("option:checked")
    expect(chosen).to_have_text("The server’s default: emoji")
    page.get_by_role("button", name="a red apple").click()
    expect(result(page, "a red apple")).to_be_visible()
    assert len(live.engine.drawn) == 1


def test_a_model_that_is_gone_is_told_at_its_field(page: Any, live: Live) -> None:
    settings = '{"model": "gone", "mode": "text"}'
    page.evaluate("(text) => sessionStorage.setItem('avila-settings', text)", settings)
    page.reload()
    model = page.get_by_label("Model", exact=True)
    expect(model.locator("option:checked")).to_have_text("gone (not on this server)")
    draw(page, "a cat")
    expect(page.locator(".problem")).to_contain_text("there is no model 'gone'")
    expect(model).to_be_focused()
    model.select_option("")
    draw(page, "a cat")
    expect(result(page, "a cat")).to_be_visible()


def test_the_page_goes_on_after_being_offline(page: Any, live: Live) -> None:
    """What is sent meanwhile is drawn once, and the pictures of others appear."""
    page.context.set_offline(True)
    draw(page, "meanwhile")
    expect(page.locator(".connection")).to_be_visible()
    expect(page.locator(".stage")).to_contain_text("goes on by itself")
    live.wait_for(live.submit("by another"), "done")
    page.context.set_offline(False)
    expect(page.locator(".connection")).to_be_hidden()
    expect(result(page, "meanwhile")).to_be_visible()
    expect(page.locator(".recent .thumb")).to_have_count(2)
    assert [each.prompt for each in live.engine.drawn] == ["by another", "meanwhile"]


def test_settings_reach_the_engine(page: Any, live: Live) -> None:
    page.get_by_label("Steps", exact=True).first.fill("3")
    page.get_by_label("Guidance", exact=True).first.fill("2.5")
    page.get_by_label("Sampler", exact=True).first.select_option("euler_a")
    page.get_by_label("Width", exact=True).fill("48")
    page.get_by_label("Height", exact=True).fill("32")
    page.get_by_label("Seed", exact=True).fill("77")
    page.get_by_label("Pictures", exact=True).fill("2")
    page.get_by_text("Hires fix", exact=True).click()
    page.get_by_label("Use hires fix").check()
    page.get_by_label("Hires fix: upscaler").select_option("lanczos")
    page.get_by_label("Hires fix: to height").fill("96")
    page.get_by_text("Rare", exact=True).click()
    page.get_by_label("Churn", exact=True).fill("0.5")
    draw(page, "two pears")
    expect(page.locator(".stage .result")).to_have_count(2)
    drawn = live.engine.drawn[-1]
    size = drawn.width, drawn.height
    assert (drawn.steps, drawn.guidance, drawn.sampler, size) == (3, 2.5, "euler_a", (48, 32))
    assert (drawn.seed, drawn.count, drawn.sampling.s_churn) == (77, 2, 0.5)
    assert drawn.hires is not None
    assert (drawn.hires.upscaler, drawn.hires.resize) == ("lanczos", (0, 96))
    page.reload()
    expect(page.get_by_label("Seed", exact=True)).to_have_value("77")


def test_a_wrong_value_is_told_at_its_field(page: Any, live: Live) -> None:
    page.get_by_label("Width", exact=True).fill("50")
    draw(page, "a cat")
    problem = page.locator(".problem")
    expect(problem).to_contain_text("multiple of 8")
    field = page.get_by_label("Width", exact=True)
    expect(field).to_have_attribute("aria-invalid", "true")
    expect(field).to_be_focused()
    assert live.engine.drawn == []
    field.fill("48")
    expect(problem).to_be_hidden()
    expect(field).not_to_have_attribute("aria-invalid", "true")
    steps = page.get_by_label("Steps", exact=True).first
    for write in (lambda: steps.fill("0"), lambda: steps.press_sequentially("5000")):
        write()
        page.keyboard.press("Control+Enter")
        expect(problem).to_contain_text("Steps: ")
        expect(steps).to_be_focused()
        steps.fill("")
        expect(problem).to_be_hidden()
    assert live.engine.drawn == []


def test_the_queue_is_reordered_and_cancelled(page: Any, live: Live) -> None:
    draw(page, HOLD)
    expect(page.locator(".progress-text")).to_contain_text("Step 1 of")
    for prompt in ("first", "second", "third"):
        draw(page, prompt)
        expect(page.locator(".queue-row")).to_contain_text([prompt])
    row = page.locator(".queue-row").filter(has_text="third")
    row.get_by_label("Move up").click()
    expect(page.locator(".queue-text")).to_have_text([HOLD, "first", "third", "second"])
    page.get_by_label("Cancel “first”").click()
    expect(page.locator(".queue-text")).to_have_text([HOLD, "third", "second"])
    page.locator(".stage").get_by_role("button", name="Cancel").click()
    expect(page.locator(".queue-row")).to_have_count(0)
    expect(result(page, "second")).to_be_visible()
    assert [each.prompt for each in live.engine.drawn] == [HOLD, "third", "second"]


def test_previews_show_also_behind_the_job_of_another(page: Any, live: Live) -> None:
    live.engine.permits = threading.Semaphore(0)
    live.submit("of another", steps=4)
    page.get_by_label("Steps", exact=True).first.fill("8")
    draw(page, "mine")
    expect(page.locator(".queue-text")).to_have_text(["of another", "mine"])
    live.engine.permits.release(4 + 5)
    expect(page.get_by_alt_text("Preview: mine")).to_be_visible()
    expect(page.locator(".progress-text")).to_contain_text("Step 6 of 8")
    live.engine.permits.release(3)
    expect(result(page, "mine")).to_be_visible()


def test_a_pasted_picture_is_drawn_anew(page: Any, live: Live) -> None:
    page.get_by_text("Set all settings back").scroll_into_view_if_needed()
    page.locator(".mode").get_by_text("Image").click()
    expect(page.locator(".source .drop").locator("visible=true").first).to_be_in_viewport()
    give_file(page, png((40, 24)), "paste")
    expect(page.get_by_text("40 × 24")).to_be_visible()
    page.get_by_label("Strength", exact=True).locator("visible=true").last.fill("0.4")
    draw(page, "a boat")
    expect(result(page, "a boat")).to_be_visible()
    start = live.engine.drawn[-1].init_image
    assert start is not None
    assert (start.strength, start.image.size, start.inpaint) == (0.4, (40, 24), None)
    assert (np.asarray(start.image.convert("RGB")) == (0, 0, 255)).all()


def painted(live: Live) -> Any:
    """Return the mask of the newest job as booleans (h, w)."""
    start = live.engine.drawn[-1].init_image
    assert start is not None
    assert start.inpaint is not None
    return np.asarray(start.inpaint.mask.convert("L")) > 127


def test_a_mask_is_painted_by_mouse(page: Any, live: Live) -> None:
    page.locator(".mode").get_by_text("Inpaint").click()
    give_file(page, png((64, 64)), "paste")
    canvas = page.locator(".editor-canvas")
    box = canvas.bounding_box()
    middle = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.locator(".brush-size input").fill("8")
    for shift in (-40, 40):
        page.mouse.move(middle[0] + shift, middle[1] - 60)
        page.mouse.down()
        page.mouse.move(middle[0] + shift, middle[1] + 60, steps=6)
        page.mouse.up()
    page.get_by_label("Undo (Ctrl+Z)").click()
    draw(page, "a hat")
    expect(result(page, "a hat")).to_be_visible()
    mask = painted(live)
    columns = np.flatnonzero(mask.any(axis=0))
    assert mask.shape == (64, 64)
    assert 0 < len(columns) <= 10
    assert columns.max() < 34


def test_edges_of_a_mask_and_noise_are_chosen(page: Any, live: Live) -> None:
    page.locator(".mode").get_by_text("Inpaint").click()
    give_file(page, png((64, 64)), "paste")
    page.locator(".editor-canvas").focus()
    page.keyboard.press("Space")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Space")
    for key, value in (("inpaint.blur", "3"), ("inpaint.blur_down", "1.5"), ("noise", "0.9")):
        page.locator(f'input[data-key="init_image.{key}"]').fill(value)
    page.locator('input[data-key="init_image.inpaint.soft"]').check()
    draw(page, "a hat")
    expect(result(page, "a hat")).to_be_visible()
    start = live.engine.drawn[-1].init_image
    assert start is not None
    assert start.inpaint is not None
    edges = start.inpaint.blur, start.inpaint.blur_down, start.inpaint.soft
    assert (*edges, start.noise) == (3.0, 1.5, True, 0.9)


def test_a_mask_is_painted_by_keys(page: Any, live: Live) -> None:
    page.locator(".mode").get_by_text("Inpaint").click()
    give_file(page, png((64, 64)), "paste")
    draw(page, "nothing painted")
    expect(page.locator(".problem")).to_contain_text("Paint over")
    page.locator(".editor-canvas").focus()
    page.keyboard.press("Space")
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    page.keyboard.press("Space")
    page.keyboard.press("x")
    expect(page.get_by_label("Eraser (X)")).to_have_attribute("aria-pressed", "true")
    draw(page, "a hat")
    expect(result(page, "a hat")).to_be_visible()
    assert painted(live)[32, 32]
    assert not painted(live).all()


def test_a_picture_is_continued_beyond_its_edge(page: Any, live: Live) -> None:
    page.locator(".mode").get_by_text("Inpaint").click()
    give_file(page, png((64, 64)), "paste")
    page.get_by_text("Extend the picture").click()
    page.get_by_label("Right", exact=True).fill("32")
    page.get_by_label("Overlap").fill("8")
    page.get_by_role("button", name="Extend", exact=True).click()
    expect(page.get_by_text("96 × 64")).to_be_visible()
    draw(page, "a wide sea")
    expect(result(page, "a wide sea")).to_be_visible()
    expected = np.zeros((64, 96), bool)
    expected[:, 64 - 8 :] = True
    assert (painted(live) == expected).all()
    start = live.engine.drawn[-1].init_image
    assert start is not None
    assert start.strength == 0.9
    assert (np.asarray(start.image.convert("RGB")) == (0, 0, 255)).all()


def test_a_dropped_picture_restores_what_is_ticked(page: Any) -> None:
    page.get_by_label("Steps", exact=True).first.fill("7")
    type_prompt(page, "mine")
    give_file(page, png(text=TEXT), "drop")
    dialog = page.get_by_role("dialog", name="Settings of this picture")
    rows = dialog.locator("tbody tr")
    expect(rows.filter(has_text="Guidance")).to_have_count(1)
    expect(rows.filter(has_text="Steps")).to_have_count(0)  # it is the same
    rows.filter(has_text="Negative prompt").get_by_role("checkbox").uncheck()
    dialog.get_by_role("button", name="Use these settings").click()
    expect(page.get_by_label("Prompt", exact=True)).to_have_value("a green pear")
    expect(page.get_by_label("Negative prompt", exact=True).first).to_have_value("")
    expect(page.get_by_label("Guidance", exact=True).first).to_have_value("3")
    expect(page.get_by_label("Sampler", exact=True).first).to_have_value("euler_a")
    expect(page.get_by_label("Seed", exact=True)).to_have_value("11")


def test_a_dropped_text_restores_or_is_refused(page: Any) -> None:
    give_file(page, b"a letter", "drop", media="text/plain")
    expect(page.get_by_role("alert").filter(has_text="Drop a PNG, JPEG or WebP")).to_be_visible()
    give_file(page, TEXT.encode(), "drop", media="text/plain")
    dialog = page.get_by_role("dialog", name="Settings of this picture")
    dialog.get_by_role("button", name="Use these settings").click()
    expect(page.get_by_label("Prompt", exact=True)).to_have_value("a green pear")


def test_a_picture_that_is_too_large_to_send_is_started_from(
    open_page: Any, tmp_path: Path
) -> None:
    with run_on_thread(tmp_path / "out", largest_body=2048) as live:
        page = open_page(live.url)
        give_file(page, png((64, 48)) + bytes(4096), "drop")
        expect(page.get_by_text("is too large to look for settings")).to_be_visible()
        expect(page.get_by_text("64 × 48")).to_be_visible()


def test_the_page_goes_on_after_a_restart(open_page: Any, tmp_path: Path) -> None:
    """The server is killed while it draws; what was sent before and meanwhile is drawn once."""
    server = ServerProcess(tmp_path, step_seconds=60.0)
    page = open_page(server.url)
    page.get_by_label("Steps", exact=True).first.fill("6")
    draw(page, "before")
    expect(page.locator(".progress-text")).to_contain_text("Step 1 of")
    server.kill()
    expect(page.locator(".connection")).to_be_visible()
    draw(page, "meanwhile")
    server = ServerProcess(tmp_path, step_seconds=0.0, port=server.port)
    try:
        expect(page.locator(".connection")).to_be_hidden()
        expect(page.locator(".recent .thumb")).to_have_count(2)
        expect(page.get_by_label("before", exact=True)).to_have_count(1)
        expect(page.get_by_label("meanwhile", exact=True)).to_have_count(1)
    finally:
        server.kill()


def test_two_tabs_keep_their_settings_and_share_the_queue(open_page: Any, live: Live) -> None:
    one = open_page(live.url)
    two = open_page(live.url, context=one.context)
    type_prompt(two, "of the second tab")
    draw(one, HOLD)
    expect(two.locator(".queue-text")).to_have_text([HOLD])
    expect(two.get_by_label("Prompt", exact=True)).to_have_value("of the second tab")
    live.engine.released.set()
    for each in (one, two):
        each.bring_to_front()
        expect(each.locator(".recent .thumb")).to_have_count(1)


def test_an_ended_session_asks_for_the_token_and_loses_nothing(
    open_page: Any, tmp_path: Path
) -> None:
    users = tmp_path / "users.toml"
    users.touch(0o600)
    users.write_text(f'[[users]]\nname = "ana"\ntoken = "{"a" * 24}"\n')
    with run_on_thread(tmp_path / "out", users=users) as live:
        page = open_page(live.url)
        dialog = page.get_by_role("dialog", name="Sign in")
        expect(dialog).to_be_visible()
        expect(
            page.locator("[data-key=vae]")
        ).to_be_hidden()  # it is unknown yet whether any is there
        dialog.get_by_label("Token").fill("wrong")
        dialog.get_by_role("button", name="Sign in").click()
        expect(dialog.get_by_role("alert")).to_contain_text("not a token")
        dialog.get_by_label("Token").fill("a" * 24)
        dialog.get_by_role("button", name="Sign in").click()
        expect(dialog).to_be_hidden()
        draw(page, "a cat")
        expect(result(page, "a cat")).to_be_visible()
        type_prompt(page, "kept")
        page.context.clear_cookies()
        page.keyboard.press("Control+Enter")
        dialog.get_by_label("Token").fill("a" * 24)
        dialog.get_by_role("button", name="Sign in").click()
        expect(page.get_by_label("Prompt", exact=True)).to_have_value("kept")
        draw(page, "kept")
        expect(result(page, "kept")).to_be_visible()


@pytest.mark.parametrize("payload", ["<img src=x onerror=alert(1)>", "</textarea><script>alert(1)"])
def test_no_text_becomes_a_part_of_the_page(page: Any, live: Live, payload: str) -> None:
    """`open_page` fails on dialogs and on violations of the policy."""
    draw(page, payload)
    expect(page.locator(".stage .result img")).to_have_attribute("alt", payload)
    draw(page, f"fail {payload}")
    expect(page.get_by_role("heading", name="It failed")).to_be_visible()
    page.goto(f"{live.url}/#gallery")
    page.locator(".cell-open").first.click()
    expect(page.locator(".viewer-prompt")).to_have_text(payload)
    give_file(page, png(text=f"{payload}\nSteps: 1, Sampler: {payload}, Seed: 1"), "drop")
    assert page.locator("img[src=x]").count() == 0


def test_keys_weigh_words_and_are_shown(page: Any) -> None:
    prompt = page.get_by_label("Prompt", exact=True)
    prompt.fill("a red apple")
    prompt.evaluate("(each) => each.setSelectionRange(4, 4)")
    for expected in ("a (red:1.1) apple", "a (red:1.2) apple"):
        page.keyboard.press("Control+ArrowUp")
        expect(prompt).to_have_value(expected)
    for _ in range(2):
        page.keyboard.press("Control+ArrowDown")
    expect(prompt).to_have_value("a red apple")
    expect(page.locator(".tokens").first).to_have_text("3/75")
    page.locator("main").focus()
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keys")).to_contain_text("Generate")
    page.keyboard.press("Escape")
    page.keyboard.press("g")
    expect(page.get_by_role("region", name="Gallery")).to_be_visible()


def test_a_table_of_settings_is_drawn(page: Any, live: Live) -> None:
    type_prompt(page, "a cat")
    page.goto(f"{live.url}/#table")
    page.get_by_label("X", exact=True).select_option("steps")
    page.get_by_label("Values of X").fill("1-3")
    page.get_by_label("Y", exact=True).select_option("replace")
    page.get_by_label("Values of Y").fill("cat, dog")
    page.get_by_role("button", name="Draw the table").click()
    expect(page.locator(".xyz .thumb img")).to_have_count(6)
    drawn = [(each.prompt, each.steps) for each in live.engine.drawn]
    assert drawn == [(f"a {animal}", steps) for animal in ("cat", "dog") for steps in (1, 2, 3)]
    assert len({each.seed for each in live.engine.drawn}) == 1
    wait_until(lambda: live.get("/api/v1/gallery").json()["total"] == 6)


def test_a_style_is_saved_picked_applied_and_deleted(page: Any, live: Live) -> None:
    type_prompt(page, "oil painting of {prompt}")
    page.get_by_label("Negative prompt", exact=True).first.fill("photo")
    page.get_by_role("button", name="Styles").click()
    dialog = page.get_by_role("dialog", name="Styles")
    dialog.get_by_label("Save both prompts as a style named").fill("Oil")
    dialog.get_by_role("button", name="Save", exact=True).click()
    dialog.get_by_label("Oil").first.check()
    page.keyboard.press("Escape")
    page.get_by_label("Negative prompt", exact=True).first.fill("")
    draw(page, "a cat")
    expect(result(page, "oil painting of a cat")).to_be_visible()
    assert live.engine.drawn[-1].negative == "photo"
    page.get_by_label("Take the style “Oil” off").click()
    page.get_by_role("button", name="Styles").click()
    dialog.get_by_label("Write “Oil” into the prompts").click()
    prompt = page.get_by_label("Prompt", exact=True)
    expect(prompt).to_have_value("oil painting of a cat")
    dialog.get_by_label("Delete “Oil”").click()
    page.get_by_role("button", name="Delete", exact=True).click()
    expect(dialog).to_contain_text("no styles yet")
    assert live.get("/api/v1/styles").json() == {"styles": []}


def test_keys_are_changed(page: Any) -> None:
    page.get_by_role("button", name="Keys", exact=True).click()
    dialog = page.get_by_role("dialog", name="Keys")
    change = dialog.get_by_label("Change the keys of “Gallery”")
    change.press("Enter")
    page.keyboard.press("t")
    expect(dialog.get_by_role("alert")).to_contain_text("T is for “Table”")
    change.press("Enter")
    page.keyboard.press("Alt+Shift+g")
    expect(dialog.get_by_text("Alt + Shift + G")).to_be_visible()
    page.keyboard.press("Escape")
    page.locator("main").focus()
    page.keyboard.press("g")
    expect(page.get_by_role("region", name="Gallery")).to_be_hidden()
    page.keyboard.press("Alt+Shift+g")
    expect(page.get_by_role("region", name="Gallery")).to_be_visible()
    page.reload()
    page.get_by_role("button", name="Keys", exact=True).click()
    dialog.get_by_role("button", name="Set the keys back").click()
    page.keyboard.press("Escape")
    page.keyboard.press("c")
    expect(page.get_by_role("region", name="Stage")).to_be_visible()
    page.keyboard.press("g")
    expect(page.get_by_role("region", name="Gallery")).to_be_visible()


def test_guidance_options_are_sent_and_restored(page: Any, live: Live) -> None:
    page.get_by_text("Guidance options", exact=True).click()
    page.get_by_label("Perturbed attention", exact=True).fill("3")
    page.get_by_text("Dynamic thresholding", exact=True).click()
    page.get_by_label("Use dynamic thresholding").check()
    page.get_by_label("Dynamic thresholding: mimic scale").fill("5")
    page.get_by_text("FreeU", exact=True).click()
    page.get_by_label("Use FreeU").check()
    draw(page, "a cat")
    expect(result(page, "a cat")).to_be_visible()
    sent = live.engine.drawn[-1].guidance_options
    assert sent == GuidanceOptions(
        perturbed=3.0, thresholding=Thresholding(mimic_scale=5.0), freeu=FreeU()
    )
    page.get_by_text("Set all settings back").click()
    page.locator(".caption").get_by_role("button", name="Settings").click()
    page.get_by_role("button", name="Use these settings").click()
    draw(page, "a dog")
    expect(result(page, "a dog")).to_be_visible()
    assert live.engine.drawn[-1].guidance_options == sent
