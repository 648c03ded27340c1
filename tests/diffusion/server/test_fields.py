"""Every field of AUTOMATIC1111's requests: it works, is refused with a sentence, or is idle there.

A field that is new in a body needs a row here.
"""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable, Iterator
from typing import Any, Final

import numpy as np
import pytest
from PIL import Image

from diffusion.images import to_mask
from diffusion.server.routes.sdapi.requests import DrawBody, Img2ImgBody, Txt2ImgBody
from tests.diffusion.server.adapter_files import encode, picture
from tests.diffusion.server.live_server import Live, run_on_thread

SIZE: Final = {"width": 64, "height": 48, "steps": 2}
INIT = picture()
MASK = Image.fromarray(np.tile(np.repeat(np.array([0, 255], np.uint8), 32), (48, 1)))
HIRES: Final[dict[str, object]] = {"enable_hr": True}
FIRST: Final[dict[str, object]] = {"firstphase_width": 56, "firstphase_height": 56}
PART: Final[dict[str, object]] = {"mask": encode(MASK)}
CHURN: Final[dict[str, object]] = {"sampler_name": "Euler"}

Check = Callable[[Any], object]
"""What a field changes, which must be another value without the field."""


def inpaint(field: str) -> Check:
    return lambda settings: getattr(settings.init_image.inpaint, field)


WORKS: Final[dict[str, tuple[object, dict[str, object], Check]]] = {
    "prompt": ("a cat", {}, lambda s: s.prompt),
    "negative_prompt": ("bad", {}, lambda s: s.negative),
    "seed": (7, {}, lambda s: s.seed == 7),
    "subseed": (7, {"subseed_strength": 0.5, "seed": 1}, lambda s: s.variation.seed == 7),
    "subseed_strength": (0.5, {}, lambda s: s.variation and s.variation.strength),
    "seed_resize_from_h": (40, {"seed_resize_from_w": 32}, lambda s: s.variation),
    "seed_resize_from_w": (32, {"seed_resize_from_h": 40}, lambda s: s.variation),
    "sampler_name": ("DPM++ 2M", {}, lambda s: s.sampler),
    "scheduler": ("Karras", {}, lambda s: s.schedule),
    "batch_size": (2, {}, lambda s: (s.count, s.batch)),
    "n_iter": (2, {}, lambda s: (s.count, s.batch)),
    "steps": (3, {}, lambda s: s.steps),
    "cfg_scale": (4.5, {}, lambda s: s.guidance),
    "width": (72, {}, lambda s: s.width),
    "height": (56, {}, lambda s: s.height),
    "tiling": (True, {}, lambda s: s.seamless),
    "eta": (0.5, {"sampler_name": "Euler a"}, lambda s: s.eta),
    "denoising_strength": (0.5, HIRES, lambda s: (s.hires or s.init_image).strength),
    "s_min_uncond": (1.5, {}, lambda s: s.guidance_options.skip_below),
    "s_churn": (0.5, CHURN, lambda s: s.sampling.s_churn),
    "s_tmin": (0.5, CHURN, lambda s: s.sampling.s_tmin),
    "s_tmax": (5.0, CHURN, lambda s: s.sampling.s_tmax),
    "s_noise": (1.1, CHURN, lambda s: s.sampling.s_noise),
    "override_settings": ({"CLIP_stop_at_last_layers": 2}, {}, lambda s: s.clip_skip),
    "disable_extra_networks": (True, {"prompt": "x<lora:y:1>"}, lambda s: s.prompt),
    "sampler_index": ("DPM++ 2M", {}, lambda s: s.sampler),
    "infotext": (
        "a dog\nSteps: 9, Sampler: Euler a, CFG scale: 3, Seed: 4, Size: 64x48",
        {},
        lambda s: (s.sampler, s.guidance),
    ),
    "enable_hr": (True, {}, lambda s: s.hires),
    "firstpass_image": (encode(INIT), HIRES, lambda s: s.hires.first is not None),
    "hr_scale": (1.5, HIRES, lambda s: s.hires.scale),
    "hr_upscaler": ("Lanczos", HIRES, lambda s: s.hires.upscaler),
    "hr_second_pass_steps": (3, HIRES, lambda s: s.hires.steps),
    "hr_resize_x": (96, HIRES, lambda s: s.hires.resize),
    "hr_resize_y": (72, HIRES, lambda s: s.hires.resize),
    "firstphase_width": (64, FIRST, lambda s: s.width),
    "firstphase_height": (64, FIRST, lambda s: s.height),
    "hr_sampler_name": ("DDIM", HIRES, lambda s: s.hires.sampler),
    "hr_scheduler": ("Karras", HIRES, lambda s: s.hires.schedule),
    "hr_prompt": ("y", HIRES, lambda s: s.hires.prompt),
    "hr_negative_prompt": ("y", HIRES, lambda s: s.hires.negative),
    "init_images": ([encode(picture(seed=8))], {}, lambda s: s.init_image.image.tobytes()),
    "resize_mode": (1, {}, lambda s: s.init_image.resize),
    "mask": (encode(MASK), {}, lambda s: s.init_image.inpaint is not None),
    "mask_blur": (9, PART, inpaint("blur")),
    "mask_blur_x": (9, PART, lambda s: (s.init_image.inpaint.blur, s.init_image.inpaint.blur_down)),
    "mask_blur_y": (9, PART, inpaint("blur_down")),
    "mask_round": (False, PART, inpaint("soft")),
    "initial_noise_multiplier": (0.5, {}, lambda s: s.init_image.noise),
    "inpainting_fill": (1, PART, inpaint("content")),
    "inpaint_full_res": (False, PART, inpaint("area")),
    "inpaint_full_res_padding": (16, PART, inpaint("padding")),
    "inpainting_mask_invert": (1, PART, inpaint("invert")),
}
"""A value, what goes with it, and what it changes of the settings that are drawn."""

