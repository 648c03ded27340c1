"""AUTOMATIC1111's routes: with `webuiapi` as it comes from PyPI, and field by field."""

from __future__ import annotations

import base64
import io
import json
import threading
from typing import Any

import pytest
import webuiapi
from PIL import Image

from diffusion.infotext.files import read_texts
from diffusion.server.routes.missing import MISSING
from diffusion.server.routes.sdapi.guidance_scripts import GUIDANCE_SCRIPTS
from tests.diffusion.server.adapter_files import encode, picture
from tests.diffusion.server.live_server import Live, wait_until

RED = Image.new("RGB", (64, 48), (255, 0, 0))


@pytest.fixture
def client(live: Live) -> Any:
    return webuiapi.WebUIApi(port=live.port, steps=6)


def test_webuiapi_draws_from_text(client: Any, live: Live) -> None:
    result = client.txt2img(
        prompt="a (red:1.2) apple",
        negative_prompt="bad",
        seed=5,
        batch_size=2,
        n_iter=2,
        width=64,
        height=48,
        cfg_scale=4.5,
        sampler_name="DPM++ 2M Karras",
        override_settings={"CLIP_stop_at_last_layers": 2},
    )
    assert len(result.images) == 4
    assert result.info["all_seeds"] == [5, 6, 7, 8]
    assert result.info["seed"] == 5
    assert result.info["index_of_first_image"] == 0
    assert result.info["sampler_name"] == "DPM++ 2M"
    assert result.info["clip_skip"] == 2
    assert result.image.info["parameters"] == result.info["infotexts"][0]
    assert (
        "Steps: 6, Sampler: DPM++ 2M, Schedule type: Karras, CFG scale: 4.5, Seed: 5"
        in (result.info["infotexts"][0])
    )
    assert result.parameters["negative_prompt"] == "bad"
    (settings,) = live.engine.drawn
    assert (settings.count, settings.batch, settings.eta) == (4, 2, None)


def test_webuiapi_draws_from_pictures_and_parts_of_them(client: Any, live: Live) -> None:
    result = client.img2img(images=[RED], prompt="x", width=64, height=48, seed=1)
    assert result.info["denoising_strength"] == 0.75
    assert result.parameters["init_images"] is None
    mask = Image.new("L", (32, 24), 255)
    client.img2img(
        images=[RED], mask_image=mask, prompt="x", width=64, height=48, inpainting_fill=1
    )
    first, second = live.engine.drawn
    assert first.init_image is not None
    assert first.init_image.inpaint is None
    assert second.init_image is not None
    inpaint = second.init_image.inpaint
    assert inpaint is not None
    assert (inpaint.mask.size, inpaint.blur, inpaint.area) == ((64, 48), 4.0, "masked")
    assert inpaint.content == "original"


def test_webuiapi_sees_progress_and_interrupts(client: Any, live: Live) -> None:
    assert client.get_progress()["state"]["job_count"] == 0
    answers: list[Any] = []
    thread = threading.Thread(
        target=lambda: answers.append(client.txt2img(prompt="hold on", steps=9))
    )
    thread.start()
    shown = wait_until(lambda: p if (p := client.get_progress())["progress"] > 0 else None)
    assert shown["state"]["job"] == "txt2img"
    assert shown["state"]["sampling_steps"] == 9
    assert shown["state"]["sampling_step"] == 1
    assert client.interrupt() == {}
    thread.join(30)
    assert len(answers[0].images) == 1
    client.util_wait_for_ready(check_interval=0.1)
    assert client.skip() is None


def test_webuiapi_reads_a_picture(client: Any) -> None:
    drawn = client.txt2img(prompt="an apple", seed=9, width=64, height=48)
    found = client.png_info(drawn.image)
    assert found.info == drawn.info["infotexts"][0]
    assert found.parameters["Prompt"] == "an apple"
    assert (found.parameters["Size-1"], found.parameters["Size-2"]) == ("64", "48")
    assert client.png_info(RED).info == ""


