"""Other tools' spellings of options, and what the Tab key offers."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from diffusion.cli.spellings import SPELLINGS
from tests.diffusion.cli.fake_pipeline import FakePipeline, exit_status, run

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize(
    "options",
    [
        "-p apple -n bad -W 64 -H 32 --cfg-scale 2 --steps 4 -s 7 -b 2 --sampling-method euler",
        (
            "--prompt apple --negative_prompt bad --width 64 --height 32 --guidance_scale 2 "
            "--num_inference_steps 4 --seed 7 --num_images_per_prompt 2 --sampler_name euler"
        ),
        "apple --negative bad --size 64x32 --cfg 2 --ddim-steps 4 -s7 --n_iter=2 --sampler euler",
    ],
    ids=["stable-diffusion.cpp", "diffusers", "mixed"],
)
def test_one_picture_in_three_dialects(fake_pipeline: type[FakePipeline], options: str) -> None:
    done = run("txt2img", *options.split())
    assert done.exit_code == 0, done.stderr
    (found,) = fake_pipeline.runs
    assert (found.prompt, found.negative, found.width, found.height) == ("apple", "bad", 64, 32)
    assert (found.guidance, found.steps, found.seed, found.count) == (2.0, 4, 7, 2)
    assert found.sampler == "euler"


@pytest.mark.usefixtures("pictures")
@pytest.mark.parametrize(
    "line",
    [
        "img2img -i in.png -p dog --denoising-strength 0.4",
        "img2img --init-img in.png dog --strength 0.4",
        "img2img dog --image in.png --denoise 0.4",
        "img2img in.png -p dog --strength 0.4",
        "upscale -i in.png -p dog --denoising 0.4",
        "inpaint -p dog in.png --mask-image mask.png --strength 0.4",
    ],
)
def test_arguments_are_options_elsewhere(line: str) -> None:
    done = run(*line.split())
    assert done.exit_code == 0, done.stderr
    (found,) = FakePipeline.runs
    assert found.prompt == "dog"
    assert found.init_image is not None
    assert found.init_image.strength == 0.4


@pytest.mark.parametrize(("options", "size"), [("-W 64", (64, 24)), ("--height 64", (16, 64))])
def test_one_side_leaves_the_other_to_the_model(
    fake_pipeline: type[FakePipeline], options: str, size: tuple[int, int]
) -> None:
    assert run("txt2img", "a", *options.split()).exit_code == 0
    assert (fake_pipeline.runs[0].width, fake_pipeline.runs[0].height) == size


@pytest.mark.usefixtures("fake_pipeline")
def test_too_many_arguments_are_still_refused(capfd: pytest.CaptureFixture[str]) -> None:
    assert exit_status("txt2img", "a", "-p", "b") == 2
    assert "unexpected extra argument" in capfd.readouterr().err


def test_spellings_stay_out_of_the_help() -> None:
    text = " ".join(run("img2img", "--help").stdout.split())
    assert [word for word in ("--cfg-scale", "-W", "--width", "--init-img") if word in text] == []
    assert not {word for words in SPELLINGS.values() for word in words if "_" in word}


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("avila txt2img a --sampler euler_a", {"euler_a", "euler_a_cfg_pp"}),
        ("avila txt2img a --schedule kar", {"karras"}),
        ("avila txt2img a --device v", {"vulkan"}),
        ("avila txt2img a --model emo", {"emoji"}),
        ("avila img2img a b --resize c", {"crop"}),
        ("avila co", {"config", "convert"}),
        ("avila config s", {"set", "show"}),
    ],
)
def test_values_complete(words: str, offered: set[str]) -> None:
    variables = {"_AVILA_COMPLETE": "complete_bash", "COMP_WORDS": words}
    variables["COMP_CWORD"] = str(len(words.split()) - 1)
    done = subprocess.run(
        [sys.executable, "-m", "diffusion.cli"],
        cwd=ROOT,
        env=os.environ | variables,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert set(done.stdout.split()) == offered, done.stderr