ANSWERS: Final[dict[str, tuple[object, Callable[[dict[str, Any]], object]]]] = {
    "send_images": (False, lambda answer: answer["images"] == []),
    "save_images": (True, lambda answer: len(answer["images"]) == 3),
    "include_init_images": (True, lambda answer: answer["parameters"].get("init_images")),
    "styles": ([], lambda answer: json.loads(answer["info"])["styles"] == []),
    "script_args": ([1], lambda answer: len(answer["images"]) == 2),
    "alwayson_scripts": ({"controlnet": {"args": []}}, lambda answer: answer["images"]),
}
"""Those that change the answer alone, of a request for two pictures."""

REFUSED: Final[dict[str, tuple[object, dict[str, object], int]]] = {
    "restore_faces": (True, {}, 501),
    "refiner_checkpoint": ("x", {}, 422),
    "refiner_switch_at": (1.5, {}, 422),
    "script_name": ("no such", {}, 422),
    "hr_checkpoint_name": ("x", HIRES, 422),
}
"""Those whose feature is missing, or that must name what there is."""

IDLE: Final = {
    "do_not_save_samples": "AUTOMATIC1111 overwrites it by save_images",
    "do_not_save_grid": "AUTOMATIC1111 overwrites it by save_images",
    "comments": "AUTOMATIC1111 writes it, and reads nothing from it",
    "image_cfg_scale": "it is for models that edit by instruction, which are not read here",
}
ELSEWHERE: Final = {
    "force_task_id": "tests.diffusion.server.test_sdapi and the routes of /internal",
    "override_settings_restore_afterwards": "test_options_that_stay",
}


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    with run_on_thread(tmp_path_factory.mktemp("out")) as live:
        yield live


def kinds_of(field: str) -> list[str]:
    kinds: dict[str, type[DrawBody]] = {"txt2img": Txt2ImgBody, "img2img": Img2ImgBody}
    return [kind for kind, body in kinds.items() if field in body.model_fields]


def ask(live: Live, kind: str, **fields: object) -> Any:
    body = {"prompt": "x", "seed": 1, **SIZE, **fields}
    if kind == "img2img":
        body = {"init_images": [encode(INIT)], **body}
    for name in [name for name, value in body.items() if value is None]:
        del body[name]
    return live.post(f"/sdapi/v1/{kind}", body)


