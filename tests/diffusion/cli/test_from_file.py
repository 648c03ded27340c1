"""The commands that start from a picture's file: what is drawn anew, and what its text says."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from diffusion import Settings
from diffusion.cli.app import escape_lines
from diffusion.infotext.files import read_infotext
from diffusion.tasks import InitImage, Inpaint, Variation
from tests.diffusion.cli.fake_pipeline import FakePipeline, infotext_of, run, write_picture

pytestmark = pytest.mark.usefixtures("pictures")


def special_infotext(name: str) -> dict[str, str]:
    """Return the settings in a picture's text, without those of every picture."""
    usual = "Steps,Sampler,Schedule type,CFG scale,Model hash,Model,RNG,Version".split(",")
    return {key: value for key, value in infotext_of(name).items() if key not in usual}


def draw(*arguments: str) -> tuple[Settings, InitImage]:
    """Run a command. Return the settings of its last run, and the picture in them."""
    done = run(*arguments)
    assert done.exit_code == 0, done.stderr
    settings = FakePipeline.runs[-1]
    assert settings.init_image is not None
    return settings, settings.init_image


def mask_of(init_image: InitImage) -> np.ndarray:
    assert init_image.inpaint is not None
    return np.asarray(init_image.inpaint.mask)


def test_img2img() -> None:
    options = (
        "--strength 0.6 --resize crop --seed 7 --size 32x16 --clip-skip 2 --rng cpu "
        "--set s_noise=0.9 -o out.png"
    )
    _, init_image = draw("img2img", "in.png", "a pear", *options.split())
    assert init_image.image == Image.new("RGB", (40, 24), "red")
    assert special_infotext("out.png") == {
        "Seed": "7",
        "Size": "32x16",
        "Denoising strength": "0.6",
        "Clip skip": "2",
        "Sigma noise": "0.9",
    }


def test_the_picture_gives_the_size() -> None:
    record = json.loads(run("img2img", "in.png", "a pear", "--json").stdout)
    assert (FakePipeline.runs[0].width, FakePipeline.runs[0].height) == (40, 24)
    assert record["settings"]["source"]["image"] == "40x24"


def test_inpaint() -> None:
    options = (
        "--mask mask.png --invert --mask-blur 3.5 --content fill --area masked --padding 4 "
        "--seed 7 -o out.png"
    )
    settings, init_image = draw("inpaint", "in.png", "a pear", *options.split())
    with Image.open("mask.png") as mask:
        assert init_image.inpaint == Inpaint(mask.convert("L"), 3.5, True, "fill", "masked", 4)
    assert (settings.width, settings.height) == (16, 24)
    assert special_infotext("out.png") == {
        "Seed": "7",
        "Size": "16x24",
        "Denoising strength": "0.75",
        "Mask blur": "3.5",
        "Mask mode": "Inpaint not masked",
        "Masked content": "fill",
        "Inpaint area": "Only masked",
        "Masked area padding": "4",
    }


def test_transparent_parts_are_the_mask() -> None:
    picture = Image.new("RGBA", (16, 16), (255, 0, 0, 255))
    picture.paste((0, 0, 0, 0), (0, 0, 8, 16))
    picture.save("clear.png")
    _, init_image = draw("inpaint", "clear.png", "a pear")
    assert (mask_of(init_image)[:, :8] == 255).all()
    assert (mask_of(init_image)[:, 8:] == 0).all()


@pytest.mark.parametrize(("overlap", "kept"), [([], 12), (["0"], 24), (["3"], 21)], ids=str)
def test_the_overlap_of_the_old_picture_is_drawn_anew(overlap: list[str], kept: int) -> None:
    """16 pixels, or half of the shorter side, 24, where that is less."""
    options = ["--overlap", *overlap] if overlap else []
    _, init_image = draw("inpaint", "in.png", "a pear", "--top", "8", *options)
    rows = (mask_of(init_image) == 0).all(axis=1)
    assert rows.tolist() == [False] * (32 - kept) + [True] * kept


def test_extending_by_any_number_keeps_the_pixels() -> None:
    settings, init_image = draw("inpaint", "in.png", "a pear", "--left", "7", "--top", "1")
    assert (settings.width, settings.height) == (48, 32)
    prepared = init_image.prepare((48, 32))
    finished = prepared.compose(Image.new("RGB", (48, 32), "blue"))
    assert finished.size == (47, 25)
    assert finished.getpixel((46, 24)) == (255, 0, 0)
    assert finished.getpixel((0, 0)) == (0, 0, 255)


