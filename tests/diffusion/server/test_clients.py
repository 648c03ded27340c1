"""The requests of three programs, replayed in the order and with the fields that they send.

Open WebUI (``routers/images.py``), SillyTavern (``stable-diffusion.js`` and its page) and
the Krita plugin cyanic-sd-krita, each with an engine that draws rectangles, and with the bundled
model.
"""

from __future__ import annotations

import base64
import io
import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from PIL import Image

from diffusion.server.engine.interface import Engine
from diffusion.server.engine.process import ProcessEngine
from diffusion.server.worker.process import WorkerOptions
from gpucore import Device
from tests.diffusion.server.fake_engine import FakeEngine
from tests.diffusion.server.live_server import Live, run_on_thread, wait_until

SIZE = {"width": 64, "height": 64}


@pytest.fixture(
    scope="module", params=["rectangles", pytest.param("bundled", marks=pytest.mark.slow)]
)
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Live]:
    """Return a server whose model's hash is known, as titles have it."""
    engine: Engine = FakeEngine()
    if request.param == "bundled":
        device: Device = request.getfixturevalue("first")
        engine = ProcessEngine("worker", WorkerOptions(device.info.backend.partition("-")[0]))
    with run_on_thread(tmp_path_factory.mktemp("out"), [engine]) as live:
        wait_until(lambda: live.get("/readyz").ok)
        wait_until(lambda: "[" in live.get("/sdapi/v1/options").json()["sd_model_checkpoint"])
        yield live


def opened(text: str) -> Image.Image:
    """Return a picture of an answer as scripts do, which a prefix of a data URL would break."""
    return Image.open(io.BytesIO(base64.b64decode(text.split(",", 1)[0], validate=True)))


def encoded(colour: tuple[int, int, int], mode: str = "RGB") -> str:
    file = io.BytesIO()
    Image.new("RGB", (64, 64), colour).convert(mode).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


def test_open_webui_chooses_a_model_and_draws(server: Live) -> None:
    """It sends all options back, an empty credential, and few fields; it needs ``info``."""
    headers = {"authorization": ""}
    options = server.get("/sdapi/v1/options", headers=headers).json()
    models = server.get("/sdapi/v1/sd-models", headers=headers).json()
    names = [{"id": model["title"], "name": model["model_name"]} for model in models]
    assert options["sd_model_checkpoint"] in [name["id"] for name in names]
    options["sd_model_checkpoint"] = names[0]["id"]
    changed = server.post("/sdapi/v1/options", options, headers=headers)
    assert (changed.status_code, changed.json()) == (200, None)
    data = {
        "prompt": "a red apple",
        "batch_size": 2,
        **SIZE,
        "steps": 2,
        "negative_prompt": "blurry",
        "sampler_name": "Euler a",
        "scheduler": "Automatic",
        "cfg_scale": 5.0,
    }
    answer = server.post("/sdapi/v1/txt2img", data, headers=headers).json()
    assert [opened(each).size for each in answer["images"]] == [(64, 64)] * 2
    assert json.loads(answer["info"])["all_prompts"] == ["a red apple"] * 2


def test_open_webui_with_a_user_signs_in_by_basic(server: Live) -> None:
    """A server without users takes any credential."""
    headers = {"authorization": "Basic " + base64.b64encode(b"me:secret").decode()}
    assert server.get("/sdapi/v1/options", headers=headers).status_code == 200


def test_sillytavern_connects_changes_the_model_and_draws(server: Live) -> None:
    headers = {"authorization": "Basic Og=="}

    def get(path: str) -> Any:
        answer = server.get(f"/sdapi/v1/{path}", headers=headers)
        assert answer.status_code == 200, answer.text
        return answer.json()

    assert "sd_model_checkpoint" in get("options")
    title = get("sd-models")[0]["title"]
    samplers = [each["name"] for each in get("samplers")]
    schedulers = [each["name"] for each in get("schedulers")]
    assert [each["model_name"] for each in get("sd-vae")] == []
    names = [each["name"] for each in get("upscalers")]
    assert names[0] == "None"
    names[1:1] = [each["name"] for each in get("latent-upscale-modes")]
    server.post("/sdapi/v1/options", {"sd_model_checkpoint": title}, headers=headers)
    for _ in range(10):
        state = get("progress")
        if state["progress"] == 0 and state["state"]["job_count"] == 0:
            break
    else:
        pytest.fail("the model never counts as loaded")
    body = {
        "url": "http://localhost:7860",
        "auth": "",
        "prompt": "masterpiece, a cat",
        "negative_prompt": "lowres",
        "sampler_name": samplers[0],
        "scheduler": schedulers[0],
        "steps": 2,
        "cfg_scale": 7,
        **SIZE,
        "restore_faces": False,
        "enable_hr": True,
        "hr_upscaler": names[1],
        "hr_scale": 2,
        "hr_additional_modules": [],
        "denoising_strength": 0.7,
        "hr_second_pass_steps": 2,
        "override_settings": {"CLIP_stop_at_last_layers": 1, "sd_vae": "Automatic"},
        "override_settings_restore_afterwards": True,
        "clip_skip": 1,
        "save_images": True,
        "send_images": True,
        "do_not_save_grid": False,
        "do_not_save_samples": False,
    }
    answer = server.post("/sdapi/v1/txt2img", body, headers=headers)
    assert answer.status_code == 200, answer.text
    (picture,) = answer.json()["images"]
    assert opened(picture).format == "PNG"
    assert get("options")["CLIP_stop_at_last_layers"] == 1


