"""Pictures that are read as a prompt (IP-Adapters), and choices about guidance, over HTTP."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import save_file

from diffusion import Settings
from diffusion.client import Client
from diffusion.control import ImagePrompt
from diffusion.errors import SettingsError
from diffusion.server.jobs.control_request import MOST_CONTROL_PIXELS
from diffusion.server.jobs.image_prompt_request import ImagePromptRequest
from diffusion.tasks import (
    DeepCache,
    FreeU,
    GuidanceOptions,
    HyperTile,
    SelfAttentionGuidance,
    Thresholding,
    TokenMerging,
)
from tests.diffusion.server.adapter_files import encode, picture
from tests.diffusion.server.live_server import Live, run_on_thread

ONE, OTHER = picture(seed=1), picture(40, 56, seed=2)
SIZE: Final = {"width": 64, "height": 48, "steps": 2, "seed": 1}
UNIT: Final = {"module": "ip-adapter-auto", "model": "ip-adapter_sd15", "image": encode(ONE)}


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """Return a server that has files with the names of an adapter and its encoder."""
    place = tmp_path_factory.mktemp("adapters")
    (place / "controls").mkdir()
    for name in ("ip-adapter_sd15", "CLIP-ViT-H", "canny"):
        file = place / "controls" / f"{name}.safetensors"
        save_file({"x": np.zeros(1, np.float32)}, file)
    with run_on_thread(place / "out", controls=place / "controls") as live:
        yield live


def drawn_by(live: Live, path: str, body: Mapping[str, object]) -> Settings:
    """Return the settings of a request that must be drawn."""
    answer = live.post(path, {"prompt": "x", **SIZE, **body})
    assert answer.status_code == 200, answer.text[:500]
    return live.engine.drawn[-1]


def test_a_job_is_prompted_by_all_that_it_says(live: Live) -> None:
    given: dict[str, Any] = {
        "weight": 0.75,
        "start": 0.125,
        "end": 0.5,
        "weight_type": "style_transfer",
        "combine": "average",
        "scaling": "kv",
        "resize": "fill",
        "passes": "base",
    }
    full = {
        **given,
        "model": "ip-adapter_sd15",
        "encoder": "CLIP-ViT-H.safetensors",
        "images": [encode(ONE), encode(OTHER)],
        "region": encode(OTHER),
        "negative": encode(ONE),
        "layer_weights": [1, 0.5],
    }
    assert set(full) == set(ImagePromptRequest.model_fields)
    assert set(full) == {each.name for each in fields(ImagePrompt)}
    (prompt,) = drawn_by(live, "/txt2img", {"image_prompts": [full]}).image_prompts
    assert {name: getattr(prompt, name) for name in given} == given
    assert (prompt.model, prompt.encoder) == ("ip-adapter_sd15", "CLIP-ViT-H")
    assert [each.tobytes() for each in prompt.images] == [ONE.tobytes(), OTHER.tobytes()]
    assert prompt.region is not None
    assert prompt.negative is not None
    assert prompt.negative.tobytes() == ONE.tobytes()
    assert prompt.layer_weights == (1, 0.5)


def test_the_client_sends_them(live: Live, tmp_path: Path) -> None:
    prompt = ImagePrompt("ip-adapter_sd15", (ONE, OTHER), weight=0.5, layer_weights=(1.0, 0.5))
    with Client(live.url) as client:
        client.wait(client.submit(Settings("x", **SIZE, image_prompts=(prompt,))))
        (sent,) = live.engine.drawn[-1].image_prompts
        assert [each.tobytes() for each in sent.images] == [ONE.tobytes(), OTHER.tobytes()]
        assert (sent.weight, sent.layer_weights, sent.encoder) == (0.5, (1.0, 0.5), None)
        for wrong in (ImagePrompt(tmp_path, (ONE,)), ImagePrompt("a", (ONE,), tmp_path)):
            with pytest.raises(SettingsError, match="lie on the server"):
                client.submit(Settings("x", image_prompts=(wrong,)))


@pytest.mark.parametrize(
    ("prompt", "words"),
    [
        ({"model": "ip-adaptor_sd15"}, "did you mean 'ip-adapter_sd15'?"),
        ({"encoder": "CLIP-ViT-L"}, "did you mean 'CLIP-ViT-H'?"),
        ({"images": []}, "at least 1 item"),
        ({"images": ["x"]}, "base64"),
        ({"weight_type": "no such"}, "give one of composition"),
        ({"start": 0.5, "end": 0.25}, "ip start must be less than"),
        ({"model": "/etc/passwd"}, "no such control network"),
    ],
)
def test_wrong_image_prompts_are_refused(live: Live, prompt: Any, words: str) -> None:
    good = {"model": "ip-adapter_sd15", "images": [encode(ONE)]}
    answer = live.post("/txt2img", {"prompt": "x", "image_prompts": [{**good, **prompt}]})
    assert (answer.status_code, words in answer.text) == (422, True), answer.text[:500]


def test_pictures_that_lead_and_prompt_are_counted_together(live: Live) -> None:
    """Each and any two are below the limit, the three above it."""
    side = int((MOST_CONTROL_PIXELS * 0.4) ** 0.5)
    file = io.BytesIO()
    Image.new("L", (side, side)).save(file, "PNG")
    large = encode(Image.open(file))
    body = {
        "prompt": "x",
        "controls": [{"model": "canny", "image": large}],
        "image_prompts": [{"model": "ip-adapter_sd15", "images": [large, large]}],
    }
    answer = live.post("/txt2img", body)
    assert (answer.status_code, "pixels in all" in answer.text) == (422, True)


def units(*given: Mapping[str, object]) -> dict[str, object]:
    return {"alwayson_scripts": {"controlnet": {"args": list(given)}}}


def test_units_of_the_webui_prompt_and_lead(live: Live) -> None:
    """Maps come for those that lead alone."""
    half = {**UNIT, "weight": 0.5, "guidance_end": 0.5, "resize_mode": 0}
    lead = {"model": "canny", "image": encode(ONE)}
    body = {"prompt": "x", **SIZE, **units(half, lead)}
    answer = live.post("/sdapi/v1/txt2img", body)
    assert answer.status_code == 200, answer.text[:500]
    assert len(answer.json()["images"]) == 2
    settings = live.engine.drawn[-1]
    (prompt,), (control,) = settings.image_prompts, settings.controls
    assert (prompt.model, prompt.weight, prompt.end) == ("ip-adapter_sd15", 0.5, 0.5)
    assert (prompt.resize, control.model) == ("stretch", "canny")
    assert "ip-adapter-auto" in live.get("/controlnet/module_list").json()["module_list"]
    types = live.get("/controlnet/control_types").json()["control_types"]
    assert types["IP-Adapter"]["default_model"].startswith("ip-adapter_sd15 [")


@pytest.mark.parametrize(
    ("unit", "status", "words"),
    [
        ({"module": "ip-adapter_face_id_plus"}, 501, "finds no faces"),
        ({"module": "InsightFace+CLIP-H (IPAdapter)"}, 501, "finds no faces"),
        ({"ipadapter_input": ["gASV"]}, 501, "never opens"),
        ({"image": None}, 422, "needs an image"),
    ],
)
def test_units_that_cannot_be_read(live: Live, unit: Any, status: int, words: str) -> None:
    answer = live.post("/sdapi/v1/txt2img", {"prompt": "x", **units({**UNIT, **unit})})
    assert (answer.status_code, words in answer.text) == (status, True), answer.text[:500]


def test_a_text_restores_them_without_pictures(live: Live) -> None:
    text = (
        "x\nSteps: 2, Sampler: Euler, CFG scale: 2, Seed: 4, Size: 64x64, Model: emoji, "
        'ControlNet 0: "Module: ip-adapter-auto, Model: ip-adapter_sd15 [01234567], Weight: 0.5, '
        'Resize Mode: Crop and Resize, Guidance Start: 0, Guidance End: 0.5, Weight Type: ease in"'
    )
    read = live.post("/api/v1/gallery/read", {"text": text}).json()
    (prompt,) = read["settings"]["image_prompts"]
    expected = {"model": "ip-adapter_sd15", "weight": 0.5, "end": 0.5, "weight_type": "ease_in"}
    assert prompt == expected
    assert any("give them again" in each for each in read["notes"])


# ------------------------------------------------------------------ guidance

SCRIPTS: Final[dict[str, tuple[list[Any], GuidanceOptions]]] = {
    "FreeU Integrated (SD 1.x, SD 2.x, SDXL)": (
        [True, 1.1, 1.2, 0.6, 0.4, 0, 1],
        GuidanceOptions(freeu=FreeU(1.1, 1.2, 0.6, 0.4)),
    ),
    "FreeU Integrated": ([True], GuidanceOptions(freeu=FreeU(1.01, 1.02, 0.99, 0.95))),
    "SelfAttentionGuidance Integrated (SD 1.x, SD 2.x, SDXL)": (
        [True, 0.75, 3, 0.5],
        GuidanceOptions(self_attention=SelfAttentionGuidance(0.75, 3.0, 0.5)),
    ),
    "Perturbed Attention Guidance Integrated": ([True, 2.5], GuidanceOptions(perturbed=2.5)),
    "perturbedattentionguidance integrated (sd 1.x, sd 2.x, sdxl)": (
        [True, 3, 0, 0, 1.0],
        GuidanceOptions(perturbed=3.0),
    ),
    "DynamicThresholding (CFG-Fix) Integrated": (
        [True, 5, 0.9, "Constant", 0, "Constant", 0, 1, "disable", "ZERO", "STD", 0.7],
        GuidanceOptions(thresholding=Thresholding(5.0, 0.9, False, "zero", "STD", 0.7)),
    ),
}
OPTIONS: Final[dict[str, tuple[dict[str, object], GuidanceOptions]]] = {
    "hypertile": (
        {"hypertile_enable_unet": True, "hypertile_max_tile_unet": 128},
        GuidanceOptions(tiles=HyperTile(128, 3, 3)),
    ),
    "deepcache": (
        {"deepcache_enable": True, "deepcache_cache_resnet_level": 2},
        GuidanceOptions(cache=DeepCache(5, 2)),
    ),
    "merging": (
        {"token_merging_ratio": 0.5, "token_merging_ratio_hr": 0.25},
        GuidanceOptions(merging=TokenMerging(0.5, 0.25)),
    ),
}


@pytest.mark.parametrize("name", SCRIPTS)
def test_scripts_of_forge_guide(live: Live, name: str) -> None:
    """Switched off they change nothing, and a further script beside keeps its own."""
    given, expected = SCRIPTS[name]
    body = {"alwayson_scripts": {name: {"args": given}}}
    assert drawn_by(live, "/sdapi/v1/txt2img", body).guidance_options == expected
    body = {"alwayson_scripts": {name: {"args": [False, *given[1:]]}}}
    assert drawn_by(live, "/sdapi/v1/txt2img", body).guidance_options == GuidanceOptions()


@pytest.mark.parametrize("name", OPTIONS)
def test_options_of_the_webui_spare_work(live: Live, name: str) -> None:
    override, expected = OPTIONS[name]
    body = {"override_settings": override}
    assert drawn_by(live, "/sdapi/v1/txt2img", body).guidance_options == expected
    before = live.get("/sdapi/v1/options").json()
    assert live.post("/sdapi/v1/options", override).status_code == 200
    assert drawn_by(live, "/sdapi/v1/txt2img", {}).guidance_options == expected
    shown = live.get("/sdapi/v1/options").json()
    assert {each: shown[each] for each in override} == override
    live.post("/sdapi/v1/options", {each: before[each] for each in override})
    assert drawn_by(live, "/sdapi/v1/txt2img", {}).guidance_options == GuidanceOptions()


def test_merging_has_a_ratio_of_its_own_for_pictures(live: Live) -> None:
    override: dict[str, object] = {"token_merging_ratio_img2img": 0.25}
    start = {"init_images": [encode(ONE)], "override_settings": override}
    found = drawn_by(live, "/sdapi/v1/img2img", start).guidance_options
    assert found == GuidanceOptions(merging=TokenMerging(0.25))
    start["override_settings"] = {**override, "token_merging_ratio": 0.5}
    found = drawn_by(live, "/sdapi/v1/img2img", start).guidance_options
    assert found == GuidanceOptions(merging=TokenMerging(0.5))
    text = drawn_by(live, "/sdapi/v1/txt2img", {"override_settings": override})
    assert text.guidance_options == GuidanceOptions()


@pytest.mark.parametrize(
    ("name", "given", "status", "words"),
    [
        ("FreeU Integrated", [1.1, 1.2], 422, "must be true or false"),
        ("FreeU Integrated", [True, "x"], 422, "B1 must be a number"),
        ("FreeU Integrated", [True] * 9, 422, "at most 7 arguments"),
        ("FreeU Integrated", [True, 1, 1, 1, 1, 0.5], 501, "Start step other than 0.0"),
        ("FreeU Integrated", [True, 99], 422, "freeu must be"),
        ("FreeU Integrated", "x", 422, "a list args"),
        ("DynamicThresholding (CFG-Fix) Integrated", [True, 7, 1, "Linear Up"], 501, "Mimic Mode"),
    ],
)
def test_wrong_arguments(live: Live, name: str, given: Any, status: int, words: str) -> None:
    body = {"prompt": "x", "alwayson_scripts": {name: {"args": given}}}
    answer = live.post("/sdapi/v1/txt2img", body)
    assert (answer.status_code, words in answer.text) == (status, True), answer.text[:500]
