"""The built-in scripts: what they draw, in which order, and the grids that come back."""

from __future__ import annotations

import base64
import io
import json
import threading
from operator import attrgetter
from typing import Any

import pytest
from PIL import Image

from diffusion.infotext.files import read_texts
from diffusion.infotext.grammar import parse_infotext
from diffusion.server.routes.sdapi.guidance_scripts import GUIDANCE_SCRIPTS
from tests.diffusion.server.live_server import Live, wait_until

SMALL = {"prompt": "a cat", "width": 64, "height": 48, "steps": 2, "seed": 7}
PLOT = "x/y/z plot"
GUIDING = [each.title.lower() for each in GUIDANCE_SCRIPTS]


def images_of(answer: Any) -> list[Image.Image]:
    return [Image.open(io.BytesIO(base64.b64decode(each))) for each in answer["images"]]


def plot(live: Live, *arguments: Any, **fields: Any) -> Any:
    body = {**SMALL, "script_name": PLOT, "script_args": list(arguments), **fields}
    answer = live.post("/sdapi/v1/txt2img", body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_a_plot_of_two_axes_by_number_and_by_name(live: Live) -> None:
    """Clients give an axis as its place in the WebUI's list, or as its name."""
    answer = plot(live, 4, "2-4", [], "cfg scale", "5,7.5", "", 0, "", [], True, True)
    drawn = [(each.steps, each.guidance, each.seed) for each in live.engine.drawn]
    assert drawn == [(s, g, 7) for s in (2, 3, 4) for g in (5.0, 7.5)]
    images, info = images_of(answer), json.loads(answer["info"])
    assert len(images) == 7
    assert images[0].width > 3 * 64
    assert images[0].height > 2 * 48
    assert [image.size for image in images[1:]] == [(64, 48)] * 6
    assert info["index_of_first_image"] == 1
    assert len(info["infotexts"]) == 7
    assert info["all_seeds"] == [7] * 6
    text = parse_infotext(read_texts(base64.b64decode(answer["images"][0])).infotext or "")
    expected = {
        "Script": "X/Y/Z plot",
        "X Type": "Steps",
        "X Values": "2-4",
        "Y Type": "CFG Scale",
        "Y Values": "5, 7.5",
    }
    assert expected.items() <= dict(text.settings).items()
    assert "Z Type" not in text.settings


def test_a_plot_without_legend_or_margin_is_its_pictures_alone(live: Live) -> None:
    arguments = ["Seed", "1,2,3", [], "Nothing", "", [], "Nothing", "", [], False]
    answer = plot(live, *arguments)
    (grid,) = images_of(answer)
    assert grid.size == (3 * 64, 48)
    assert [each.seed for each in live.engine.drawn] == [1, 2, 3]


def test_three_axes_make_a_grid_each_and_seeds_vary(live: Live) -> None:
    axes = [
        "Prompt S/R",
        "cat,dog",
        [],
        "Sampler",
        "",
        ["Euler", "Heun"],
        "Size",
        "64x48,48x64",
        "",
    ]
    answer = plot(live, *axes, False, False, True, False, True, True, True, 0, False)
    grids = images_of(answer)
    assert [grid.size for grid in grids] == [(2 * 64, 4 * 64), (2 * 64, 2 * 48), (2 * 48, 2 * 64)]
    drawn = live.engine.drawn
    assert {each.prompt for each in drawn} == {"a cat", "a dog"}
    assert sorted(each.seed for each in drawn) == list(range(7, 15))
    by_seed = {each.seed: (each.prompt, each.sampler, each.width) for each in drawn}
    assert by_seed[8] == ("a dog", "Euler", 64)
    assert by_seed[9] == ("a cat", "Heun", 64)
    assert by_seed[11] == ("a cat", "Euler", 48)


@pytest.mark.parametrize(
    ("axis", "values", "found"),
    [
        ("Prompt order", "a,cat", {"prompt": ["a cat", "cat a"]}),
        ("Clip skip", "1,2", {"clip_skip": [1, 2]}),
        ("RNG source", "NV,CPU", {"rng": ["nv", "cpu"]}),
        ("Schedule type", "karras,simple", {"schedule": ["karras", "simple"]}),
        ("Skip Early CFG", "0,0.5", {"guidance_options.skip_early": [0, 0.5]}),
        (
            "Token merging ratio high-res",
            "0.25,0.5",
            {"guidance_options.merging.hires": [0.25, 0.5]},
        ),
        ("Eta", "0,0.5", {}),
        ("Seed", "5,-1", {}),
        ("Styles", "big,small", {"prompt": ["a cat, huge", "a tiny a cat"]}),
    ],
)
def test_axes_of_all_kinds(live: Live, axis: str, values: str, found: dict[str, Any]) -> None:
    folder = live.server.services.outputs.folder
    styles = folder / "styles.csv"
    styles.write_text("name,prompt,negative_prompt\nbig,huge,\nsmall,a tiny {prompt},\n")
    live.server.services.styles._file = styles
    answer = plot(live, axis, values, sampler_name="Euler a")
    assert len(answer["images"]) == 1
    assert len(live.engine.drawn) == len(set(map(repr, live.engine.drawn))) == 2
    for name, expected in found.items():
        assert [attrgetter(name)(each) for each in live.engine.drawn] == expected


def test_a_plot_of_pictures_to_start_from(live: Live) -> None:
    file = io.BytesIO()
    Image.new("RGB", (64, 48), (0, 99, 0)).save(file, "PNG")
    picture = base64.b64encode(file.getvalue()).decode()
    body = {**SMALL, "init_images": [picture], "script_name": PLOT}
    body["script_args"] = ["Denoising", "0.25,0.5"]
    answer = live.post("/sdapi/v1/img2img", body)
    assert answer.status_code == 200, answer.text
    starts = [each.init_image for each in live.engine.drawn]
    assert [start.strength for start in starts if start] == [0.25, 0.5]


def test_a_prompt_matrix_has_each_combination(live: Live) -> None:
    body = {**SMALL, "prompt": "a cat|red|on a hill|at night", "script_name": "Prompt matrix"}
    answer = live.post("/sdapi/v1/txt2img", body | {"script_args": [False, True, "positive"]})
    assert answer.status_code == 200, answer.text
    drawn = [(each.prompt, each.seed) for each in live.engine.drawn]
    assert drawn[:4] == [
        ("a cat", 7),
        ("a cat, red", 8),
        ("a cat, on a hill", 9),
        ("a cat, red, on a hill", 10),
    ]
    assert len(drawn) == 8
    images = images_of(answer.json())
    assert len(images) == 9
    assert images[0].width > 4 * 64
    assert images[0].height > 2 * 48
    assert json.loads(answer.json()["info"])["all_prompts"] == [prompt for prompt, _ in drawn]
    live.engine.drawn.clear()
    body |= {"negative_prompt": "bad|ugly", "script_args": [True, 0, "negative", "space", 3]}
    assert live.post("/sdapi/v1/txt2img", body).status_code == 200
    assert [each.negative for each in live.engine.drawn] == ["bad", "ugly bad"]


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["No such axis", "1"], 422, "X type must be one of Nothing, Seed"),
        ([99, "1"], 422, "X type must be one of"),
        (["Steps", ""], 422, "this axis needs values"),
        (["Steps", "1,x"], 422, "Steps must be a whole number; got 'x'"),
        (["Steps", "5-1(+1)"], 422, "its step leads away"),
        (["Steps", "1-101"], 422, "more than one script may draw"),
        (["Steps", "1-1000000"], 422, "over 1000 values"),
        (["Steps", ",".join(["1-1000"] * 50)], 422, "over 1000 values"),
        (["Seed", "1-40", "", "Seed", "1-40"], 422, "over 1000 pictures"),
        (["Sampler", "eulr"], 422, "did you mean"),
        (["Size", "64by48"], 422, "must be WIDTHxHEIGHT"),
        (["Prompt S/R", "dog,fox"], 422, "must stand in the prompt"),
        (["Prompt order", "dog,fox"], 422, "must stand in the prompt"),
        (["Checkpoint name", "no such model"], 422, "there is no model"),
        (["Styles", "no such style"], 422, "Style not found"),
        (["VAE", "other"], 422, "name the folder it lies in"),
        (["Face restore", "yes"], 501, "does not do the axis Face restore"),
        (["Steps", "1,2", [], 0, "", [], 0, "", [], "yes"], 422, "Draw legend must be"),
        ([*["Nothing", "", []] * 3, *[False] * 7, 900], 422, "from 0 to 500; got 900"),
        ([*["Nothing", "", []] * 3, *[False] * 7, 2.5], 422, "from 0 to 500; got 2.5"),
    ],
)
def test_wrong_plots_are_refused_before_any_work(
    live: Live, arguments: list[Any], status: int, words: str
) -> None:
    body = {**SMALL, "script_name": PLOT, "script_args": arguments}
    answer = live.post("/sdapi/v1/txt2img", body)
    assert (answer.status_code, words in answer.text) == (status, True), answer.text
    assert live.engine.drawn == []