def test_webuiapi_lists_and_chooses(client: Any, live: Live) -> None:
    options = wait_until(
        lambda: o if "[" in (o := client.get_options())["sd_model_checkpoint"] else None
    )
    titles = client.util_get_model_names()
    assert options["sd_model_checkpoint"] in titles
    client.util_set_model("emoji")
    assert client.util_get_current_model() == options["sd_model_checkpoint"]
    assert client.set_options(client.get_options()) is None, "clients send all of them back"
    assert client.set_options({"no_such_option": 1}) is None
    assert "Euler a" in client.util_get_sampler_names()
    assert {"automatic", "karras"} <= set(client.util_get_scheduler_names())
    assert client.get_upscalers()[0]["name"] == "None"
    assert {"Latent"} <= {each["name"] for each in client.get_latent_upscale_modes()}
    assert [each["name"] for each in client.get_loras()] == ["neon"]
    for name in ("sd_vae", "hypernetworks", "face_restorers", "prompt_styles"):
        assert getattr(client, f"get_{name}")() == []
    assert client.get_embeddings() == {"loaded": {}, "skipped": {}}
    assert client.get_scripts()["txt2img"] == [
        "prompt matrix",
        "x/y/z plot",
        "controlnet",
        *(each.title.lower() for each in GUIDANCE_SCRIPTS),
    ]
    assert client.get_cmd_flags()["api"] is True
    assert set(client.get_memory()["ram"]) == {"free", "used", "total"}


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ({"restore_faces": True}, 501, "restore_faces"),
        ({"refiner_checkpoint": "x"}, 422, "there is no model"),
        ({"styles": ["x"]}, 422, "Style not found: 'x'; GET /sdapi/v1/prompt-styles lists all"),
        ({"script_name": "no such script"}, 422, "Script not found"),
        ({"alwayson_scripts": {"ADetailer": {"args": []}}}, 422, "always on script"),
        ({"sampler_name": "Eulr"}, 422, "did you mean"),
        ({"override_settings": {"sd_model_checkpoint": "other"}}, 422, "there is no model"),
        ({"override_settings": {"sd_vae": "other"}}, 422, "name the folder it lies in"),
        ({"override_settings": {"token_merging_ratio": 2}}, 422, "token_merging_ratio"),
        ({"enable_hr": True, "hr_upscaler": "R-ESRGAN 4x+"}, 422, "give one of lanczos"),
        ({"width": 500}, 422, "multiple of 8"),
        ({"batch_size": 10**9}, 422, "less than or equal"),
    ],
)
def test_what_cannot_be_done_is_said(
    live: Live, body: dict[str, Any], status: int, words: str
) -> None:
    answer = live.post("/sdapi/v1/txt2img", {"prompt": "x", **body})
    assert answer.status_code == status
    assert words in answer.text
    assert set(answer.json()) == {"error", "detail", "body", "errors"}
    assert live.engine.drawn == []


@pytest.mark.parametrize(
    ("options", "every"),
    [
        ({}, 5),
        ({"show_progress_every_n_steps": 2}, 2),
        ({"show_progress_every_n_steps": -1}, 0),
        ({"live_previews_enable": False, "show_progress_every_n_steps": 2}, 0),
    ],
)
def test_a_user_chooses_how_often_previews_come(
    live: Live, options: dict[str, Any], every: int
) -> None:
    body = {"prompt": "x", "width": 64, "height": 48, "steps": 1}
    assert live.post("/sdapi/v1/txt2img", {**body, "override_settings": options}).ok
    assert live.post("/sdapi/v1/options", options).ok
    assert live.post("/sdapi/v1/txt2img", body).ok
    assert [each.preview_every for each in live.engine.tasks] == [every] * 2
    shown = live.get("/sdapi/v1/options").json()
    assert shown["live_previews_enable"] is options.get("live_previews_enable", True)
    assert shown["show_progress_every_n_steps"] == options.get("show_progress_every_n_steps", 5)


@pytest.mark.parametrize("kind", ["png", "jpeg", "webp"])
def test_pictures_come_without_their_settings_where_that_is_asked(live: Live, kind: str) -> None:
    """What is kept has them."""
    options = {"enable_pnginfo": False, "samples_format": kind}
    body = {"prompt": "secret", "width": 64, "height": 48, "steps": 1, "batch_size": 2}
    body |= {"save_images": True, "override_settings": options}
    answer = live.post("/sdapi/v1/txt2img", body).json()
    assert len(answer["images"]) == 3
    for each in answer["images"]:
        data = base64.b64decode(each)
        assert read_texts(data).infotext is None
        assert Image.open(io.BytesIO(data)).format == kind.upper()
    assert "secret" in json.loads(answer["info"])["infotexts"][0]
    (job,) = live.get("/api/v1/jobs").json()["jobs"]
    kept = live.get(f"/api/v1/jobs/{job['id']}/result").content
    assert (read_texts(kept).infotext or "").startswith("secret")


