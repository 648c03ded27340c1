"""The commands that start from a picture: options, texts, errors."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from diffusion import Settings
from diffusion.cli.info import shown
from diffusion.infotext.grammar import parse_infotext, read_infotext
from diffusion.tasks import Hires, Inpaint, Variation
from gpucore.adapters import DEVICE_VARIABLE
from tests.diffusion.test_cli import PretendedPipeline, run, status_of


@pytest.fixture
def pretended(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> type[PretendedPipeline]:
    """A stand-in for a loaded model, and a folder with a picture and a mask to run in."""
    PretendedPipeline.loaded, PretendedPipeline.ran, PretendedPipeline.closed = [], [], []
    PretendedPipeline.lacked, PretendedPipeline.parts = [], []
    PretendedPipeline.previewed = []
    PretendedPipeline.redone = None
    PretendedPipeline.stop_at_run = None
    monkeypatch.setattr(sys.modules["diffusion.cli.job"], "Pipeline", PretendedPipeline)
    monkeypatch.setenv(DEVICE_VARIABLE, "null")
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (40, 24), "red").save("in.png")
    mask().save("mask.png")
    return PretendedPipeline


def mask() -> Image.Image:
    pixels = np.zeros((24, 40), np.uint8)
    pixels[8:16, 8:16] = 255
    return Image.fromarray(pixels)


def told(name: str) -> dict[str, str]:
    """The settings in a picture's text, without those of every picture."""
    settings = dict(parse_infotext(read_infotext(name) or "").settings)
    usual = "Steps,Sampler,Schedule type,CFG scale,Model hash,Model,RNG,Version".split(",")
    return {key: value for key, value in settings.items() if key not in usual}


def test_img2img(pretended: type[PretendedPipeline]) -> None:
    options = (
        "--strength 0.6 --resize crop --seed 7 --size 32x16 --clip-skip 2 --rng cpu "
        "--set s_noise=0.9 -o out.png"
    )
    done = run("img2img", "in.png", "a pear", *options.split())
    assert done.exit_code == 0, done.stderr
    (ran,) = pretended.ran
    assert ran.source is not None
    assert ran.source.image == Image.new("RGB", (40, 24), "red")
    assert (ran.source.strength, ran.source.resize, ran.source.inpaint) == (0.6, "crop", None)
    assert (ran.width, ran.height, ran.clip_skip) == (32, 16, 2)
    assert (ran.rng, ran.sampling.s_noise) == ("cpu", 0.9)
    assert told("out.png") == {
        "Seed": "7",
        "Size": "32x16",
        "Denoising strength": "0.6",
        "Clip skip": "2",
        "Sigma noise": "0.9",
    }


def test_the_picture_gives_the_size(pretended: type[PretendedPipeline]) -> None:
    record = json.loads(run("img2img", "in.png", "a pear", "--json").stdout)
    assert (pretended.ran[0].width, pretended.ran[0].height) == (40, 24)
    assert record["settings"]["source"]["image"] == "40x24"


def test_inpaint(pretended: type[PretendedPipeline]) -> None:
    options = (
        "--mask mask.png --invert --mask-blur 3.5 --content fill --area masked --padding 4 "
        "--seed 7 -o out.png"
    )
    done = run("inpaint", "in.png", "a pear", *options.split())
    assert done.exit_code == 0, done.stderr
    (ran,) = pretended.ran
    assert ran.source is not None
    assert ran.source.inpaint == Inpaint(mask(), 3.5, True, "fill", "masked", 4)
    assert ran.source.strength == 0.75
    assert (ran.width, ran.height) == (16, 24)
    assert told("out.png") == {
        "Seed": "7",
        "Size": "16x24",
        "Denoising strength": "0.75",
        "Mask blur": "3.5",
        "Mask mode": "Inpaint not masked",
        "Masked content": "fill",
        "Inpaint area": "Only masked",
        "Masked area padding": "4",
    }


