"""A browser for each module, and a page that lets no error pass."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from diffusion.checkpoints.safetensors import save_safetensors
from tests.diffusion.image_prompts.golden_prompts import write_adapter, write_encoder
from tests.diffusion.server.adapter_files import write_controls, write_word
from tests.diffusion.server.live_server import Live, run_on_thread
from tests.diffusion.server.model_folders import copy_model, copy_vae
from tests.diffusion.server.page.browser import chromium_path

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

SECONDS = 30.0
TAGS = {"ss_tag_frequency": json.dumps({"10_cats": {"watercolour": 9, "1girl, a": 2, "wet": 4}})}
LAYER = "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn2_to_k.lora_down.weight"
Opener = Callable[..., Any]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Return Chromium. It ends with its module: its event loop would disturb other tests."""
    path = chromium_path()
    root = hasattr(os, "geteuid") and os.geteuid() == 0
    with playwright.sync_playwright() as started:
        arguments = ["--no-sandbox"] if root else []
        try:
            browser = started.chromium.launch(executable_path=path, args=arguments)
        except playwright.Error as error:
            pytest.skip(f"{path} does not start: {error}")
        yield browser
        browser.close()


@pytest.fixture
def open_page(browser: Any) -> Iterator[Opener]:
    """Return a function that opens an address in a browser of its own, or in a context.

    An exception, a violation of the content security policy, an error in the console and a dialog
    fail the test. That a request failed may be what it is about.
    """
    problems: list[str] = []
    contexts = []

    def watch(page: Any) -> Any:
        page.set_default_timeout(SECONDS * 1000)
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("dialog", lambda dialog: problems.append(f"dialog {dialog.message}"))
        page.on("console", note)
        return page

    def note(message: Any) -> None:
        if message.type == "error" and not message.text.startswith("Failed to load resource"):
            problems.append(message.text)

    def open_address(url: str, context: Any = None, **options: Any) -> Any:
        if context is None:
            settings = {"viewport": {"width": 1280, "height": 800}, "reduced_motion": "reduce"}
            context = browser.new_context(**{**settings, **options})
            contexts.append(context)
        page = watch(context.new_page())
        page.goto(url)
        return page

    yield open_address
    for context in contexts:
        context.close()
    assert problems == []


@pytest.fixture
def page(open_page: Opener, live: Live) -> Any:
    """Return the page of a server with a fake engine."""
    return open_page(live.url)


def write_lora(file: Path, width: int, notes: dict[str, str] | None = None) -> None:
    """Write the header of a LoRA for models that read text of a width."""
    save_safetensors(file, {LAYER: np.zeros((2, width), np.float32)}, notes or {})


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Live]:
    """Return a server with a few adapters; the bundled model reads text of 128."""
    names = ("loras", "embeddings", "controls", "vaes", "models", "upscalers")
    folders: dict[str, Any] = {each: tmp_path / each for each in names}
    for name in ("loras", "embeddings", "upscalers"):
        folders[name].mkdir()
    write_lora(folders["loras"] / "paint.safetensors", 128, TAGS)
    write_lora(folders["loras"] / "large.safetensors", 2048)
    save_safetensors(folders["upscalers"] / "4x-Sharp.safetensors", {"x": np.zeros(1, "f4")}, {})
    write_word(folders["embeddings"], "calm", 128, 2)
    write_word(folders["embeddings"], "alien", 7)
    write_controls(folders["controls"])
    write_adapter(folders["controls"] / "ip-adapter.safetensors", "base", "sd2")
    write_encoder(folders["controls"] / "eyes")
    write_lora(folders["controls"] / "odd.safetensors", 128)
    copy_vae(folders["vaes"] / "warm", 0.5)
    copy_model(folders["models"] / "second", 0.9)
    with run_on_thread(tmp_path / "out", **folders) as live:
        yield live