def test_an_interrupted_plot_returns_what_it_has(live: Live) -> None:
    answers: list[Any] = []
    body = {**SMALL, "prompt": "hold a cat", "script_name": PLOT, "force_task_id": "task(x)"}
    body["script_args"] = ["Seed", "1-9", [], 0, "", [], 0, "", [], False, True]
    thread = threading.Thread(
        target=lambda: answers.append(live.post("/sdapi/v1/txt2img", body).json())
    )
    thread.start()
    progress = wait_until(
        lambda: p if (p := live.get("/sdapi/v1/progress").json())["progress"] > 0 else None
    )
    assert progress["state"]["job_count"] == 9
    assert progress["progress"] == pytest.approx(0.5 / 9, abs=1e-3)
    assert progress["current_task"] == "task(x)"
    task = live.post("/internal/progress", {"id_task": "task(x)"}).json()
    assert (task["active"], task["queued"], task["completed"]) == (True, False, False)
    live.post("/sdapi/v1/interrupt")
    thread.join(30)
    assert len(answers[0]["images"]) == 2
    assert images_of(answers[0])[0].size == (9 * 64, 48), "places without a picture stay white"
    jobs = live.get("/api/v1/jobs").json()["jobs"]
    assert {job["state"] for job in jobs} == {"done", "cancelled"}
    assert len(live.engine.drawn) <= 2, "one may have begun meanwhile"


