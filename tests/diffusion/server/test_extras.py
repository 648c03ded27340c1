"""Enlarging of finished pictures, styles, LoRAs, and the routes of the WebUI's own page."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import webuiapi
from PIL import Image

from diffusion.checkpoints.safetensors import save_safetensors
from diffusion.infotext.files import png_info
from diffusion.server.adapters import UpscalerTable
from diffusion.server.adapters.loras import LoraTable
from diffusion.server.errors import ConfigurationError
from diffusion.server.styles import StyleTable
from tests.diffusion.server.live_server import Live, run_on_thread, wait_until


def picture(size: tuple[int, int] = (24, 16), text: str | None = None) -> str:
    """Return a picture of random pixels as base64."""
    pixels = np.random.default_rng(3).integers(0, 255, (size[1], size[0], 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG", pnginfo=png_info(text) if text else None)
    return base64.b64encode(file.getvalue()).decode()


def opened(text: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(text)))


def enlarge(live: Live, **fields: Any) -> Image.Image:
    answer = live.post("/sdapi/v1/extra-single-image", {"image": picture(), **fields})
    assert answer.status_code == 200, answer.text
    return opened(answer.json()["image"])


def test_pixels_are_those_of_the_filter(live: Live) -> None:
    given = opened(picture())
    nearest = enlarge(live, upscaler_1="Nearest", upscaling_resize=3)
    assert (np.asarray(nearest) == np.asarray(given).repeat(3, 0).repeat(3, 1)).all()
    lanczos = enlarge(live, upscaler_1="Lanczos")
    expected = given.resize((48, 32), Image.Resampling.LANCZOS)
    assert (np.asarray(lanczos) == np.asarray(expected)).all()
    mixed = enlarge(
        live, upscaler_1="Lanczos", upscaler_2="Nearest", extras_upscaler_2_visibility=0.25
    )
    other = np.asarray(given.resize((48, 32), Image.Resampling.NEAREST), float)
    both = np.asarray(expected, float) * 0.75 + other * 0.25
    assert np.abs(np.asarray(mixed, float) - both).max() <= 1
    assert (np.asarray(enlarge(live)) == np.asarray(given)).all(), "None leaves it as it is"


@pytest.mark.parametrize(
    ("fields", "size"),
    [
        ({"upscaling_resize": 1.5}, (36, 24)),
        ({"resize_mode": 1, "upscaling_resize_w": 64, "upscaling_resize_h": 64}, (64, 64)),
        (
            {
                "resize_mode": 1,
                "upscaling_resize_w": 30,
                "upscaling_resize_h": 50,
                "upscaling_crop": False,
            },
            (30, 50),
        ),
        ({"upscaling_resize": 0.01}, (1, 1)),
    ],
)
def test_sizes_are_those_asked_for(
    live: Live, fields: dict[str, Any], size: tuple[int, int]
) -> None:
    assert enlarge(live, upscaler_1="Lanczos", **fields).size == size


def test_webuiapi_enlarges_pictures_with_their_settings(live: Live) -> None:
    client = webuiapi.WebUIApi(port=live.port)
    drawn = client.txt2img(prompt="an apple", width=64, height=48, steps=2, seed=1).image
    one = client.extra_single_image(drawn, upscaler_1="Lanczos", upscaling_resize=2)
    assert one.image.size == (128, 96)
    kept = one.image.info["parameters"]
    assert kept.startswith(drawn.info["parameters"])
    assert kept.endswith("Postprocess upscale by: 2, Postprocess upscaler: Lanczos")
    assert client.png_info(one.image).parameters["Postprocess upscaler"] == "Lanczos"
    many = client.extra_batch_images([drawn, drawn], upscaler_1="Nearest", upscaling_resize=2)
    assert [image.size for image in many.images] == [(128, 96)] * 2


@pytest.mark.parametrize(
    ("fields", "status", "words"),
    [
        ({"upscaler_1": "R-ESRGAN 4x+"}, 422, "give one of lanczos, nearest"),
        ({"upscaler_1": "Latent"}, 422, "upscaler"),
        ({"gfpgan_visibility": 0.5}, 501, "does not restore faces"),
        ({"image": ""}, 422, "image"),
        ({"image": "http://127.0.0.1/x.png"}, 422, "no URL is fetched"),
        ({"upscaler_1": "Lanczos", "upscaling_resize": 17}, 422, "less than or equal to 16"),
        ({"upscaler_1": "Lanczos", "upscaling_resize": 16, "image": "WIDE"}, 422, "is over"),
    ],
)
def test_what_cannot_be_enlarged_is_said(
    live: Live, fields: dict[str, Any], status: int, words: str
) -> None:
    body = {"image": picture(), **fields}
    body["image"] = picture((2000, 8)) if body["image"] == "WIDE" else body["image"]
    answer = live.post("/sdapi/v1/extra-single-image", body)
    assert (answer.status_code, words in answer.text) == (status, True), answer.text


def test_styles_are_put_around_and_after_prompts(live: Live, tmp_path: Path) -> None:
    file = tmp_path / "styles.csv"
    file.write_text(
        '\ufeffname,prompt,negative_prompt\nbig,"huge, wide",small\n'
        'photo,"a photo of {prompt}, 35 mm",\n',
        encoding="utf-8",
    )
    live.server.services.styles._file = file
    listed = live.get("/sdapi/v1/prompt-styles").json()
    assert listed[0] == {"name": "big", "prompt": "huge, wide", "negative_prompt": "small"}
    body = {"prompt": "a cat", "negative_prompt": "bad", "steps": 1, "styles": ["big", "photo"]}
    answer = live.post("/sdapi/v1/txt2img", body).json()
    (drawn,) = live.engine.drawn
    assert drawn.prompt == "a photo of a cat, huge, wide, 35 mm"
    assert drawn.negative == "bad, small"
    info = json.loads(answer["info"])
    assert info["styles"] == ["big", "photo"]
    assert info["prompt"] == drawn.prompt
    wrong = live.post("/sdapi/v1/txt2img", body | {"styles": ["bigg"]})
    assert wrong.status_code == 422
    assert "did you mean 'big'?" in wrong.json()["detail"]


@pytest.mark.parametrize("content", [b"\xff\xfe", b"a,b\n1,2\n"])
def test_a_wrong_file_of_styles_is_refused_at_the_start(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "styles.csv"
    file.write_bytes(content)
    with pytest.raises(ConfigurationError, match="styles"):
        StyleTable(file)
    with pytest.raises(ConfigurationError, match="cannot be read"):
        StyleTable(tmp_path / "none.csv")


def test_loras_are_listed_and_found_again(tmp_path: Path) -> None:
    folder = tmp_path / "loras"
    (folder / "deep").mkdir(parents=True)

    def write(name: str, **notes: str) -> None:
        tensors = {"x": np.zeros(1, np.float32)}
        save_safetensors(folder / f"{name}.safetensors", tensors, notes)

    write("one", ss_output_name="first", long="x" * 9000)
    with run_on_thread(tmp_path / "out", loras=folder) as live:
        (row,) = live.get("/sdapi/v1/loras").json()
        assert (row["name"], row["alias"], row["path"]) == ("one", "first", "one")
        assert row["metadata"] == {"ss_output_name": "first"}
        write("deep/two")
        assert len(live.get("/sdapi/v1/loras").json()) == 1
        assert live.post("/sdapi/v1/refresh-loras").json() is None
        assert [each["name"] for each in live.get("/sdapi/v1/loras").json()] == ["deep/two", "one"]
        assert str(folder) not in live.get("/sdapi/v1/loras").text
        body = {"prompt": "a <lora:one:1> cat", "steps": 1, "disable_extra_networks": True}
        live.post("/sdapi/v1/txt2img", body)
        assert live.engine.drawn[0].prompt == "a  cat"
    with pytest.raises(ConfigurationError, match="must be a folder"):
        LoraTable(tmp_path / "none")


def test_the_routes_of_the_page_answer_as_there(live: Live) -> None:
    assert live.get("/internal/ping").json() == {}
    assert live.get("/internal/pending-tasks").json() == {"size": 0, "tasks": []}
    idle = live.post("/internal/progress", {"id_task": "task(none)", "id_live_preview": -1}).json()
    assert (idle["active"], idle["queued"], idle["completed"]) == (False, False, False)
    running, waiting = live.submit("hold on", steps=9), live.submit("next")
    wait_until(lambda: live.job(running)["step"] == 1)
    assert live.get("/internal/pending-tasks").json() == {"size": 1, "tasks": [waiting]}
    ask = {"id_task": waiting}
    assert live.post("/internal/progress", ask).json()["queued"] is True
    live.engine.released.set()
    live.wait_for(waiting, "done")
    ended = live.post("/internal/progress", ask).json()
    assert (ended["active"], ended["queued"], ended["completed"]) == (False, False, True)
    for path in ("sysinfo", "sysinfo-download"):
        facts = json.loads(live.get(f"/internal/{path}").text)
        assert {"Platform", "Python", "Version", "Packages", "RAM"} <= facts.keys()
        assert str(live.server.services.outputs.folder) not in json.dumps(facts)
    names = {each["name"] for each in live.get("/internal/quicksettings-hint").json()}
    assert names <= live.get("/sdapi/v1/options").json().keys()


def test_a_task_shows_each_preview_once(live: Live) -> None:
    live.engine.step_seconds = 0.03
    number = live.submit("a cat", steps=1000)
    ask: dict[str, Any] = {"id_task": number, "id_live_preview": -1}
    shown = wait_until(
        lambda: p if (p := live.post("/internal/progress", ask).json())["live_preview"] else None
    )
    assert base64.b64decode(shown["live_preview"].partition("base64,")[2]).startswith(b"\xff\xd8")
    none = {**ask, "live_preview": False}
    assert live.post("/internal/progress", none).json()["live_preview"] is None
    live.delete(f"/api/v1/jobs/{number}")
    live.wait_for(number, "cancelled")


def test_a_model_is_loaded_by_its_name_in_the_options(live: Live) -> None:
    assert live.post("/sdapi/v1/reload-checkpoint").json() is None
    wait_until(lambda: live.engine.models == [live.server.services.models.default.path])


def test_networks_enlarge_pictures(tmp_path: Path) -> None:
    folder = tmp_path / "upscalers"
    folder.mkdir()
    for name in ("4x-Sharp", "broken"):
        save_safetensors(folder / f"{name}.safetensors", {"x": np.zeros(1, np.float32)}, {})
    with run_on_thread(tmp_path / "out", upscalers=folder) as live:
        names = [each["name"] for each in live.get("/sdapi/v1/upscalers").json()]
        assert names[-2:] == ["4x-Sharp", "broken"]
        assert str(folder) not in live.get("/sdapi/v1/upscalers").text
        choices = live.get("/api/v1/choices").json()
        assert "4x-Sharp" in [each["name"] for each in choices["upscaler"]]
        larger = enlarge(live, upscaler_1="4x-Sharp", upscaling_resize=3)
        assert (larger.size, larger.getpixel((5, 5))) == ((72, 48), (0, 200, 0))
        assert "Postprocess upscaler: 4x-Sharp" in larger.info["parameters"]
        mixed = enlarge(
            live, upscaler_1="4x-Sharp", upscaler_2="Nearest", extras_upscaler_2_visibility=1
        )
        nearest = enlarge(live, upscaler_1="Nearest")
        assert (np.asarray(mixed) == np.asarray(nearest)).all()
        cut = enlarge(
            live,
            upscaler_1="4x-Sharp",
            resize_mode=1,
            upscaling_resize_w=64,
            upscaling_resize_h=64,
        )
        assert cut.size == (64, 64)
        body = {"image": picture(), "upscaler_1": "broken"}
        refused = live.post("/sdapi/v1/extra-single-image", body)
        assert (refused.status_code, "mistake of yours" in refused.text) == (422, True)
        wrong = live.post("/sdapi/v1/extra-single-image", body | {"upscaler_1": "4x-Shrap"})
        assert "did you mean 4x-Sharp" in wrong.text
        hires = {"prompt": "a", "enable_hr": True, "denoising_strength": 0.3, "steps": 1}
        drawn = live.post("/sdapi/v1/txt2img", hires | {"hr_upscaler": "4x-sharp"})
        assert drawn.status_code == 200, drawn.text
        assert live.engine.drawn[-1].hires.upscaler == "4x-sharp"  # type: ignore[union-attr]
        assert live.post("/sdapi/v1/txt2img", hires | {"hr_upscaler": "x4"}).status_code == 422
    with pytest.raises(ConfigurationError, match="must be a folder"):
        UpscalerTable(tmp_path / "none")


def test_alpha_stays(live: Live) -> None:
    given = opened(picture()).convert("RGBA")
    given.putalpha(Image.fromarray(np.arange(384, dtype=np.uint8).reshape(16, 24)))
    file = io.BytesIO()
    given.save(file, "PNG")
    image = base64.b64encode(file.getvalue()).decode()
    larger = enlarge(live, image=image, upscaler_1="Nearest")
    colours = np.asarray(given.convert("RGB")).repeat(2, 0).repeat(2, 1)
    assert (np.asarray(larger)[..., :3] == colours).all()
    alpha = given.getchannel("A").resize((48, 32), Image.Resampling.LANCZOS)
    assert (np.asarray(larger)[..., 3] == np.asarray(alpha)).all()