def test_what_is_transparent_is_the_mask(pretended: type[PretendedPipeline]) -> None:
    picture = Image.new("RGBA", (16, 16), (255, 0, 0, 255))
    picture.paste((0, 0, 0, 0), (0, 0, 8, 16))
    picture.save("clear.png")
    assert run("inpaint", "clear.png", "a pear").exit_code == 0
    source = pretended.ran[0].source
    assert source is not None
    assert source.inpaint is not None
    found = np.asarray(source.inpaint.mask)
    assert (found[:, :8] == 255).all()
    assert (found[:, 8:] == 0).all()


def test_extending(pretended: type[PretendedPipeline]) -> None:
    assert run("inpaint", "in.png", "a pear", "--left", "24", "--bottom", "8").exit_code == 0
    source = pretended.ran[0].source
    assert source is not None
    assert source.image.size == (64, 32)
    assert source.strength == 0.9
    assert (pretended.ran[0].width, pretended.ran[0].height) == (64, 32)


@pytest.mark.parametrize(("overlap", "kept"), [(None, 12), (0, 24), (3, 21)])
def test_the_old_picture_s_overlap_is_drawn_anew(
    pretended: type[PretendedPipeline], overlap: int | None, kept: int
) -> None:
    """16 pixels, or half of the shorter side, 24, where that is less."""
    given = [] if overlap is None else ["--overlap", str(overlap)]
    assert run("inpaint", "in.png", "a pear", "--top", "8", *given).exit_code == 0
    source = pretended.ran[0].source
    assert source is not None
    assert source.inpaint is not None
    rows = (np.asarray(source.inpaint.mask) == 0).all(axis=1)
    assert rows.tolist() == [False] * (32 - kept) + [True] * kept


def test_extending_by_any_number_keeps_the_pixels(pretended: type[PretendedPipeline]) -> None:
    assert run("inpaint", "in.png", "a pear", "--left", "7", "--top", "1").exit_code == 0
    ran = pretended.ran[0]
    assert ran.source is not None
    assert (ran.width, ran.height) == (48, 32)
    canvas = ran.source.canvas((48, 32))
    finished = canvas.finished(Image.new("RGB", (48, 32), "blue"))
    assert finished.size == (47, 25)
    assert finished.getpixel((46, 24)) == (255, 0, 0)
    assert finished.getpixel((0, 0)) == (0, 0, 255)


def test_upscale_takes_the_pictures_own_prompt(pretended: type[PretendedPipeline]) -> None:
    text = PngInfo()
    text.add_text("parameters", "a pear\nNegative prompt: blurry\nSteps: 2, Seed: 3, Size: 40x24")
    Image.new("RGB", (40, 24)).save("own.png", pnginfo=text)
    assert run("upscale", "own.png", "--scale", "1.5").exit_code == 0
    assert run("upscale", "own.png", "--prompt", "a fox", "--upscaler", "nearest").exit_code == 0
    assert run("upscale", "in.png", "--vae-tiling", "on").exit_code == 0
    prompts = [(ran.prompt, ran.negative) for ran in pretended.ran]
    assert prompts == [("a pear", "blurry"), ("a fox", "blurry"), ("", "")]
    sizes = [ran.source.image.size for ran in pretended.ran if ran.source]
    assert sizes == [(64, 32), (80, 48), (80, 48)]
    assert [ran.vae_tiling for ran in pretended.ran] == ["auto", "auto", "on"]