def test_sillytavern_interrupts_where_its_user_leaves(server: Live) -> None:
    body = {"prompt": "hold a cat", "steps": 150, **SIZE}
    done: list[int] = []

    def draw() -> None:
        try:
            requests.post(f"{server.url}/sdapi/v1/txt2img", json=body, timeout=60)
        except requests.RequestException:
            return
        done.append(1)

    thread = threading.Thread(target=draw)
    thread.start()
    wait_until(lambda: server.get("/sdapi/v1/progress").json()["progress"] > 0)
    assert server.post("/sdapi/v1/interrupt").status_code == 200
    thread.join(60)
    assert done == [1]
    assert server.get("/sdapi/v1/progress").json()["state"]["job_count"] == 0


LISTS = {
    "samplers": {"name", "aliases", "options"},
    "upscalers": {"name", "model_name", "model_path", "model_url", "scale"},
    "sd-models": {"title", "model_name", "hash", "sha256", "filename", "config"},
    "face-restorers": set(),
    "prompt-styles": set(),
    "sd-vae": set(),
    "hypernetworks": set(),
}


def test_krita_reads_its_lists_and_paints(server: Live) -> None:
    """It asks for all lists at once, draws, paints over a part, enlarges, and follows progress."""
    assert server.get("/sdapi/v1/options").status_code == 200
    for name, fields in LISTS.items():
        rows = server.get(f"/sdapi/v1/{name}").json()
        assert isinstance(rows, list)
        assert all(set(row) == fields for row in rows)
    assert set(server.get("/sdapi/v1/scripts").json()) == {"txt2img", "img2img"}
    assert set(server.get("/sdapi/v1/embeddings").json()) == {"loaded", "skipped"}
    shared = {
        "prompt": "a house",
        "negative_prompt": "",
        "sampler_name": "DPM++ 2M Karras",
        "steps": 3,
        "cfg_scale": 7.0,
        "seed": 5,
        "batch_size": 1,
        "n_iter": 1,
        **SIZE,
        "restore_faces": False,
        "tiling": False,
        "save_images": False,
        "override_settings": {"sd_vae": "Automatic", "CLIP_stop_at_last_layers": 1},
        "alwayson_scripts": {},
    }
    drawn = server.post("/sdapi/v1/txt2img", {**shared, "enable_hr": False}).json()
    assert json.loads(drawn["info"])["sampler_name"] == "DPM++ 2M"
    painted = server.post(
        "/sdapi/v1/img2img",
        {
            **shared,
            "init_images": ["data:image/png;base64," + drawn["images"][0]],
            "mask": "data:image/png;base64, " + encoded((255, 255, 255), "L"),
            "mask_blur": 2,
            "inpainting_fill": 1,
            "inpaint_full_res": False,
            "inpaint_full_res_padding": 0,
            "inpainting_mask_invert": 0,
            "denoising_strength": 0.6,
            "resize_mode": 0,
            "include_init_images": False,
        },
    )
    assert painted.status_code == 200, painted.text
    picture = painted.json()["images"][0]
    assert painted.json()["parameters"]["init_images"] is None
    enlarged = server.post(
        "/sdapi/v1/extra-single-image",
        {"image": picture, "upscaler_1": "Lanczos", "upscaling_resize": 2, "resize_mode": 0},
    )
    assert opened(enlarged.json()["image"]).size == (128, 128)
    described = server.post("/sdapi/v1/interrogate", {"image": picture, "model": "clip"})
    assert described.status_code == 501
    assert server.get("/sdapi/v1/progress?skip_current_image=true").json()["progress"] == 0
    found = server.post("/sdapi/v1/png-info", {"image": f"data:image/png;base64, {picture}"})
    assert found.json()["parameters"]["Denoising strength"] == "0.6"