def test_every_field_has_a_row() -> None:
    known = [*WORKS, *ANSWERS, *REFUSED, *IDLE, *ELSEWHERE]
    assert len(known) == len(set(known))
    assert set(known) == set(Txt2ImgBody.model_fields) | set(Img2ImgBody.model_fields)


@pytest.mark.parametrize("field", WORKS)
def test_a_field_that_works(live: Live, field: str) -> None:
    value, beside, changed = WORKS[field]
    for kind in kinds_of(field):
        fit = {n: v for n, v in beside.items() if not (n == "enable_hr" and kind == "img2img")}
        left_out: dict[str, object] = {"seed": None} if field == "seed" else {}
        if field == "infotext":
            left_out = {"steps": None, "seed": None}
        found = []
        for fields in ({**fit, **left_out}, {**fit, **left_out, field: value}):
            answer = ask(live, kind, **fields)
            assert answer.status_code == 200, answer.text[:500]
            found.append(changed(live.engine.drawn[-1]))
        assert found[0] != found[1], kind


@pytest.mark.parametrize("field", ANSWERS)
def test_a_field_that_changes_the_answer(live: Live, field: str) -> None:
    value, holds = ANSWERS[field]
    for kind in kinds_of(field):
        answer = ask(live, kind, batch_size=2, **{field: value})
        assert answer.status_code == 200, answer.text[:500]
        assert holds(answer.json()), kind


@pytest.mark.parametrize("field", REFUSED)
def test_a_field_that_is_refused(live: Live, field: str) -> None:
    value, beside, status = REFUSED[field]
    before = len(live.engine.drawn)
    for kind in kinds_of(field):
        answer = ask(live, kind, **beside, **{field: value})
        assert answer.status_code == status, answer.text[:500]
        assert len(answer.json()["detail"].split()) > 4
    assert len(live.engine.drawn) == before


@pytest.mark.parametrize("field", IDLE)
def test_a_field_without_effect_is_taken(live: Live, field: str) -> None:
    fields = Txt2ImgBody.model_fields | Img2ImgBody.model_fields
    kinds = {"comments": {"a": 1}, "image_cfg_scale": 2.0}
    value = kinds.get(field, not fields[field].default)
    for kind in kinds_of(field):
        ask(live, kind)
        assert ask(live, kind, **{field: value}).status_code == 200
        assert live.engine.drawn[-1] == live.engine.drawn[-2]


def test_options_that_stay(live: Live) -> None:
    """They are kept where a request says so, and for that request alone otherwise."""

    def shown() -> object:
        return live.get("/sdapi/v1/options").json()["CLIP_stop_at_last_layers"]

    given = {"override_settings": {"CLIP_stop_at_last_layers": 2}}
    ask(live, "txt2img", **given)
    assert shown() == 1
    ask(live, "txt2img", **given, override_settings_restore_afterwards=False)
    assert shown() == 2
    live.post("/sdapi/v1/options", {"CLIP_stop_at_last_layers": 1})


def test_several_init_images_are_a_batch(live: Live) -> None:
    """Each is drawn n_iter times, and the seed counts on, as in AUTOMATIC1111."""
    images = [picture(seed=each) for each in (1, 2, 3)]
    given = {"init_images": [encode(each) for each in images], "n_iter": 2, **PART}
    before = len(live.engine.drawn)
    answer = ask(live, "img2img", batch_size=4, save_images=True, **given)
    assert answer.status_code == 200, answer.text[:500]
    info = json.loads(answer.json()["info"])
    assert info["all_seeds"] == [1, 2, 3, 4, 5, 6]
    assert (info["index_of_first_image"], len(answer.json()["images"])) == (1, 7)
    drawn = live.engine.drawn[before:]
    assert len(drawn) == 6
    for settings, image in zip(sorted(drawn, key=lambda s: s.seed), images * 2, strict=True):
        assert settings.init_image is not None
        assert settings.init_image.image.tobytes() == image.tobytes()
        assert settings.init_image.inpaint is not None
    before = len(live.engine.drawn)
    ask(live, "img2img", batch_size=3, subseed=10, subseed_strength=0.5, **{**given, "n_iter": 1})
    drawn = sorted(live.engine.drawn[before:], key=variation_seed)
    assert [(s.seed, variation_seed(s)) for s in drawn] == [(1, 10), (1, 11), (1, 12)]