def test_upscale_has_the_options_of_img2img(pretended: type[PretendedPipeline]) -> None:
    options = (
        "--scale 1 --seed 7 --count 3 --batch 2 --sampler euler_a --eta 0.5 --clip-skip 2 "
        "--emphasis no_norm --rng cpu --set s_noise=0.9 --variation 0.25 --variation-seed 30 "
        "--seed-resize 64x32 -o out.png"
    )
    done = run("upscale", "in.png", "--prompt", "a pear", *options.split())
    assert done.exit_code == 0, done.stderr
    assert [(ran.count, ran.batch) for ran in pretended.ran] == [(2, 2), (1, 2)]
    first = pretended.ran[0]
    assert (first.eta, first.clip_skip, first.emphasis, first.rng) == (0.5, 2, "no_norm", "cpu")
    assert first.sampling.s_noise == 0.9
    assert [ran.variation for ran in pretended.ran] == [
        Variation(30, 0.25, (64, 32)),
        Variation(32, 0.25, (64, 32)),
    ]
    assert told("out-3.png") == {
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


@pytest.mark.parametrize("command", ["txt2img", "img2img", "inpaint", "upscale"])
def test_all_commands_that_draw_share_their_options(command: str) -> None:
    """But for where a picture's size, prompt and text come from."""
    text = " ".join(run(command, "--help").stdout.split())
    for option in (
        "negative seed count variation variation-seed seed-resize steps guidance sampler schedule "
        "eta emphasis clip-skip batch rng set zero-snr refiner refiner-switch seamless vae-tiling "
        "model tokenizer prediction vae dtype output preview preview-every preview-vae device "
        "profile json debug"
    ).split():
        assert f"--{option} " in text, option


def test_seamless(pretended: type[PretendedPipeline]) -> None:
    Image.new("RGB", (64, 32)).save("even.png")
    options = ("--seed", "7", "-o", "out.png", "--seamless")
    masked = ("a", "--mask", "mask.png")
    for axes, text in (("xy", {"Tiling": "True"}), ("y", {"Tiling axis": "y"}), ("off", {})):
        for command in (
            ("txt2img", "a"),
            ("img2img", "in.png", "a"),
            ("inpaint", "in.png", *masked),
        ):
            done = run(*command, *options, axes)
            assert done.exit_code == 0, done.stderr
            assert pretended.ran[-1].seamless == axes.replace("off", "")
            carried = {key: value for key, value in told("out.png").items() if "Tiling" in key}
            assert carried == text
        run("txt2img", "a", *options, axes)
        assert run("upscale", "out.png", "--scale", "1").exit_code == 0
        assert pretended.ran[-1].seamless == axes.replace("off", "")
        assert run("upscale", "out.png", "--seamless", "x").exit_code == 0
        assert pretended.ran[-1].seamless == "x"


def test_zero_snr(pretended: type[PretendedPipeline]) -> None:
    """Off, told to the pipeline and in the text, and read back by --from."""
    for command in (["txt2img", "a"], ["img2img", "in.png", "a"], ["upscale", "in.png"]):
        for given, chosen in (([], False), (["--zero-snr"], True), (["--no-zero-snr"], False)):
            done = run(*command, "--seed", "7", "-o", "out.png", *given)
            assert done.exit_code == 0, done.stderr
            assert pretended.ran[-1].zero_snr is chosen
            text = {"Noise Schedule": "Zero Terminal SNR"} if chosen else {}
            assert text.items() <= told("out.png").items()
            assert ("Noise Schedule" in told("out.png")) is chosen
    inpaint = ("inpaint", "in.png", "a", "--mask", "mask.png", "--zero-snr")
    assert run(*inpaint).exit_code == 0
    assert pretended.ran[-1].zero_snr
    assert run("txt2img", "a", "--zero-snr", "-o", "zero.png").exit_code == 0
    for given, chosen in (([], True), (["--no-zero-snr"], False), (["--steps", "4"], True)):
        assert run("txt2img", "--from", "zero.png", "-o", "again.png", *given).exit_code == 0
        assert pretended.ran[-1].zero_snr is chosen


@pytest.mark.parametrize(("value", "chosen"), [("Default", False), ("Zero Terminal SNR", True)])
def test_the_webuis_noise_schedule(
    pretended: type[PretendedPipeline], value: str, chosen: bool
) -> None:
    for said in (value, "Linear"):
        text = PngInfo()
        text.add_text("parameters", f"a\nSteps: 2, Seed: 3, Size: 40x24, Noise Schedule: {said}")
        Image.new("RGB", (40, 24)).save(f"{said}.png", pnginfo=text)
    assert run("txt2img", "--from", f"{value}.png").exit_code == 0
    assert pretended.ran[-1].zero_snr is chosen
    wrong = run("txt2img", "--from", "Linear.png")
    assert wrong.exit_code == 2
    assert "Noise Schedule cannot be 'Linear'" in wrong.stderr


def test_hires_and_variations(pretended: type[PretendedPipeline]) -> None:
    options = (
        "--hires 1.5 --hires-upscaler lanczos --hires-strength 0.4 --hires-steps 5 "
        "--hires-sampler euler_a --hires-prompt b --hires-negative c "
        "--hires-schedule karras --hires-guidance 3 "
        "--variation 0.25 --variation-seed 30 --seed-resize 64x32 --seed 7 --count 2 --batch 1"
    )
    done = run("txt2img", "a pear", *options.split(), "-o", "out.png")
    assert done.exit_code == 0, done.stderr
    hires = Hires(1.5, "lanczos", 0.4, 5, "euler_a", "karras", "b", "c", 3.0)
    assert [ran.hires for ran in pretended.ran] == [hires] * 2
    assert [ran.variation for ran in pretended.ran] == [
        Variation(30, 0.25, (64, 32)),
        Variation(31, 0.25, (64, 32)),
    ]
    assert told("out-2.png") == {
        "Seed": "7",
        "Size": "16x24",
        "Variation seed": "31",
        "Variation seed strength": "0.25",
        "Seed resize from": "64x32",
        "Denoising strength": "0.4",
        "Hires upscale": "1.5",
        "Hires upscaler": "Lanczos",
        "Hires steps": "5",
        "Hires sampler": "Euler a",
        "Hires schedule type": "Karras",
        "Hires CFG Scale": "3",
        "Hires prompt": "b",
        "Hires negative prompt": "c",
    }


def test_parts_of_a_run() -> None:
    plain = Settings("a", seed=2**64 - 1, count=5)
    assert (plain.part(1, 2).seed, plain.part(1, 2).count) == (0, 2)
    varied = Settings("a", seed=3, variation=Variation(9, 0.5))
    assert varied.part(2, 1).seed == 3
    assert varied.part(2, 1).variation == Variation(11, 0.5)


WRONG: list[tuple[list[str], str]] = [
    (["img2img", "none.png", "a"], "none.png'; it cannot be read: No such file"),
    (["img2img", "notes.txt", "a"], "give a PNG, JPEG or WebP file"),
    (["img2img", "in.png", "a", "--strength", "2"], "--strength cannot be 2"),
    (["img2img", "in.png", "a", "--resize", "shrnk"], "--resize cannot be 'shrnk'"),
    (
        ["inpaint", "in.png", "a"],
        "--mask is missing; give --mask FILE, or a picture with transparent",
    ),
    (["inpaint", "in.png", "a", "--mask", "in.png", "--left", "8"], "extend the picture, or give"),
    (
        ["inpaint", "in.png", "a", "--left", "8", "--invert"],
        "what is added to the picture is drawn",
    ),
    (["inpaint", "in.png", "a", "--mask", "mask.png", "--padding", "8"], "give --area masked"),
    (["img2img", "in.png", "a", "--resize", "pad", "--size", "64x64"], "resize pad it follows"),
    (["inpaint", "in.png", "a", "--mask", "notes.txt"], "--mask cannot be 'notes.txt'"),
    (["inpaint", "in.png", "a", "--mask", "mask.png", "--area", "al"], "--area cannot be 'al'"),
    (["inpaint", "in.png", "a", "--left", "99999"], "--left cannot be 99999"),
    (["inpaint", "in.png", "a", "--left", "8", "--overlap", "13"], "--overlap cannot be 13"),
    (
        ["inpaint", "in.png", "a", "--mask", "mask.png", "--overlap", "4"],
        "--overlap cannot be 4; give --left, --top, --right or --bottom beside it",
    ),
    (
        ["inpaint", "in.png", "a", "--mask", "mask.png", "--refiner-switch", "0.5"],
        "--refiner-switch cannot be 0.5; give --refiner MODEL beside it",
    ),
    (["upscale", "in.png", "--refiner-switch", "0.5"], "give --refiner MODEL beside it"),
    (["upscale", "in.png", "--variation-seed", "5"], "give --variation STRENGTH beside it"),
    (["upscale", "in.png", "--set", "rho=x"], "--set rho cannot be 'x'; give a number"),
    (["upscale", "in.png", "--clip-skip", "0"], "--clip-skip cannot be 0"),
    (["upscale", "in.png", "--count", "0"], "--count cannot be 0"),
    (["upscale", "in.png", "--scale", "17"], "--scale cannot be 17"),
    (
        ["upscale", "thin.png", "--scale", "16"],
        "--scale cannot be 16.0; 16x64000 is over 16384 pixels a side",
    ),
    (["upscale", "in.png", "--upscaler", "latent"], "--upscaler cannot be 'latent'"),
    (["txt2img", "a", "--hires", "0.5"], "--hires cannot be 0.5"),
    (["txt2img", "a", "--hires", "2", "--hires-upscaler", "esrgan"], "--hires-upscaler cannot be"),
    (["txt2img", "a", "--variation", "2"], "--variation cannot be 2"),
    (
        ["txt2img", "a", "--variation", "1", "--variation-seed", "-2"],
        "--variation-seed cannot be -2",
    ),
    (["txt2img", "a", "--seed-resize", "big"], "--seed-resize cannot be 'big'"),
    (["txt2img", "a", "--vae-tiling", "yes"], "--vae-tiling cannot be 'yes'"),
    (
        ["txt2img", "a", "--seamless", "yes"],
        "--seamless cannot be 'yes'; give one of off, x, y, xy",
    ),
    (
        ["inpaint", "in.png", "a", "--left", "3", "--seamless", "x"],
        "what pads the picture to multiples of 8 is cut off again; give a size",
    ),
    (
        ["inpaint", "in.png", "a", "--mask", "mask.png", "--area", "masked", "--seamless", "x"],
        "a box around the mask is drawn",
    ),
    (["info", "in.png"], "it carries no settings"),
    (["info", "none.png"], "it cannot be read"),
]


@pytest.mark.parametrize(("arguments", "message"), WRONG, ids=lambda x: " ".join(x)[:30])
def test_wrong_input_is_one_line_before_a_model_is_loaded(
    pretended: type[PretendedPipeline],
    arguments: list[str],
    message: str,
    capfd: pytest.CaptureFixture[str],
) -> None:
    Path("notes.txt").write_text("a note")
    Image.new("RGB", (1, 4000)).save("thin.png")
    assert status_of(*arguments) == 2
    stdout, stderr = capfd.readouterr()
    assert stdout == ""
    assert stderr.startswith("avila: ")
    assert stderr.count("\n") == 1, stderr
    assert message in stderr
    assert pretended.loaded == []


def test_info_reads_back_what_was_written(pretended: type[PretendedPipeline]) -> None:
    assert run("txt2img", "a pear", "--seed", "7", "-o", "out.png").exit_code == 0
    assert pretended.ran
    text = read_infotext("out.png")
    assert run("info", "out.png").stdout == f"{text}\n"
    record: dict[str, Any] = json.loads(run("info", "out.png", "--json").stdout)
    assert record["prompt"] == "a pear"
    assert record["settings"]["Seed"] == "7"


def test_info_does_not_steer_the_terminal() -> None:
    assert shown("a\x1b[31m\rb\nc\u202e é") == "a\\x1b[31m\\rb\nc\\u202e é"


@pytest.mark.parametrize("command", ["txt2img", "img2img", "inpaint", "upscale", "info"])
def test_help_teaches(command: str) -> None:
    text = " ".join(run(command, "--help").stdout.split())
    assert f"avila {command} " in text
    assert "Examples" in text
    assert command in run("--help").stdout
    if command != "info":
        assert "[word] less" in text or command == "upscale"


@pytest.mark.parametrize("command", [["img2img"], ["inpaint", "--mask", "mask.png"]], ids=str)
def test_variations_of_what_comes_from_a_picture(
    pretended: type[PretendedPipeline], command: list[str]
) -> None:
    start = [command[0], "in.png", "a", *command[1:], "--seed", "1"]
    options = ["--variation", "0.2", "--variation-seed", "5", "--seed-resize", "32x16"]
    assert run(*start, *options).exit_code == 0
    assert run(*start).exit_code == 0
    assert [each.variation for each in pretended.ran] == [Variation(5, 0.2, (32, 16)), None]
    settings = parse_infotext(read_infotext("00001-1.png") or "").settings
    assert settings["Variation seed"] == "5"
    assert settings["Seed resize from"] == "32x16"
    wrong = run(*start, "--variation-seed", "5")
    assert wrong.stderr.startswith("avila: --variation-seed cannot be 5; give --variation")
