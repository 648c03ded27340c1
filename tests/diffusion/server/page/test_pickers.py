"""What is picked from the server's folders: LoRAs, learned words, control networks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from diffusion.control import ImagePrompt
from diffusion.infotext.image_prompts import image_prompt_text
from diffusion.tasks import GuidanceOptions, HyperTile, SelfAttentionGuidance
from tests.diffusion.server.live_server import Live
from tests.diffusion.server.page.pictures import give_file, png
from tests.diffusion.server.small_hub import run_small_hub

expect: Any = pytest.importorskip("playwright.sync_api", reason="no playwright").expect
expect.set_options(timeout=30_000)


@pytest.fixture
def picking(open_page: Any, served: Live) -> Any:
    return open_page(served.url)


def test_a_lora_is_put_at_the_cursor_and_weighed(picking: Any, served: Live) -> None:
    prompt = picking.get_by_label("Prompt", exact=True)
    prompt.fill("a cat, a hat")
    prompt.evaluate("(each) => each.setSelectionRange(5, 5)")
    picking.get_by_role("button", name="LoRA", exact=True).click()
    dialog = picking.get_by_role("dialog", name="LoRAs and learned words")
    unfit = dialog.locator(".row", has_text="large")
    expect(unfit).to_contain_text("it was made for Stable Diffusion XL")
    expect(unfit.get_by_role("button")).to_be_disabled()
    dialog.get_by_label("Search names and words").fill("paint")
    expect(dialog.locator(".row")).to_have_count(1)
    dialog.get_by_label("Put paint into the prompt").click()
    expect(prompt).to_have_value("a cat <lora:paint:1>, a hat")
    dialog.get_by_label("Weight of paint").fill("0.6")
    expect(prompt).to_have_value("a cat <lora:paint:0.6>, a hat")
    dialog.get_by_label("Put “watercolour” into the prompt").click()
    expect(prompt).to_have_value("a cat <lora:paint:0.6>, watercolour, a hat")
    dialog.get_by_label("Take paint out of the prompt").click()
    expect(prompt).to_have_value("a cat, watercolour, a hat")


def test_a_learned_word_goes_into_the_prompt_that_was_edited(picking: Any) -> None:
    negative = picking.get_by_label("Negative prompt", exact=True).first
    negative.fill("dull")
    picking.get_by_role("button", name="LoRA", exact=True).click()
    dialog = picking.get_by_role("dialog", name="LoRAs and learned words")
    dialog.get_by_text("Learned words", exact=True).click()
    expect(dialog.locator(".row", has_text="alien")).to_contain_text("does not fit this model")
    dialog.get_by_label("Put “calm” into the negative prompt").click()
    expect(negative).to_have_value("dull, calm")


def test_a_picture_leads_by_its_map(picking: Any, served: Live) -> None:
    picking.get_by_text("Control 1", exact=True).click()
    picking.get_by_label("Use Control 1").check()
    expect(picking.get_by_text("Control 2", exact=True)).to_be_visible()
    picking.get_by_label("Prompt", exact=True).fill("a cat")
    picking.keyboard.press("Control+Enter")
    problem = picking.locator(".problem")
    expect(problem).to_contain_text("Control 1: choose its model")
    picking.get_by_label("Control 1: model").select_option("canny")
    give_file(picking, png((64, 48)), "drop", ".unit")
    expect(picking.get_by_label("The picture of control 1")).to_be_visible()
    picking.get_by_label("Control 1: preprocessor").select_option("canny")
    picking.get_by_label("Low threshold").fill("50")
    picking.get_by_label("Control 1: weight").last.fill("0.8")
    picking.get_by_label("Control 1: ends at").fill("0.5")
    picking.get_by_role("button", name="Show the map").click()
    expect(picking.get_by_label("The map of control 1")).to_be_visible()
    assert served.engine.maps[-1].control.threshold_a == 50
    picking.keyboard.press("Control+Enter")
    expect(picking.locator(".stage .result")).to_be_visible()
    (control,) = served.engine.drawn[-1].controls
    assert (control.model, control.preprocessor, control.weight) == ("canny", "canny", 0.8)
    assert (control.start, control.end, control.threshold_a) == (0.0, 0.5, 50.0)
    assert control.image is not None
    assert control.image.size == (64, 48)


def test_a_drawn_picture_leads_the_next(picking: Any, served: Live) -> None:
    picking.get_by_label("Prompt", exact=True).fill("a cat")
    picking.keyboard.press("Control+Enter")
    picking.locator(".caption").get_by_role("button", name="Control").click()
    expect(picking.get_by_label("The picture of control 1")).to_be_visible()
    picking.get_by_label("Control 1: model").select_option("deep/pose")
    picking.keyboard.press("Control+Enter")
    expect(picking.locator(".recent .thumb")).to_have_count(2)
    picking.locator(".caption").get_by_role("button", name="Settings").click()
    expect(picking.get_by_role("dialog")).to_be_visible()
    assert served.engine.drawn[-1].controls[0].model == "deep/pose"


def test_a_network_enlarges_a_picture(picking: Any, served: Live) -> None:
    picking.locator(".mode").get_by_text("Upscale").click()
    give_file(picking, png((40, 24)), "paste")
    expect(picking.get_by_text("40 × 24")).to_be_visible()
    picking.locator('select[data-key="upscale.upscaler"]').select_option("4x-Sharp")
    picking.get_by_label("Prompt", exact=True).fill("a boat")
    picking.keyboard.press("Control+Enter")
    expect(picking.locator(".stage .result")).to_be_visible()
    drawn = served.engine.drawn[-1]
    assert drawn.init_image is not None
    assert (drawn.init_image.upscaler, drawn.init_image.strength) == ("4x-Sharp", 0.3)
    assert (drawn.width, drawn.height) == (80, 48)


def test_a_vae_a_refiner_and_a_model_of_hires_fix(picking: Any, served: Live) -> None:
    """They are chosen from lists, and the refiner is set back."""
    picking.get_by_label("Prompt", exact=True).fill("a cat")
    picking.get_by_label("VAE", exact=True).select_option("warm")
    picking.get_by_text("Refiner", exact=True).click()
    picking.get_by_label("Use refiner").check()
    picking.get_by_label("Refiner: model").select_option("second")
    picking.get_by_label("Refiner: takes over at").last.fill("0.5")
    picking.keyboard.press("Control+Enter")
    expect(picking.locator(".stage .result")).to_be_visible()
    beside = served.engine.tasks[-1].beside
    assert beside.vae is not None
    assert beside.refiner is not None
    assert (beside.vae.name, beside.refiner.name, beside.switch) == ("warm", "second", 0.5)
    picking.get_by_label("Use refiner").uncheck()
    picking.get_by_text("Hires fix", exact=True).click()
    picking.get_by_label("Use hires fix").check()
    picking.get_by_label("Hires fix: model").select_option("second")
    picking.keyboard.press("Control+Enter")
    expect(picking.locator(".recent .thumb")).to_have_count(2)
    beside = served.engine.tasks[-1].beside
    assert (beside.refiner, beside.hires and beside.hires.name) == (None, "second")


@pytest.mark.parametrize(
    ("text", "vae", "refiner", "hires"),
    [
        ("VAE: warm.safetensors, Refiner: second, Refiner switch at: 0.5", "warm", "second", None),
        ("Denoising strength: 1, Hires upscale: 2, Hires checkpoint: second", None, None, "second"),
    ],
)
def test_a_dropped_picture_restores_the_networks_beside(
    picking: Any, served: Live, text: str, vae: str | None, refiner: str | None, hires: str | None
) -> None:
    infotext = f"a pear\nSteps: 3, Sampler: Euler, CFG scale: 2, Seed: 5, Size: 64x64, {text}"
    give_file(picking, png(text=infotext), "drop")
    dialog = picking.get_by_role("dialog", name="Settings of this picture")
    expect(dialog).to_contain_text("second")
    dialog.get_by_role("button", name="Use these settings").click()
    picking.keyboard.press("Control+Enter")
    expect(picking.locator(".stage .result")).to_be_visible()
    beside = served.engine.tasks[-1].beside
    found = [each and each.name for each in (beside.vae, beside.refiner, beside.hires)]
    assert found == [vae, refiner, hires]
    assert refiner is None or beside.switch == 0.5


def test_a_text_brings_back_what_prompts_without_its_pictures(picking: Any) -> None:
    """A note asks for the pictures, which no text holds."""
    unit = image_prompt_text(ImagePrompt(model="ip-adapter", weight=0.6), "ip-adapter", "01234567")
    infotext = f'a pear\nSteps: 3, Sampler: Euler, Seed: 5, ControlNet 0: "{unit}"'
    give_file(picking, png(text=infotext), "drop")
    dialog = picking.get_by_role("dialog", name="Settings of this picture")
    expect(dialog).to_contain_text("the pictures that prompted it are not in its text")
    dialog.get_by_role("button", name="Use these settings").click()
    expect(picking.get_by_label("Use picture prompt 1")).to_be_checked()
    expect(picking.get_by_label("Picture prompt 1: adapter")).to_have_value("ip-adapter")
    expect(picking.get_by_label("Picture prompt 1: weight").last).to_have_value("0.6")


def test_each_list_has_the_networks_that_fit_it(picking: Any) -> None:
    """A file that does not tell what it is stands in each."""
    picking.get_by_text("Control 1", exact=True).click()
    picking.get_by_text("Picture prompt 1", exact=True).click()
    for label, first, names in (
        ("Control 1: model", "Choose a network", ["canny", "deep/pose", "odd"]),
        ("Picture prompt 1: adapter", "Choose an IP-Adapter", ["ip-adapter", "odd"]),
        ("Picture prompt 1: image encoder", "One that fits", ["eyes", "odd"]),
    ):
        options = picking.get_by_label(label).locator("option")
        expect(options).to_have_count(len(names) + 1)
        shown = [each.partition(" [")[0] for each in options.all_inner_texts()]
        assert shown == [first, *names]


def test_pictures_are_read_as_prompts(picking: Any, served: Live) -> None:
    picking.get_by_label("Prompt", exact=True).fill("a cat")
    picking.get_by_text("Picture prompt 1", exact=True).click()
    picking.get_by_label("Use picture prompt 1").check()
    picking.keyboard.press("Control+Enter")
    expect(picking.locator(".problem")).to_contain_text("choose its adapter")
    picking.get_by_label("Picture prompt 1: adapter").select_option("ip-adapter")
    picking.keyboard.press("Control+Enter")
    expect(picking.locator(".problem")).to_contain_text("choose its picture")
    expect(picking.get_by_label("Picture prompt 1: several pictures")).to_be_hidden()
    for size in ((64, 48), (40, 40), (24, 16)):
        give_file(picking, png(size), "drop", ".several")
    picking.get_by_label("Remove picture 2 of picture prompt 1").click()
    picking.get_by_label("Picture prompt 1: several pictures").select_option("average")
    picking.get_by_label("Picture prompt 1: weight").last.fill("0.7")
    picking.keyboard.press("Control+Enter")
    expect(picking.locator(".stage .result")).to_be_visible()
    (prompt,) = served.engine.drawn[-1].image_prompts
    assert (prompt.model, prompt.weight, prompt.combine) == ("ip-adapter", 0.7, "average")
    assert [each.size for each in prompt.images] == [(64, 48), (24, 16)]
    picking.locator(".caption").get_by_role("button", name="As prompt").click()
    expect(picking.get_by_label("Picture 3 of picture prompt 1", exact=True)).to_be_visible()


def test_choices_of_guidance_come_back(picking: Any, served: Live) -> None:
    """What a picture was drawn with is taken by a click, after all was set back."""
    picking.get_by_label("Prompt", exact=True).fill("a cat")
    picking.get_by_label("VAE", exact=True).select_option("warm")
    picking.get_by_text("Guidance options", exact=True).click()
    picking.get_by_text("Self-attention guidance", exact=True).click()
    picking.get_by_label("Use self-attention guidance").check()
    picking.get_by_label("Self-attention guidance: scale").fill("0.75")
    picking.get_by_text("Shortcuts", exact=True).click()
    picking.get_by_text("HyperTile", exact=True).click()
    picking.get_by_label("Use HyperTile").check()
    picking.get_by_label("HyperTile: tile").fill("128")
    picking.keyboard.press("Control+Enter")
    expect(picking.locator(".stage .result")).to_be_visible()
    first = served.engine.drawn[-1].guidance_options
    assert first == GuidanceOptions(
        self_attention=SelfAttentionGuidance(0.75), tiles=HyperTile(128)
    )
    picking.get_by_text("Set all settings back").click()
    expect(picking.get_by_label("Use HyperTile")).not_to_be_checked()
    picking.locator(".caption").get_by_role("button", name="Settings").click()
    dialog = picking.get_by_role("dialog", name="Settings of this picture")
    expect(dialog).to_contain_text("HyperTile: tile")
    dialog.get_by_role("button", name="Use these settings").click()
    picking.keyboard.press("Control+Enter")
    expect(picking.locator(".recent .thumb")).to_have_count(2)
    assert served.engine.drawn[-1].guidance_options == first


def test_a_preset_of_few_steps_is_taken_once(picking: Any, served: Live) -> None:
    picking.get_by_text("More", exact=True).click()
    picking.get_by_label("Set all for a LoRA of few steps").select_option("tcd")
    expect(picking.get_by_label("Steps", exact=True).first).to_have_value("4")
    picking.get_by_label("Preview every", exact=True).fill("2")
    picking.get_by_label("Prompt", exact=True).fill("a cat")
    picking.keyboard.press("Control+Enter")
    expect(picking.locator(".stage .result")).to_be_visible()
    drawn = served.engine.drawn[-1]
    assert (drawn.sampler, drawn.schedule, drawn.steps) == ("tcd", "trailing", 4)
    assert (drawn.guidance, drawn.eta) == (1.0, 0.3)


def test_a_model_is_fetched_and_used(
    page: Any, live: Live, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page.get_by_role("button", name="Models", exact=True).click()
    dialog = page.get_by_role("dialog", name="Models")
    expect(dialog.get_by_role("button", name="Draw with emoji")).to_be_disabled()
    dialog.get_by_label("Load emoji").click()
    expect(dialog.get_by_label("Unload emoji")).to_be_visible()
    name = dialog.get_by_label("Fetch a model from the Hugging Face Hub")
    with run_small_hub(tmp_path / "cache", monkeypatch):
        name.fill("some/nothing")
        name.press("Enter")
        downloads = dialog.get_by_label("Downloads", exact=True)
        expect(downloads).to_contain_text("some/nothing")
        name.fill("some/model")
        name.press("Enter")
        dialog.get_by_role("button", name="Draw with some/model").click()
    expect(dialog).to_be_hidden()
    expect(page.get_by_label("Model", exact=True)).to_have_value("some/model")


def test_a_name_that_is_typed_while_another_is_sent_stays(page: Any, live: Live) -> None:
    page.get_by_role("button", name="Models", exact=True).click()
    dialog = page.get_by_role("dialog", name="Models")
    name = dialog.get_by_label("Fetch a model from the Hugging Face Hub")
    held: list[Any] = []

    def hold(route: Any) -> None:
        held.append(route)

    page.route("**/models/download", hold)
    name.fill("some/first")
    with page.expect_request("**/models/download"):
        name.press("Enter")
    name.fill("some/second")
    (route,) = held
    with page.expect_response("**/api/v1/vaes"):  # the lists that it looks at behind an answer
        route.fulfill(status=202, json={})
    page.evaluate("() => new Promise((end) => setTimeout(end, 200))")
    expect(name).to_have_value("some/second")