def test_several_init_images_with_a_script(live: Live) -> None:
    """A plot draws all of them in each cell; a matrix takes them by turns, as in AUTOMATIC1111."""
    images = [picture(seed=each) for each in (1, 2)]
    given = {"init_images": [encode(each) for each in images], "batch_size": 2}
    before = len(live.engine.drawn)
    plot = ["Steps", "1,2,3", [], 0, "", [], 0, "", [], False, True]
    answer = ask(live, "img2img", script_name="X/Y/Z plot", script_args=plot, **given)
    assert answer.status_code == 200, answer.text[:500]
    drawn = sorted(live.engine.drawn[before:], key=lambda s: (s.steps, s.seed))
    assert [(s.steps, s.seed) for s in drawn] == [(n, seed) for n in (1, 2, 3) for seed in (1, 2)]
    for settings, image in zip(drawn, images * 3, strict=True):
        assert settings.init_image is not None
        assert settings.init_image.image.tobytes() == image.tobytes()
    shown = answer.json()["images"]
    assert len(shown) == 7
    with Image.open(io.BytesIO(base64.b64decode(shown[0]))) as grid:
        assert grid.size == (3 * 2 * 64, 48), "each cell shows both side by side"
    before = len(live.engine.drawn)
    matrix = {"script_name": "Prompt matrix", "prompt": "a|b|c", **given}
    assert ask(live, "img2img", **matrix).status_code == 200
    drawn = live.engine.drawn[before:]
    found = {s.prompt: s.init_image.image.tobytes() for s in drawn if s.init_image}
    texts = ["a", "a, b", "a, c", "a, b, c"]
    assert found == {text: images[n % 2].tobytes() for n, text in enumerate(texts)}


def variation_seed(settings: Any) -> int:
    seed: int = settings.variation.seed
    return seed


@pytest.mark.parametrize(
    ("fields", "status", "words"),
    [
        ({"batch_size": 2}, 422, "more than batch_size, 2"),
        ({"batch_size": 3, "n_iter": 1000}, 422, "more than this server draws"),
        ({"batch_size": 2, "script_name": "Prompt matrix"}, 422, "more than batch_size, 2"),
        ({"batch_size": 2, "script_name": "X/Y/Z plot"}, 422, "more than batch_size, 2"),
        ({"batch_size": 3, "init_images": [encode(INIT), "x", "y"]}, 422, "base64"),
        ({"init_images": []}, 404, "Init image not found"),
    ],
)
def test_wrong_init_images(live: Live, fields: dict[str, Any], status: int, words: str) -> None:
    given = {"init_images": [encode(INIT)] * 3, **fields}
    answer = ask(live, "img2img", **given)
    assert (answer.status_code, words in answer.text) == (status, True), answer.text[:500]


@pytest.mark.parametrize("inverted", [0, 1])
def test_a_mask_without_a_part_draws_all(live: Live, inverted: int) -> None:
    """As there, where a box around the mask would be cut out."""
    blank = encode(Image.new("L", (64, 48), 255 * inverted))
    answer = ask(live, "img2img", mask=blank, inpainting_mask_invert=inverted)
    assert answer.status_code == 200, answer.text[:500]
    init_image = live.engine.drawn[-1].init_image
    assert init_image is not None
    assert init_image.inpaint is None


def test_a_mask_of_transparency_and_another_size(live: Live) -> None:
    clear = Image.new("RGBA", (32, 24), (255, 255, 255, 255))
    clear.putalpha(MASK.resize((32, 24)))
    answer = ask(live, "img2img", mask=encode(clear))
    assert answer.status_code == 200, answer.text[:500]
    init_image = live.engine.drawn[-1].init_image
    assert init_image is not None
    assert init_image.inpaint is not None
    assert np.array_equal(np.asarray(to_mask(init_image.inpaint.mask)), np.asarray(MASK))
