"""``--ip-adapter`` and its options, and image prompts in pictures that are drawn again."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from diffusion.control import ImagePrompt
from tests.diffusion.cli.fake_pipeline import FakePipeline, run, write_picture
from tests.diffusion.cli.test_options import options_of

ONE = ("--ip-adapter", "plus", "--ip-image", "in.png", "--controls", "nets")
TWO = ("--ip-adapter", "plus", "--ip-adapter", "base", "--controls", "nets")
TEXT = (
    "a cat\nSteps: 3, Sampler: Euler, Seed: 1, Size: 64x64, "
    'ControlNet 0: "Module: ip-adapter_clip_h, Model: {} [0a1b2c3d], Weight: 0.5, '
    'Guidance End: 0.75"'
)


@pytest.fixture(autouse=True)
def _nets(pictures: type[FakePipeline]) -> None:
    """Put two adapters and an encoder beside the pictures."""
    Path("nets/image_encoder").mkdir(parents=True)
    Path("nets/image_encoder/config.json").touch()
    Path("nets/plus.safetensors").touch()
    Path("nets/base.safetensors").touch()


def only_run() -> tuple[ImagePrompt, ...]:
    assert len(FakePipeline.runs) == 1
    return FakePipeline.runs[0].image_prompts


def test_options_become_settings() -> None:
    options = (
        *("--ip-encoder", "image_encoder", "--ip-weight", "0.5", "--ip-start", "0.1"),
        *("--ip-end", "0.9", "--ip-type", "style", "--ip-combine", "average"),
        *("--ip-scaling", "kv", "--ip-resize", "stretch", "--ip-region", "mask.png"),
        *("--ip-negative", "drawn.png", "--ip-layers", "1,0.5", "--ip-passes", "base"),
        *("--ip-image", "drawn.png", "--output", "p.png"),
    )
    done = run("txt2img", "x", *ONE, *options)
    assert done.exit_code == 0, done.stderr
    (found,) = only_run()
    assert len(found.images) == 2
    with Image.open("in.png") as picture:
        assert found.images[0].tobytes() == picture.tobytes()
    assert found.region is not None
    assert found.negative is not None
    expected = ImagePrompt(
        "plus",
        found.images,
        "image_encoder",
        0.5,
        0.1,
        0.9,
        "style",
        "average",
        "kv",
        "stretch",
        found.region,
        found.negative,
        (1.0, 0.5),
        "base",
    )
    assert found == expected


def test_this_file_is_about_every_option() -> None:
    named = {name for name in options_of("txt2img") if name.startswith("--ip-")}
    text = Path(__file__).read_text(encoding="utf-8")
    assert [name for name in named if f'"{name}"' not in text] == []


def test_several_adapters_read_a_picture_each() -> None:
    pictures = ("--ip-image", "in.png", "--ip-image", "drawn.png")
    done = run("txt2img", "x", *TWO, *pictures, "--ip-weight", "0.5", "--output", "p.png")
    assert done.exit_code == 0, done.stderr
    first, second = only_run()
    assert [len(each.images) for each in (first, second)] == [1, 1]
    assert (first.model, second.model, second.weight) == ("plus", "base", 0.5)


def test_pictures_say_whose_they_are() -> None:
    pictures = ("--ip-image", "in.png", "--ip-image", "drawn.png", "--ip-image", "mask.png")
    owners = ("--ip-for", "2", "--ip-for", "1", "--ip-for", "2")
    done = run("txt2img", "x", *TWO, *pictures, *owners, "--output", "p.png")
    assert done.exit_code == 0, done.stderr
    assert [len(each.images) for each in only_run()] == [1, 2]


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (("--ip-weight", "2"), "needs --ip-adapter NAME"),
        (("--ip-adapter", "plus", "--controls", "nets"), "give 1 to 32 pictures"),
        (ONE + ("--ip-for", "2"), "must be 1 to 1"),
        (ONE + ("--ip-for", "1", "--ip-for", "1"), "must be given 1 times"),
        (TWO + ("--ip-image", "in.png") * 3, "say whose each is (--ip-for)"),
        (ONE + ("--ip-type", "bold"), "--ip-type cannot be 'bold'"),
        (ONE + ("--ip-weight", "1", "--ip-weight", "2"), "must be given 1 times at most"),
        (ONE + ("--ip-layers", "1;2"), "must be numbers between commas"),
        (ONE + ("--ip-encoder", "other"), "no such image encoder"),
        (("--ip-adapter", "othr", "--ip-image", "in.png", "--controls", "nets"), "no such"),
    ],
)
def test_refusals(options: tuple[str, ...], text: str) -> None:
    done = run("txt2img", "x", *options, "--output", "p.png")
    assert done.exit_code == 2
    assert text in done.stderr
    assert FakePipeline.runs == []


def test_an_earlier_picture_needs_its_pictures_and_its_adapter() -> None:
    write_picture("old.png", TEXT.format("plus"))
    done = run(
        *("txt2img", "--from", "old.png", "--controls", "nets", "--ip-image", "in.png"),
        *("--output", "p.png"),
    )
    assert done.exit_code == 0, done.stderr
    (found,) = only_run()
    assert (found.model, found.weight, found.end) == ("plus [0a1b2c3d]", 0.5, 0.75)
    without = run("txt2img", "--from", "old.png", "--controls", "nets", "--output", "q.png")
    assert "give them (--ip-image), drawn without" in without.stderr
    assert FakePipeline.runs[-1].image_prompts == ()
    write_picture("gone.png", TEXT.format("gone"))
    gone = run(
        *("txt2img", "--from", "gone.png", "--controls", "nets", "--ip-image", "in.png"),
        *("--output", "r.png"),
    )
    assert "through what is not in --controls; drawn without it" in gone.stderr
    assert FakePipeline.runs[-1].image_prompts == ()