def test_a_missing_init_image_is_404(live: Live) -> None:
    assert live.post("/sdapi/v1/img2img", {"prompt": "x"}).status_code == 404


def test_defaults_and_their_meaning(live: Live) -> None:
    """A request with a prompt alone takes AUTOMATIC1111's defaults, not the model's."""
    answer = live.post("/sdapi/v1/txt2img", {"prompt": "x", "no_such_field": 1}).json()
    (settings,) = live.engine.drawn
    assert (settings.steps, settings.guidance, settings.sampler) == (50, 7.0, "Euler")
    assert (settings.width, settings.height) == (512, 512)
    assert not answer["images"][0].startswith("data:")
    assert json.loads(answer["info"])["denoising_strength"] is None


def test_hires_variation_tiling_and_formats(live: Live) -> None:
    body = {
        "prompt": "x",
        "width": 64,
        "height": 48,
        "enable_hr": True,
        "hr_resize_x": 128,
        "hr_resize_y": 96,
        "hr_second_pass_steps": 3,
        "denoising_strength": 0.5,
        "subseed": 3,
        "subseed_strength": 0.25,
        "tiling": True,
        "batch_size": 2,
        "save_images": True,
        "override_settings": {"samples_format": "webp", "randn_source": "CPU"},
    }
    answer = live.post("/sdapi/v1/txt2img", body).json()
    (settings,) = live.engine.drawn
    assert settings.hires is not None
    assert settings.hires.size(64, 48) == (128, 96)
    assert (settings.hires.steps, settings.hires.strength) == (3, 0.5)
    assert settings.variation is not None
    assert (settings.variation.seed, settings.variation.strength) == (3, 0.25)
    assert (settings.seamless, settings.rng) == ("xy", "cpu")
    info = json.loads(answer["info"])
    assert info["index_of_first_image"] == 1
    assert len(answer["images"]) == len(info["infotexts"]) == 3
    images = [Image.open(io.BytesIO(base64.b64decode(each))) for each in answer["images"]]
    assert [image.format for image in images] == ["WEBP"] * 3
    assert images[0].width == 2 * images[1].width, "a grid comes first"


@pytest.mark.parametrize(
    ("size", "asked"),
    [
        ((704, 704), (784, 0)),
        ((704, 512), (0, 608)),
        ((832, 1216), (1248, 1824)),
        ((512, 512), (768, 1024)),
        ((512, 768), (768, 512)),
    ],
)
def test_hires_fix_has_the_asked_size(
    live: Live, size: tuple[int, int], asked: tuple[int, int]
) -> None:
    """704 * (784 / 704) is less than 784."""
    body = {"prompt": "x", "steps": 1, "enable_hr": True, "width": size[0], "height": size[1]}
    body |= {"hr_resize_x": asked[0], "hr_resize_y": asked[1]}
    assert live.post("/sdapi/v1/txt2img", body).ok
    hires = live.engine.drawn[-1].hires
    assert hires is not None
    pairs = zip(asked, hires.size(*size), strict=True)
    assert all(wanted in (0, made) for wanted, made in pairs)


def test_colours_are_corrected_where_a_user_or_a_request_says_so(live: Live) -> None:
    name, body = "img2img_color_correction", {"init_images": [encode(picture())], "steps": 1}
    found = []
    both = ((False, {}), (False, {name: True}), (True, {}), (True, {name: False}))
    for option, override in both:
        assert live.post("/sdapi/v1/options", {name: option}).ok
        assert live.get("/sdapi/v1/options").json()[name] == option
        answer = live.post("/sdapi/v1/img2img", body | {"override_settings": override})
        text = json.loads(answer.json()["info"])["infotexts"][0]
        drawn = live.engine.drawn[-1].init_image
        assert drawn is not None
        found.append((drawn.keep_colours, "Color correction: True" in text))
    assert found == [(False, False), (True, True), (True, True), (False, False)]
    assert live.post("/sdapi/v1/options", {name: "maybe"}).status_code == 422