def test_a_client_that_leaves_cancels_its_plot(live: Live) -> None:
    body = {**SMALL, "prompt": "hold a cat", "script_name": PLOT, "script_args": ["Seed", "1-9"]}
    with live.asking("/sdapi/v1/txt2img", body):
        wait_until(lambda: live.get("/api/v1/jobs").json()["jobs"])
    wait_until(
        lambda: {job["state"] for job in live.get("/api/v1/jobs").json()["jobs"]} == {"cancelled"}
    )


def test_scripts_are_described_as_their_arguments_are_read(live: Live) -> None:
    listed = live.get("/sdapi/v1/script-info").json()
    assert {(each["name"], each["is_img2img"]) for each in listed} == {
        (name, start)
        for name in ("prompt matrix", PLOT, "controlnet", *GUIDING)
        for start in (False, True)
    }
    always_on = {each["name"] for each in listed if each["is_alwayson"]}
    assert always_on == {"controlnet", *GUIDING}
    for each in [each for each in listed if not each["is_alwayson"]]:
        assert set(each["args"][0]) == {"label", "value", "minimum", "maximum", "step", "choices"}
    txt2img = next(each for each in listed if each["name"] == PLOT and not each["is_img2img"])
    assert len(txt2img["args"]) == 18
    choices = txt2img["args"][0]["choices"]
    assert choices[:5] == ["Nothing", "Seed", "Var. seed", "Var. strength", "Steps"]
    defaults = [each["value"] for each in txt2img["args"]]
    answer = plot(live, *defaults)
    assert len(answer["images"]) == 1, "all defaults draw one picture"
