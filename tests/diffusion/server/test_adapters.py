"""LoRAs, learned words and control networks over our own routes."""

from __future__ import annotations

import base64
import io
import json
import shutil
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from diffusion.control import PREPROCESSORS
from tests.diffusion.image_prompts.golden_prompts import write_adapter, write_encoder
from tests.diffusion.server.adapter_files import encode, picture, write_controls, write_word
from tests.diffusion.server.live_server import Live, run_on_thread

PICTURE = picture()
FOLDERS = ("loras", "embeddings", "controls")
CONTROL = {"model": "canny", "image": encode(PICTURE)}


def serve(folder: Path) -> AbstractContextManager[Live]:
    """Return a server with folders of adapters."""
    for name in ("loras", "embeddings"):
        (folder / name).mkdir()
    write_controls(folder / "controls")
    options: dict[str, Any] = {each: folder / each for each in FOLDERS}
    return run_on_thread(folder / "out", **options)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Live]:
    with serve(tmp_path) as live:
        yield live


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    with serve(tmp_path_factory.mktemp("shared")) as live:
        yield live


def test_a_job_is_led_by_all_that_its_controls_say(server: Live) -> None:
    region, mask = picture(20, 10, 1), picture(20, 10, 2)
    given = {
        "preprocessor": "canny",
        "weight": 0.75,
        "start": 0.125,
        "end": 0.5,
        "mode": "control",
        "resize": "fill",
        "resolution": 128,
        "threshold_a": 50,
        "threshold_b": 90.5,
        "layer_weights": [1, 0.5],
        "passes": "base",
        "kind": "canny",
    }
    full = {**given, "model": "pose", "image": encode(PICTURE)}
    full |= {"region": encode(region), "mask": encode(mask)}
    number = server.submit("x", controls=[CONTROL, full])
    server.wait_for(number, "done")
    (settings,) = server.engine.drawn
    first, second = settings.controls
    assert (first.model, first.preprocessor, first.weight, first.mode) == (
        "canny",
        "none",
        1.0,
        "balanced",
    )
    assert first.image is not None
    assert np.array_equal(np.asarray(first.image), np.asarray(PICTURE))
    assert second.model == "deep/pose"
    assert {name: getattr(second, name) for name in given} == {**given, "layer_weights": (1, 0.5)}
    assert second.region is not None
    assert second.mask is not None
    assert second.region.tobytes() == region.tobytes()
    assert second.mask.tobytes() == mask.tobytes()


def test_a_control_without_a_picture_takes_the_init_image(server: Live) -> None:
    init = {"image": encode(PICTURE)}
    answer = server.post(
        "/txt2img", {"prompt": "x", "init_image": init, "controls": [{"model": "canny"}]}
    )
    assert answer.status_code == 200, answer.text
    assert server.engine.drawn[0].controls[0].image is None
    refused = server.post("/txt2img", {"prompt": "x", "controls": [{"model": "canny"}]})
    assert refused.status_code == 422
    assert "give a picture, or an init image" in refused.json()["detail"]


HUGE = encode(Image.new("1", (8192, 4096)))


@pytest.mark.parametrize(
    ("control", "words"),
    [
        ({"model": "cany"}, "did you mean 'canny'?"),
        ({"model": "../controls/canny"}, "no such control network"),
        ({"model": "/etc/passwd"}, "no such control network"),
        ({"model": "/etc/x.safetensors"}, "no such control network"),
        ({"model": "a\u0000b"}, "no such control network"),
        ({"model": ""}, "no such control network"),
        ({"model": "x" * 100_000}, "no such control network"),
        ({"weight": float("nan")}, "finite"),
        ({"weight": 1e9}, "control weight"),
        ({"weight": "1"}, "valid number"),
        ({"image": "no picture"}, "base64"),
        ({"image": base64.b64encode(b"GIF89a" + b"\0" * 50).decode()}, "PNG, JPEG or WebP"),
        ({"image": encode(PICTURE)[:400]}, "damaged"),
        ({"image": "http://example.org/a.png"}, "no URL is fetched"),
        ({"image": HUGE}, "pixels"),
        ({"region": "%%%"}, "base64"),
        ({"preprocessor": "cany"}, "did you mean canny"),
        ({"preprocessor": "openpose"}, "preprocessor"),
        ({"threshold_a": 1}, "none has none; leave it out"),
        ({"preprocessor": "canny", "threshold_a": 1e6}, "control threshold a"),
        ({"start": 0.5, "end": 0.5}, "must be less than the end"),
        ({"resize": "pad"}, "must be one of stretch, crop, fill"),
        ({"mode": "loud"}, "control mode"),
        ({"passes": "third"}, "control passes"),
        ({"kind": "sound"}, "control kind"),
        ({"resolution": 10**9}, "control resolution"),
        ({"layer_weights": [1.0] * 101}, "at most 100"),
        ({"path": "x"}, "Extra inputs"),
    ],
)
def test_a_wrong_control_is_refused(shared: Live, control: dict[str, Any], words: str) -> None:
    body = json.dumps({"prompt": "x", "controls": [{**CONTROL, **control}]})
    headers = {"content-type": "application/json"}
    answer = shared.post("/api/v1/jobs", None, data=body, headers=headers)
    assert (answer.status_code, words in answer.text) == (422, True), answer.text[:500]
    assert str(shared.server.services.settings.controls) not in answer.text
    assert shared.engine.drawn == []


def test_many_controls_and_many_pixels_are_refused(server: Live) -> None:
    answer = server.post("/api/v1/jobs", {"prompt": "x", "controls": [CONTROL] * 40})
    assert (answer.status_code, "at most 10 items" in answer.text) == (422, True)
    large = encode(Image.new("L", (4000, 4000)))
    one = {"model": "canny", "image": large, "mask": large, "region": large}
    answer = server.post("/api/v1/jobs", {"prompt": "x", "controls": [one]})
    assert (answer.status_code, "pixels in all" in answer.text) == (422, True)


