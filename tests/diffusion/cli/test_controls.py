"""``--control`` and its options, and controls in pictures that are drawn again."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from diffusion.control import Control
from tests.diffusion.cli.fake_pipeline import FakePipeline, run, write_picture

ONE = ("--control", "in.png", "--control-model", "edges", "--controls", "nets")
TEXT = (
    "a cat\nSteps: 3, Sampler: Euler, Seed: 1, Size: 64x64, "
    'ControlNet 0: "Module: canny, Model: {} [0a1b2c3d], Weight: 0.5, Guidance End: 0.75"'
)


@pytest.fixture(autouse=True)
def _nets(pictures: type[FakePipeline]) -> None:
    """Put two networks beside the pictures."""
    Path("nets/sub").mkdir(parents=True)
    Path("nets/edges.safetensors").touch()
    Path("nets/sub/depth.safetensors").touch()


def only_run() -> tuple[Control, ...]:
    assert len(FakePipeline.runs) == 1
    return FakePipeline.runs[0].controls


def test_options_become_settings() -> None:
    options = (
        *("--control-weight", "0.5", "--control-start", "0.1", "--control-end", "0.9"),
        *("--control-mode", "prompt", "--control-resize", "fill", "--preprocessor", "canny"),
        *("--control-region", "mask.png", "--control-mask", "mask.png"),
        *("--control-resolution", "128", "--control-threshold-a", "50"),
        *("--control-threshold-b", "99", "--control-layers", "1,0.5", "--control-kind", "tile"),
        *("--control-passes", "base", "--output", "p.png"),
    )
    done = run("txt2img", "x", *ONE, *options)
    assert done.exit_code == 0, done.stderr
    (found,) = only_run()
    with Image.open("in.png") as picture:
        assert found.image is not None
        assert found.image.tobytes() == picture.tobytes()
    assert found.region is not None
    assert found.mask is not None
    expected = Control(
        "edges",
        found.image,
        "canny",
        0.5,
        0.1,
        0.9,
        "prompt",
        "fill",
        found.region,
        found.mask,
        128,
        50.0,
        99.0,
        (1.0, 0.5),
        "base",
        "tile",
    )
    assert found == expected


def test_the_nth_value_is_for_the_nth_picture_and_one_alone_for_all() -> None:
    done = run(
        *("txt2img", "x", "--control", "in.png", "--control", "drawn.png", "--controls", "nets"),
        *("--control-model", "edges", "--control-model", "depth", "--control-weight", "0.5"),
        *("--control-end", "0.5", "--control-end", "0.75", "--output", "p.png"),
    )
    assert done.exit_code == 0, done.stderr
    first, second = only_run()
    assert (first.model, first.weight, first.end) == ("edges", 0.5, 0.5)
    assert (second.model, second.weight, second.end) == ("depth", 0.5, 0.75)


def test_without_a_picture_the_init_image_leads() -> None:
    done = run(
        *("img2img", "in.png", "x", "--control-model", "edges", "--controls", "nets"),
        *("--output", "p.png"),
    )
    assert done.exit_code == 0, done.stderr
    assert only_run() == (Control("edges"),)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--control", "in.png", "--model", "sd.safetensors"), "control-model is missing"),
        (("--control-model", "edges", "--controls", "nets"), "control image is missing"),
        (("--control-weight", "1"), "needs --control PICTURE"),
        ((*ONE, "--control-weight", "1", "--control-weight", "2"), "1 times at most"),
        ((*ONE, "--control-layers", "1,x"), "numbers between commas"),
        ((*ONE, "--preprocessor", "cany"), "did you mean"),
        ((*ONE, "--control-mode", "none"), "give one of balanced"),
        (("--control", "in.png", "--control-model", "edgy", "--controls", "nets"), "edges"),
        (("--control", "absent.png", "--control-model", "edges"), "cannot be read"),
    ],
)
def test_what_cannot_be_is_refused_before_a_model_is_loaded(
    arguments: tuple[str, ...], message: str
) -> None:
    done = run("txt2img", "x", *arguments)
    assert done.exit_code != 0
    assert message in done.stderr
    assert FakePipeline.loads == []


def test_pictures_that_lead_are_not_overwritten() -> None:
    done = run("txt2img", "x", *ONE, "--output", "in.png")
    assert done.exit_code != 0


def test_an_earlier_control_takes_a_picture_and_keeps_the_rest() -> None:
    write_picture("led.png", TEXT.format("edges"))
    done = run(
        *("txt2img", "--from", "led.png", "--control", "in.png", "--controls", "nets"),
        *("--output", "p.png"),
    )
    assert done.exit_code == 0, done.stderr
    (found,) = only_run()
    assert (found.model, found.preprocessor, found.weight) == ("edges [0a1b2c3d]", "canny", 0.5)
    assert found.end == 0.75


@pytest.mark.parametrize(
    ("name", "options", "told"),
    [
        ("edges", (), "give it (--control)"),
        ("gone", ("--control", "in.png"), "not in --controls"),
        ("/etc/x.safetensors", ("--control", "in.png"), "not in --controls"),
    ],
)
def test_an_earlier_control_that_is_not_here_is_told(
    name: str, options: tuple[str, ...], told: str
) -> None:
    write_picture("led.png", TEXT.format(name))
    again = ("txt2img", "--from", "led.png", "--controls", "nets")
    done = run(*again, *options, "--output", "p.png")
    assert done.exit_code == 0, done.stderr
    assert told in done.stderr
    assert only_run() == ()