def test_upscale_takes_the_prompt_of_the_picture() -> None:
    write_picture("own.png", "a pear\nNegative prompt: blurry\nSteps: 2, Seed: 3, Size: 40x24")
    for command in (
        ["own.png", "--scale", "1.5"],
        ["own.png", "--prompt", "a fox"],
        ["own.png", "--negative", "dark"],
        ["in.png"],
    ):
        draw("upscale", *command)
    assert [(each.prompt, each.negative) for each in FakePipeline.runs] == [
        ("a pear", "blurry"),
        ("a fox", "blurry"),
        ("a pear", "dark"),
        ("", ""),
    ]


def test_upscale_has_the_options_of_img2img() -> None:
    options = (
        "--scale 1 --seed 7 --count 3 --batch 2 --sampler euler_a --eta 0.5 --clip-skip 2 "
        "--emphasis no_norm --rng cpu --set s_noise=0.9 --variation 0.25 --variation-seed 30 "
        "--seed-resize 64x32 -o out.png"
    )
    draw("upscale", "in.png", "--prompt", "a pear", *options.split())
    assert [(each.count, each.batch) for each in FakePipeline.runs] == [(2, 2), (1, 2)]
    assert [each.variation for each in FakePipeline.runs] == [
        Variation(30, 0.25, (64, 32)),
        Variation(32, 0.25, (64, 32)),
    ]
    assert special_infotext("out-3.png") == {
        "Seed": "7",
        "Size": "40x24",
        "Denoising strength": "0.3",
        "Clip skip": "2",
        "Emphasis": "No norm",
        "Eta": "0.5",
        "Sigma noise": "0.9",
        "Variation seed": "32",
        "Variation seed strength": "0.25",
        "Seed resize from": "64x32",
    }


DRAWING = {
    "txt2img": ["txt2img", "a"],
    "img2img": ["img2img", "in.png", "a"],
    "inpaint": ["inpaint", "in.png", "a", "--mask", "mask.png"],
}


@pytest.mark.parametrize(
    ("axes", "text"), [("xy", {"Tiling": "True"}), ("y", {"Tiling axis": "y"}), ("off", {})]
)
@pytest.mark.parametrize("command", DRAWING)
def test_upscale_keeps_seamless_pictures_seamless(
    axes: str, text: dict[str, str], command: str
) -> None:
    options = ["--seed", "7", "-o", "out.png", "--seamless", axes]
    if command == "txt2img":
        options += ["--size", "64x32"]
    assert run(*DRAWING[command], *options).exit_code == 0
    tiling = {key: value for key, value in infotext_of("out.png").items() if "Tiling" in key}
    assert tiling == text
    assert draw("upscale", "out.png", "--scale", "1")[0].seamless == axes.replace("off", "")
    assert draw("upscale", "out.png", "--scale", "1", "--seamless", "x")[0].seamless == "x"


@pytest.mark.parametrize("command", [*DRAWING, "upscale"])
@pytest.mark.parametrize("option", ["", "--zero-snr", "--no-zero-snr"])
def test_zero_snr_is_in_the_text(command: str, option: str) -> None:
    arguments = DRAWING.get(command, ["upscale", "in.png"])
    assert run(*arguments, "-o", "out.png", *option.split()).exit_code == 0
    expected = "Zero Terminal SNR" if option == "--zero-snr" else None
    assert infotext_of("out.png").get("Noise Schedule") == expected


@pytest.mark.parametrize("command", ["img2img", "inpaint"])
def test_variations_are_in_the_text(command: str) -> None:
    options = "--seed 1 --variation 0.2 --variation-seed 5 --seed-resize 32x16 -o out.png"
    draw(*DRAWING[command], *options.split())
    text = infotext_of("out.png")
    assert (text["Variation seed"], text["Seed resize from"]) == ("5", "32x16")


def test_parts_of_a_run() -> None:
    plain = Settings("a", seed=2**64 - 1, count=5)
    assert (plain.part(1, 2).seed, plain.part(1, 2).count) == (0, 2)
    varied = Settings("a", seed=3, variation=Variation(9, 0.5))
    assert varied.part(2, 1).seed == 3
    assert varied.part(2, 1).variation == Variation(11, 0.5)


def test_info_prints_what_was_written() -> None:
    assert run("txt2img", "a pear", "--seed", "7", "-o", "out.png").exit_code == 0
    assert run("info", "out.png").stdout == f"{read_infotext('out.png')}\n"
    record = json.loads(run("info", "out.png", "--json").stdout)
    assert record["prompt"] == "a pear"
    assert record["settings"]["Seed"] == "7"


def test_info_does_not_steer_the_terminal() -> None:
    assert escape_lines("a\x1b[31m\rb\nc\u202e é") == "a\\x1b[31m\\rb\nc\\u202e é"
