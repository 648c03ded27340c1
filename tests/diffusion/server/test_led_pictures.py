"""Control networks and learned words through a worker's process, with the golden model sd2."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests
import webuiapi
from PIL import Image

from diffusion import Pipeline, Settings
from diffusion.control import Control, ControlFolder
from diffusion.control.hints import make_map
from diffusion.server.engine.process import ProcessEngine
from diffusion.server.worker.process import WorkerOptions
from diffusion.text.inversions import InversionFolder
from gpucore import Device
from tests.diffusion.control.golden_lites import write_lite
from tests.diffusion.control.golden_xs import write_xs
from tests.diffusion.golden_families import model_folder, networks
from tests.diffusion.server.adapter_files import encode, picture, write_controls, write_word
from tests.diffusion.server.live_server import Live, run_on_thread, wait_until

COMPILING = 300.0
"""Seconds that a picture may take where nothing is compiled and the machine is busy."""
PICTURE = picture(32, 32)
BODY: dict[str, Any] = {
    "prompt": "a good apple",
    "width": 32,
    "height": 32,
    "steps": 2,
    "guidance": 3.0,
    "seed": 5,
}
CONTROL = {"model": "canny", "image": encode(PICTURE), "preprocessor": "invert"}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("adapters")


@pytest.fixture(scope="module")
def server(place: Path, first: Device) -> Iterator[Live]:
    """Return a server whose worker draws with a tiny model of random numbers."""
    model = model_folder("sd2")
    write_controls(place / "controls")
    write_lite(place / "controls", "lite_sd2")
    write_xs(place / "controls" / "xs_sd2", "xs_sd2")
    write_word(place / "embeddings", "good", networks(first, "sd2").folder.unet.cross_attention_dim)
    write_word(place / "embeddings", "alien", 7)
    folders: dict[str, Any] = {name: place / name for name in ("controls", "embeddings")}
    engine = ProcessEngine("worker", WorkerOptions(first.info.backend, "f32", **folders))
    options = {"models": model.parent, "model": model.name, **folders}
    with run_on_thread(place / "out", [engine], **options) as live:
        wait_until(lambda: live.get("/readyz").ok, COMPILING)
        yield live


@pytest.fixture
def pipeline(first: Device, place: Path) -> Iterator[Pipeline]:
    """Return the same model in this process."""
    found = Pipeline(
        networks(first, "sd2"),
        embeddings=InversionFolder(place / "embeddings"),
        controls=ControlFolder(place / "controls"),
    )
    yield found
    found.release()


def opened(text: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(text)))


def ask(server: Live, **changes: Any) -> requests.Response:
    """Ask for a picture; the first ones wait until their kernels are compiled."""
    body = {**BODY, **changes}
    return requests.post(f"{server.url}/txt2img", json=body, timeout=COMPILING)


def draw(server: Live, **changes: Any) -> Image.Image:
    answer = ask(server, **changes)
    assert answer.status_code == 200, answer.text
    return Image.open(io.BytesIO(answer.content))


def test_a_led_picture_has_the_bits_of_python(server: Live, pipeline: Pipeline) -> None:
    made = draw(server, controls=[CONTROL])
    control = Control("canny", PICTURE, "invert")
    settings = Settings(**BODY, controls=(control,))
    expected = pipeline.draw(settings)[0]
    assert made.tobytes() == expected.tobytes()
    assert made.tobytes() != draw(server).tobytes()
    text = made.info["parameters"]
    assert text.replace("Compute dtype: f32, ", "") == expected.infotext
    assert 'ControlNet 0: "Module: invert, Model: canny [' in text
    assert 'TI hashes: "good: ' in text


@pytest.mark.parametrize("name", ["lite_sd2", "xs_sd2"])
def test_units_name_networks_of_every_kind(name: str, server: Live, pipeline: Pipeline) -> None:
    """A unit of the WebUI's extension names a ControlNet-LLLite or ControlNet-XS as any other."""
    unit = {"model": name, "image": encode(PICTURE), "weight": 0.7, "control_mode": 2}
    body = {"prompt": "x", "width": 32, "height": 32, "steps": 2, "cfg_scale": 3.0, "seed": 5}
    body["alwayson_scripts"] = {"controlnet": {"args": [unit]}}
    answer = requests.post(f"{server.url}/sdapi/v1/txt2img", json=body, timeout=COMPILING)
    assert answer.status_code == 200, answer.text[:500]
    made = opened(answer.json()["images"][0])
    assert f"Model: {name} [" in made.info["parameters"]
    control = Control(name, PICTURE, weight=0.7, mode="control")
    settings = Settings("x", width=32, height=32, steps=2, guidance=3.0, seed=5)
    found = pipeline.draw(replace(settings, sampler="euler", controls=(control,)))[0]
    plain = pipeline.draw(replace(settings, sampler="euler"))[0]
    assert found.tobytes() != plain.tobytes()
    assert made.tobytes() == found.tobytes()


