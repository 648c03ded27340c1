"""The interface of sd-webui-controlnet: units in all spellings, and the routes of the extension."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import webuiapi
from PIL import Image

from diffusion.control import PREPROCESSORS, Control
from tests.diffusion.server.adapter_files import encode, picture, write_controls
from tests.diffusion.server.live_server import Live, run_on_thread

PICTURE = picture()
LINES = Image.fromarray(np.tile(np.repeat(np.array([0, 255], np.uint8), 32), (48, 1)))
SIZE = {"width": 64, "height": 48, "steps": 1}
UNIT = {"model": "canny", "image": encode(PICTURE)}


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    place = tmp_path_factory.mktemp("controlnet")
    with run_on_thread(place / "out", controls=write_controls(place / "controls")) as live:
        yield live


@pytest.fixture
def client(live: Live) -> Any:
    return webuiapi.WebUIApi(port=live.port, steps=1)


def draw(live: Live, *units: Any, name: str = "controlnet", path: str = "txt2img") -> Any:
    body = {"prompt": "x", **SIZE, "alwayson_scripts": {name: {"args": list(units)}}}
    if path == "img2img":
        body["init_images"] = [encode(picture(seed=9))]
    return live.post(f"/sdapi/v1/{path}", body)


def drawn(live: Live, *units: Any, **options: str) -> list[Control]:
    """Return the controls of a request that must be drawn."""
    answer = draw(live, *units, **options)
    assert answer.status_code == 200, answer.text[:500]
    return list(live.engine.drawn[-1].controls)


def opened(text: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(text, validate=True)))


def test_webuiapi_leads_pictures_by_units(client: Any, live: Live) -> None:
    """Its defaults count: 64 is no threshold of invert, and it fills in place of cropping."""
    first = webuiapi.ControlNetUnit(image=PICTURE, module="canny", model="canny [e3b0c442]")
    second = webuiapi.ControlNetUnit(
        image=PICTURE,
        module="none",
        model="deep/pose",
        weight=0.5,
        resize_mode="Crop and Resize",
        guidance_start=0.25,
        guidance_end=0.75,
        control_mode=2,
        pixel_perfect=True,
        hr_option="Low res only",
    )
    off = webuiapi.ControlNetUnit(module="openpose", model="gone", enabled=False)
    result = client.txt2img(
        prompt="x", width=64, height=48, controlnet_units=[first, second, off], alwayson_scripts={}
    )
    # Without the last argument, webuiapi would put the units into its default for later calls.
    one, two = live.engine.drawn[-1].controls
    assert (one.model, one.preprocessor, one.resolution, one.resize) == (
        "canny",
        "canny",
        512,
        "fill",
    )
    assert (one.threshold_a, one.threshold_b, one.mode) == (64, 64, "balanced")
    assert (two.model, two.weight, two.start, two.end) == ("deep/pose", 0.5, 0.25, 0.75)
    assert (two.mode, two.resize, two.resolution, two.passes) == ("control", "crop", None, "base")
    assert len(result.images) == 3, "a picture and the map of each unit"
    assert len(result.info["infotexts"]) == 1
    upside_down = np.asarray(PICTURE)[::-1]
    assert np.array_equal(np.asarray(result.images[1]), upside_down)


def test_webuiapi_asks_the_extension(client: Any) -> None:
    assert client.controlnet_version() == 3
    titles = client.controlnet_model_list()
    assert [title.partition(" [")[0] for title in titles] == ["canny", "deep/pose"]
    assert client.controlnet_module_list() == [*PREPROCESSORS.names, "ip-adapter-auto"]
    found = client.controlnet_detect([PICTURE, PICTURE], module="canny", threshold_a=100)
    assert len(found.images) == 2
    assert np.array_equal(np.asarray(found.images[1]), np.asarray(PICTURE)[::-1])


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"resize_mode": 0}, {"resize": "stretch"}),
        ({"resize_mode": "Resize and Fill"}, {"resize": "fill"}),
        ({"resize_mode": "Envelope (Outer Fit)"}, {"resize": "fill"}),
        ({"resize_mode": "Scale to Fit (Inner Fit)"}, {"resize": "crop"}),
        ({}, {"resize": "crop", "mode": "balanced", "passes": "both", "weight": 1.0}),
        ({"control_mode": "My prompt is more important"}, {"mode": "prompt"}),
        ({"control_mode": "1"}, None),
        ({"control_mode": 1}, {"mode": "prompt"}),
        ({"guessmode": True}, {"mode": "control"}),
        ({"guessmode": None}, {"mode": "balanced"}),
        ({"hr_option": "High res only"}, {"passes": "hires"}),
        ({"hr_option": 1}, {"passes": "base"}),
        ({"guidance": 0.5}, {"end": 0.5}),
        ({"module": None, "processor_res": 512, "threshold_a": 64}, {"preprocessor": "none"}),
        ({"module": "canny"}, {"resolution": 512, "threshold_a": None, "threshold_b": None}),
        ({"module": "Canny", "processor_res": 768}, {"preprocessor": "canny", "resolution": 768}),
        ({"module": "canny", "pixel_perfect": True, "processor_res": 768}, {"resolution": None}),
        ({"module": "canny", "threshold_a": 7, "threshold_b": 9}, {"threshold_a": 7.0}),
        ({"module": "tile_resample", "threshold_a": 64}, {"threshold_a": None}),
        ({"weight": "0.5", "low_vram": True, "no_such": 1}, {"weight": 0.5}),
        ({"union_control_type": "Canny"}, {"kind": "canny"}),
        ({"union_control_type": "hed/pidi/scribble/ted"}, {"kind": "softedge"}),
        ({"union_control_type": "Unknown"}, {"kind": None}),
        ({"advanced_weighting": [1, 0.5]}, {"layer_weights": (1.0, 0.5)}),
        ({"advanced_weighting": None}, {"layer_weights": ()}),
    ],
)
def test_each_spelling_of_a_field(
    live: Live, fields: dict[str, Any], expected: dict[str, Any] | None
) -> None:
    answer = draw(live, {**UNIT, **fields}, name="ControlNet")
    if expected is None:
        assert answer.status_code == 422
        return
    assert answer.status_code == 200, answer.text[:500]
    (control,) = live.engine.drawn[-1].controls
    assert {name: getattr(control, name) for name in expected} == expected


@pytest.mark.parametrize(
    "fields",
    [
        {"image": encode(PICTURE)},
        {"image": "data:image/png;base64," + encode(PICTURE)},
        {"image": {"image": encode(PICTURE)}},
        {"image": {"image": encode(PICTURE), "mask": None}},
        {"image": [encode(PICTURE)]},
        {"input_image": encode(PICTURE)},
    ],
)
def test_each_form_of_a_picture(live: Live, fields: dict[str, Any]) -> None:
    (control,) = drawn(live, {"model": "canny", **fields})
    assert control.image is not None
    assert np.array_equal(np.asarray(control.image), np.asarray(PICTURE))


@pytest.mark.parametrize(
    "fields",
    [
        {"image": {"image": encode(PICTURE), "mask": encode(LINES)}},
        {"image": [encode(PICTURE), encode(LINES)]},
        {"image": encode(PICTURE), "mask": encode(LINES)},
        {"image": encode(PICTURE), "mask_image": encode(LINES)},
    ],
)
def test_a_mask_is_the_part_to_draw_anew_or_lines(live: Live, fields: dict[str, Any]) -> None:
    """For other modules than those of inpainting, the extension reads a mask as the drawing."""
    (control,) = drawn(live, {"model": "canny", "module": "inpaint_only", **fields})
    assert control.mask is not None
    assert control.image is not None
    assert np.array_equal(np.asarray(control.mask.convert("L")), np.asarray(LINES))
    (control,) = drawn(live, {"model": "canny", "module": "canny", **fields})
    assert control.image is not None
    assert (control.mask, control.preprocessor) == (None, "none")
    assert np.array_equal(np.asarray(control.image.convert("L")), np.asarray(LINES))


def test_a_plain_mask_and_a_region(live: Live) -> None:
    black = encode(Image.new("L", (64, 48)))
    fields = {"mask": black, "effective_region_mask": encode(LINES)}
    (control,) = drawn(live, {**UNIT, **fields})
    assert control.mask is None
    assert control.image is not None
    assert control.region is not None
    assert np.array_equal(np.asarray(control.image), np.asarray(PICTURE))
    assert np.array_equal(np.asarray(control.region.convert("L")), np.asarray(LINES))


def test_a_unit_without_a_picture_takes_the_init_image(live: Live) -> None:
    answer = draw(live, {"model": "canny", "image": ""}, path="img2img")
    assert answer.status_code == 200, answer.text[:500]
    assert live.engine.drawn[-1].controls[0].image is None
    turned = np.asarray(picture(seed=9))[::-1]
    assert np.array_equal(np.asarray(opened(answer.json()["images"][1])), turned)
    refused = draw(live, {"model": "canny"})
    assert (refused.status_code, "give a picture" in refused.text) == (422, True)


def test_maps_are_left_out_where_nobody_wants_them(live: Live) -> None:
    answer = draw(live, {**UNIT, "save_detected_map": False}, UNIT)
    assert len(answer.json()["images"]) == 2
    assert len(json.loads(answer.json()["info"])["infotexts"]) == 1
    assert len(draw(live).json()["images"]) == 1
    assert len(draw(live, {**UNIT, "enabled": False}).json()["images"]) == 1


@pytest.mark.parametrize(
    ("unit", "status", "words"),
    [
        ({**UNIT, "model": "cany"}, 422, "did you mean 'canny'?"),
        ({**UNIT, "model": "../canny"}, 422, "no such control network"),
        ({**UNIT, "model": None}, 422, "names no model"),
        ({**UNIT, "module": "cany"}, 422, "did you mean canny"),
        ({**UNIT, "module": "openpose_full"}, 422, "goes with module none"),
        ({**UNIT, "weight": None, "control_mode": 3}, 422, "control_mode must be 0 to 2"),
        ({**UNIT, "weight": "much"}, 422, "controlnet.args[0].weight"),
        ({**UNIT, "weight": "nan"}, 422, "finite"),
        ({**UNIT, "weight": 99}, 422, "control weight"),
        ({**UNIT, "resize_mode": "Sideways"}, 422, "resize"),
        ({**UNIT, "guidance_start": 0.9, "guidance_end": 0.1}, 422, "must be less than the end"),
        ({**UNIT, "image": 5}, 422, "controlnet.args[0].image"),
        ({**UNIT, "image": "/etc/passwd"}, 422, "PNG, JPEG or WebP"),
        ({**UNIT, "image": "https://example.org/a.png"}, 422, "no URL is fetched"),
        ({**UNIT, "image": {"image": [1]}}, 422, "valid string"),
        ({**UNIT, "mask": "no picture"}, 422, "base64"),
        ({**UNIT, "union_control_type": "sound"}, 422, "control kind"),
        ({**UNIT, "ipadapter_input": ["x"]}, 501, "never opens"),
        ({**UNIT, "input_mode": "batch"}, 501, "a request per picture"),
        ("canny", 422, "must be an object"),
        (None, 422, "must be an object"),
    ],
)
def test_a_wrong_unit_is_refused(live: Live, unit: Any, status: int, words: str) -> None:
    before = len(live.engine.drawn)
    answer = draw(live, unit)
    assert (answer.status_code, words in answer.text) == (status, True), answer.text[:500]
    assert len(live.engine.drawn) == before


def test_too_many_units_and_other_scripts_are_refused(live: Live) -> None:
    answer = draw(live, *[UNIT] * 40)
    assert (answer.status_code, "must be at most 10" in answer.text) == (422, True)
    assert draw(live, *[{**UNIT, "enabled": False}] * 40).status_code == 200
    assert "this server has controlnet, FreeU Integrated" in draw(live, UNIT, name="ADetailer").text
    wrong = live.post("/sdapi/v1/txt2img", {"alwayson_scripts": {"controlnet": {"args": "x"}}})
    assert (wrong.status_code, "a list args" in wrong.text) == (422, True)


def test_routes_describe_modules_and_types(live: Live) -> None:
    modules = live.get("/controlnet/module_list").json()
    sliders = modules["module_detail"]["canny"]["sliders"]
    assert [each["name"] for each in sliders] == ["Resolution", "Low threshold", "High threshold"]
    assert modules["module_detail"]["none"]["sliders"] == []
    labels = live.get("/controlnet/module_list?alias_names=true").json()["module_list"]
    assert labels == [*(each.label for each in PREPROCESSORS), "ip-adapter-auto"]
    types = live.get("/controlnet/control_types").json()["control_types"]
    assert types["Canny"]["module_list"] == ["none", "canny"]
    assert types["Canny"]["default_option"] == "canny"
    assert types["OpenPose"]["default_model"].startswith("deep/pose [")
    assert types["Depth"] == {
        "module_list": ["none"],
        "model_list": ["None"],
        "default_option": "none",
        "default_model": "None",
    }
    assert live.get("/controlnet/settings").json() == {"control_net_unit_count": 10}
    assert len(live.get("/controlnet/model_list?update=true").json()["model_list"]) == 2


@pytest.mark.parametrize(
    ("change", "status", "words"),
    [
        ({}, 200, "Success"),
        ({"controlnet_processor_res": 10**9, "controlnet_threshold_a": 1e30}, 200, "Success"),
        ({"controlnet_module": "cany"}, 422, "did you mean canny"),
        ({"controlnet_input_images": []}, 422, "No image selected"),
        ({"controlnet_input_images": ["x"]}, 422, "base64"),
        ({"controlnet_input_images": [encode(PICTURE)] * 11}, 422, "at most 10"),
        ({"controlnet_masks": [encode(LINES)]}, 501, "without masks"),
        ({"controlnet_module": "invert"}, 422, "a mistake of yours"),
    ],
)
def test_detect(live: Live, change: dict[str, Any], status: int, words: str) -> None:
    body = {"controlnet_module": "canny", "controlnet_input_images": [encode(PICTURE)]}
    answer = live.post("/controlnet/detect", {**body, **change})
    assert (answer.status_code, words in answer.text) == (status, True), answer.text[:500]