def test_lists_tell_names_and_never_places(server: Live, tmp_path: Path) -> None:
    shown = server.get("/api/v1/control-models")
    names = [each["name"] for each in shown.json()["control_models"]]
    assert names == ["canny", "deep/pose"]
    title = shown.json()["control_models"][0]["title"]
    assert title.startswith("canny [")
    assert server.post("/txt2img", {"prompt": "x", "controls": [{**CONTROL, "model": title}]}).ok
    write_word(tmp_path / "embeddings", "good", 32, 3)
    write_word(tmp_path / "embeddings", "alien", 7)
    (tmp_path / "embeddings" / "broken.safetensors").write_bytes(b"no header")
    (tmp_path / "embeddings" / "old.pt").write_bytes(b"pickle")
    assert server.get("/api/v1/embeddings").json() == {"embeddings": []}
    assert server.post("/api/v1/adapters/refresh").json() == {}
    assert server.engine.looks == 1
    words = {each["name"]: each for each in server.get("/api/v1/embeddings").json()["embeddings"]}
    assert set(words) == {"good", "alien", "broken", "old"}
    assert (words["alien"]["vectors"], words["alien"]["width"]) == (2, 7)
    assert not any(each["fits"] for each in words.values()), "the bundled model is 256 wide"
    assert "does not fit this model" in words["alien"]["problem"]
    for path in ("embeddings", "control-models", "loras", "preprocessors"):
        assert str(tmp_path) not in server.get(f"/api/v1/{path}").text


def test_networks_tell_of_what_kind_they_are(server: Live, tmp_path: Path) -> None:
    folder = tmp_path / "controls"
    write_adapter(folder / "ip.safetensors", "base", "sd2")
    write_adapter(folder / "plus.safetensors", "plus", "sd2")
    write_encoder(folder / "eyes")
    shutil.copy(folder / "eyes" / "model.safetensors", folder / "sight.safetensors")
    (folder / "broken.safetensors").write_bytes(b"no header")
    assert server.post("/api/v1/adapters/refresh").ok
    rows = server.get("/api/v1/control-models").json()["control_models"]
    kinds = {each["name"]: each["kind"] for each in rows}
    assert kinds == {
        "broken": None,
        "canny": "control",
        "deep/pose": "control",
        "eyes": "image-encoder",
        "ip": "ip-adapter",
        "plus": "ip-adapter",
        "sight": "image-encoder",
    }


def test_a_folder_that_is_gone_is_told_without_its_place(server: Live, tmp_path: Path) -> None:
    shutil.rmtree(tmp_path / "controls")
    for path in ("/api/v1/control-models", "/controlnet/model_list?update=true"):
        answer = server.get(path)
        assert (answer.status_code, "cannot be read now" in answer.text) == (503, True)
        assert str(tmp_path) not in answer.text
    answer = server.post("/api/v1/jobs", {"prompt": "x", "controls": [{**CONTROL, "model": "y"}]})
    assert (answer.status_code, str(tmp_path) in answer.text) == (503, False)


def test_preprocessors_are_listed_with_their_numbers(server: Live) -> None:
    rows = {
        each["name"]: each for each in server.get("/api/v1/preprocessors").json()["preprocessors"]
    }
    assert list(rows) == list(PREPROCESSORS.names)
    canny = rows["canny"]
    assert (canny["a"]["default"], canny["b"]["default"], canny["needs_mask"]) == (100, 200, False)
    assert rows["none"]["a"] is None
    choices = server.get("/api/v1/choices").json()
    assert [each["name"] for each in choices["control_resize"]] == ["stretch", "crop", "fill"]
    assert choices["limits"]["controls"] == 10


def test_a_map_is_made_by_a_worker(server: Live) -> None:
    body = {"image": encode(PICTURE), "preprocessor": "canny", "resolution": 64, "threshold_a": 9}
    answer = server.post("/api/v1/preprocess", body).json()
    assert (answer["width"], answer["height"]) == PICTURE.size
    made = Image.open(io.BytesIO(base64.b64decode(answer["image"])))
    assert np.array_equal(np.asarray(made), np.asarray(PICTURE)[::-1])
    (task,) = server.engine.maps
    assert (task.size, task.control.resolution, task.control.threshold_a) == (None, 64, 9)
    for change in ({"preprocessor": "invert"}, {"preprocessor": "cany"}, {"image": "x"}):
        assert server.post("/api/v1/preprocess", {**body, **change}).status_code == 422


def test_the_text_of_a_picture_gives_its_controls_back(server: Live) -> None:
    """They lack their pictures; a network that is not here is a note."""
    text = (
        "x\nSteps: 2, Sampler: Euler, CFG scale: 7, Seed: 1, Size: 64x64, "
        'ControlNet 0: "Module: canny, Model: canny [00000000], Weight: 0.5, Threshold A: 50, '
        'Control Mode: ControlNet is more important", '
        'ControlNet 1: "Module: none, Model: gone [00000000], Weight: 1"'
    )
    found = server.post("/api/v1/gallery/read", {"text": text}).json()
    (control,) = found["settings"]["controls"]
    assert control == {
        "model": "canny",
        "preprocessor": "canny",
        "weight": 0.5,
        "mode": "control",
        "threshold_a": 50.0,
    }
    assert any("'gone" in each and "not on this server" in each for each in found["notes"])
    assert any("give them again" in each for each in found["notes"])
    led = {**found["settings"], "controls": [{**control, "image": CONTROL["image"]}]}
    assert server.post("/txt2img", led).status_code == 200