def test_a_word_counts_in_prompts(server: Live) -> None:
    plain = draw(server, prompt="a goop apple")
    assert "TI hashes" not in plain.info["parameters"]
    assert draw(server).tobytes() != plain.tobytes()
    refused = ask(server, prompt="alien")
    assert (refused.status_code, "does not fit this model" in refused.text) == (422, True)
    assert str(server.server.services.settings.embeddings) not in refused.text
    listed = {e["name"]: e for e in server.get("/api/v1/embeddings").json()["embeddings"]}
    assert (listed["good"]["fits"], listed["alien"]["fits"]) == (True, False)


def test_webuiapi_leads_a_picture(server: Live, pipeline: Pipeline, first: Device) -> None:
    """The picture, its text and the map behind it are those of Python."""
    client = webuiapi.WebUIApi(port=server.port)
    (canny, *_) = client.controlnet_model_list()
    unit = webuiapi.ControlNetUnit(image=PICTURE, module="canny", model=canny, processor_res=64)
    result = client.txt2img(
        prompt="a good apple",
        seed=5,
        steps=2,
        width=32,
        height=32,
        cfg_scale=3.0,
        sampler_name="Euler",
        controlnet_units=[unit],
        alwayson_scripts={},
    )
    control = Control("canny", PICTURE, "canny", resize="fill", resolution=64)
    control = replace(control, threshold_a=64.0, threshold_b=64.0)
    settings = Settings(**{**BODY, "sampler": "Euler", "guidance": 3.0}, controls=(control,))
    expected = pipeline.draw(settings)[0]
    drawn, led_by = result.images
    assert drawn.tobytes() == expected.tobytes()
    assert np.array_equal(
        np.asarray(led_by), np.asarray(make_map(first, control, PICTURE, (32, 32)))
    )
    led = result.info["extra_generation_params"]["ControlNet 0"]
    assert led.startswith("Module: canny, Model: canny [")
    assert "Threshold A: 64" in led
    assert result.info["extra_generation_params"]["TI hashes"].startswith("good: ")
    (found,) = client.controlnet_detect([PICTURE], "canny", 64, 64, 64).images
    assert np.array_equal(np.asarray(found), np.asarray(make_map(first, control, PICTURE, None)))


def test_webuiapi_sees_the_words(server: Live) -> None:
    client = webuiapi.WebUIApi(port=server.port)
    found = client.get_embeddings()
    assert set(found["loaded"]) >= {"good"}
    assert set(found["skipped"]) == {"alien"}
    shown = found["loaded"]["good"]
    assert (shown["vectors"], shown["shape"]) == (2, server_width(server))
    assert set(shown) == {"step", "sd_checkpoint", "sd_checkpoint_name", "shape", "vectors"}
    client.set_options({"sd_model_checkpoint": "emoji"})
    assert client.get_embeddings()["loaded"] == {}
    client.set_options({"sd_model_checkpoint": server.server.services.models.default.name})


def test_a_newer_word_counts_once_files_are_looked_for(server: Live, place: Path) -> None:
    prompt = "a newer apple"
    before = draw(server, prompt=prompt)
    write_word(place / "embeddings", "newer", server_width(server))
    assert server.post("/sdapi/v1/refresh-embeddings").status_code == 200
    assert draw(server, prompt=prompt).tobytes() != before.tobytes()


def server_width(server: Live) -> int:
    listed = {e["name"]: e for e in server.get("/api/v1/embeddings").json()["embeddings"]}
    width: int = listed["good"]["width"]
    return width


def test_a_map_is_that_of_a_preprocessor(server: Live, first: Device) -> None:
    body = {"image": encode(PICTURE), "preprocessor": "canny", "resolution": 64}
    answer = server.post("/api/v1/preprocess", body)
    assert answer.status_code == 200, answer.text
    control = Control("x", PICTURE, "canny", resolution=64)
    expected = make_map(first, control, PICTURE, None)
    assert expected.size == (64, 64)
    assert np.array_equal(np.asarray(opened(answer.json()["image"])), np.asarray(expected))


def test_a_network_of_another_family_is_refused_without_its_place(server: Live) -> None:
    answer = ask(server, model="emoji", controls=[CONTROL])
    assert answer.status_code == 422, answer.text
    assert "made for" in answer.text
    assert str(server.server.services.settings.controls) not in answer.text