def test_the_first_pass_may_have_a_size_of_its_own(live: Live) -> None:
    """As in AUTOMATIC1111 it counts in place of width and height; ``hr_scale`` multiplies it."""
    body = {"prompt": "x", "steps": 1, "width": 256, "height": 128}
    first = {"firstphase_width": 64, "firstphase_height": 48}
    assert live.post("/sdapi/v1/txt2img", body | first | {"enable_hr": True, "hr_scale": 1.5}).ok
    assert live.post("/sdapi/v1/txt2img", body | first).ok
    with_hires, without = live.engine.drawn
    assert with_hires.hires is not None
    assert (with_hires.width, with_hires.height) == (without.width, without.height) == (64, 48)
    assert with_hires.hires.size(64, 48) == (96, 72)
    answer = live.post("/sdapi/v1/txt2img", body | {"firstphase_width": 64})
    assert answer.status_code == 422
    assert "firstphase_height" in answer.text


def test_an_infotext_fills_what_a_request_leaves_out(live: Live) -> None:
    """The text of a picture draws it again; fields that are there count."""
    body = {
        "prompt": "a cat, (red:1.2)",
        "negative_prompt": "bad",
        "steps": 6,
        "cfg_scale": 4.5,
        "seed": 11,
        "width": 64,
        "height": 48,
        "sampler_name": "Euler a",
        "scheduler": "Karras",
        "subseed": 5,
        "subseed_strength": 0.25,
        "eta": 0.5,
        "enable_hr": True,
        "hr_scale": 2,
        "hr_second_pass_steps": 4,
        "denoising_strength": 0.6,
        "override_settings": {
            "CLIP_stop_at_last_layers": 2,
            "randn_source": "CPU",
            "eta_noise_seed_delta": 31337,
        },
    }
    first = live.post("/sdapi/v1/txt2img", body).json()
    text = json.loads(first["info"])["infotexts"][0]
    digest = wait_until(lambda: live.server.services.models.default.digest)
    text = text.replace("0123456789", digest)
    again = live.post("/sdapi/v1/txt2img", {"infotext": text})
    assert again.status_code == 200, again.text
    live.post("/sdapi/v1/txt2img", {"infotext": text, "seed": 12, "prompt": "a dog"})
    one, two, three = live.engine.drawn
    assert one == two
    assert (three.seed, three.prompt, three.negative) == (12, "a dog", "bad")
    assert one.sampling.noise_seed_delta == 31337


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("x\nSteps: many, Seed: 1, Size: 64x48", "steps"),
        ("x\nSteps: 2, Seed: 1, Size: 64x4x8", ""),
        ("x\nSteps: 2, Seed: 1, Size: 64x48, Clip skip: two", "Clip skip"),
        ("x\nSteps: 2, Seed: 1, Size: 64x48, Model hash: ffffffffff", "there is no model"),
    ],
)
def test_a_wrong_infotext_is_refused(live: Live, text: str, words: str) -> None:
    answer = live.post("/sdapi/v1/txt2img", {"infotext": text})
    if words:
        assert (answer.status_code, words in answer.text) == (422, True), answer.text
    else:
        assert answer.status_code in (200, 422)


@pytest.mark.parametrize(
    "option",
    [
        {"uni_pc_order": 0},
        {"sigma_min": -1},
        {"rho": "x"},
        {"eta_noise_seed_delta": 1.5},
        {"eta_noise_seed_delta": 2**70},
        {"show_progress_every_n_steps": -2},
        {"live_previews_enable": "no"},
    ],
)
def test_wrong_options_are_refused(live: Live, option: dict[str, Any]) -> None:
    assert live.post("/sdapi/v1/options", option).status_code == 422
    assert live.post("/sdapi/v1/options", {"sigma_min": 0.1, "uni_pc_order": 2}).json() is None
    live.post("/sdapi/v1/txt2img", {"prompt": "x", "steps": 1, "sampler_name": "UniPC"})
    (drawn,) = live.engine.drawn
    assert (drawn.sampling.sigma_min, drawn.sampling.order) == (0.1, 2)


def test_routes_without_a_feature_say_so(live: Live) -> None:
    for route, sentence in MISSING.items():
        method, path = route.split()
        answer = live.get(path) if method == "GET" else live.post(path, {})
        assert (answer.status_code, answer.json()["detail"]) == (501, f"{sentence}.")
        assert len(sentence.split("; ")) == 2, "it says what to do instead"
