"""``avila txt2img --from``, ``--set`` and ``--rng``: what they make of the settings."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner

from diffusion import Settings
from diffusion.cli import main
from diffusion.cli.output import Output
from diffusion.cli.program import app
from diffusion.cli.rarer import carried_switch
from diffusion.infotext.from_settings import others_text, picture_text
from diffusion.infotext.grammar import parse_infotext, read_infotext
from diffusion.tasks import Hires, Variation
from diffusion.tasks.sampling_options import Sampling
from gpucore import f16, f32
from gpucore.adapters import DEVICE_VARIABLE
from tests.diffusion.test_cli import PretendedPipeline, pretended  # noqa: F401 - a fixture

DRAWN = Settings(
    "a red apple",
    "bad",
    64,
    48,
    3,
    4.5,
    "euler",
    "karras",
    7,
    eta=0.5,
    rng="cpu",
    variation=Variation(9, 0.5),
    sampling=Sampling(rho=5.0),
)
AGAIN = Settings(
    "a red apple",
    "bad",
    64,
    48,
    3,
    4.5,
    "Euler",
    "Karras",
    7,
    eta=0.5,
    emphasis="original",
    rng="CPU",
    variation=Variation(9, 0.5),
    sampling=Sampling(rho=5.0),
)


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[Settings]:
    """The settings of each run, none of which draws anything."""
    command = sys.modules["diffusion.cli.job"]
    found: list[Settings] = []

    def run(job: object, *_: object) -> None:
        found.append(job.settings)  # type: ignore[attr-defined]
        job.about = {"model": {"name": "m", "hash": "0123456789"}}  # type: ignore[attr-defined]

    monkeypatch.setattr(command.Job, "run", run)
    monkeypatch.setenv(DEVICE_VARIABLE, "null")
    monkeypatch.chdir(tmp_path)
    for suffix in ("png", "jpg", "webp"):
        text = picture_text(DRAWN, 0, "m", "0123456789", "Avila 1")
        Output.named(f"a.{suffix}").save(Image.new("RGB", (64, 48)), 7, 1, 1, text)
    Image.new("RGB", (8, 8)).save("bare.png")
    return found


def run(*arguments: str) -> str:
    done = CliRunner().invoke(app, ["txt2img", *arguments])
    assert done.exit_code == 0, done.output
    return done.stderr


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp"])
def test_from_a_picture(ran: list[Settings], suffix: str) -> None:
    told = run("--from", f"a.{suffix}")
    assert ran == [AGAIN]
    assert "another model" not in told


@pytest.mark.parametrize(
    ("arguments", "change"),
    [
        (["a pear"], {"prompt": "a pear"}),
        (["--negative", ""], {"negative": ""}),
        (["--size", "72x80"], {"width": 72, "height": 80}),
        (["--seed", "8", "--count", "2"], {"seed": 8, "count": 2}),
        (["--steps", "9", "--sampler", "lms"], {"steps": 9, "sampler": "lms"}),
        (["--set", "s_noise=0.9"], {"sampling": Sampling(s_noise=0.9, rho=5.0)}),
        (["--set", "rho=", "--set", "order=2"], {"sampling": Sampling(order=2)}),
        (["--rng", "nv", "--clip-skip", "2"], {"rng": "nv", "clip_skip": 2}),
        (["--variation", "0"], {"variation": None}),
        (["--emphasis", "no_norm", "--eta", "0"], {"emphasis": "no_norm", "eta": 0.0}),
        (["--guidance", "2", "--schedule", "beta"], {"guidance": 2.0, "schedule": "beta"}),
        (["--vae-tiling", "on", "--batch", "1"], {"vae_tiling": "on", "batch": 1}),
    ],
    ids=lambda each: " ".join(each) if isinstance(each, list) else "",
)
def test_options_beside_it_change_it(
    ran: list[Settings], arguments: list[str], change: dict[str, object]
) -> None:
    run("--from", "a.png", *arguments)
    assert ran == [dataclasses.replace(AGAIN, **change)]  # type: ignore[arg-type]


def test_hires_options_go_together(ran: list[Settings]) -> None:
    run("--from", "a.png", "--hires", "1.5", "--hires-steps", "4")
    assert ran[0].hires is not None
    assert (ran[0].hires.scale, ran[0].hires.steps) == (1.5, 4)


def test_an_option_mends_what_another_program_wrote(
    ran: list[Settings], capsys: pytest.CaptureFixture[str]
) -> None:
    """The WebUI has upscalers that are networks of their own."""
    text = "a\nSteps: 3, Denoising strength: 0.4, Hires upscale: 2, Hires upscaler: R-ESRGAN 4x+"
    Output.named("b.png").save(Image.new("RGB", (64, 48)), 7, 1, 1, text)
    run("--from", "b.png", "--hires-upscaler", "lanczos")
    assert ran[0].hires == Hires(2.0, "lanczos", 0.4)
    with pytest.raises(SystemExit):
        main(["txt2img", "--from", "b.png"])
    assert "--hires-upscaler cannot be 'R-ESRGAN 4x+'; give one of" in capsys.readouterr().err


@pytest.mark.usefixtures("ran")
def test_a_refiner_goes_without_a_second_pass(capsys: pytest.CaptureFixture[str]) -> None:
    """Told before two models are loaded."""
    with pytest.raises(SystemExit):
        main(["txt2img", "a", "--hires", "2", "--refiner", "r"])
    assert "--refiner cannot be 'r'; not with --hires" in capsys.readouterr().err


@pytest.mark.usefixtures("ran")
def test_other_networks_are_told() -> None:
    about = {
        "model": {"name": "m", "hash": "0123456789", "dtype": "f32"},
        "vae": {"name": "v", "hash": "aaaa"},
        "refiner": {"name": "r", "hash": "bbbb"},
    }
    more = others_text(about, 0.7)
    assert more == {
        "Compute dtype": "f32",
        "VAE": "v",
        "VAE hash": "aaaa",
        "Refiner": "r [bbbb]",
        "Refiner switch at": 0.7,
    }
    text = picture_text(DRAWN, 0, "m", "0123456789", "Avila 1", more)
    Output.named("b.png").save(Image.new("RGB", (64, 48)), 7, 1, 1, text)
    told = run("--from", "b.png")
    assert "names another VAE, 'v' ('aaaa'); drawn by the model's own; give --vae" in told
    assert (
        "names another refiner, 'r [bbbb]' ('bbbb'); drawn by the model alone; give --refiner"
        in told
    )
    assert carried_switch(text) == 0.7
    assert carried_switch("a\nSteps: 1, Seed: 2, Refiner switch at: x") is None
    assert carried_switch("a") is None


@pytest.mark.usefixtures("ran")
def test_another_model_is_told() -> None:
    text = picture_text(DRAWN, 0, "other\x1b[31m", "9876543210", "Avila 1")
    Output.named("b.png").save(Image.new("RGB", (64, 48)), 7, 1, 1, text)
    told = run("--from", "b.png")
    assert "names another model, 'other\\x1b[31m' ('9876543210'); drawn by m (0123456789)" in told


def test_rarer_choices(ran: list[Settings]) -> None:
    run("a", "--set", "s_churn=10", "--set", "order=3", "--set", "sigma-max=9.5", "--rng", "CPU")
    assert ran[0].sampling == Sampling(s_churn=10.0, order=3, sigma_max=9.5)
    assert ran[0].rng == "CPU"


@pytest.mark.usefixtures("ran")
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--from", "bare.png"], "--from cannot be 'bare.png'; it carries no settings"),
        (["--from", "none.png"], "No such file"),
        ([], "prompt is missing; give one, or --from PICTURE"),
        (["a", "--set", "s_chrun=1"], "--set cannot be 's_chrun=1'; give NAME=VALUE, NAME one of"),
        (["a", "--set", "rho"], "--set cannot be 'rho'"),
        (["a", "--set", "rho=x"], "--set rho cannot be 'x'; give a number"),
        (["a", "--set", "rho=0"], "--set rho cannot be 0.0; give a number from 0.1 on"),
        (["a", "--set", "rho=1e-300"], "--set rho cannot be 1e-300; give a number from 0.1 on"),
        (
            ["a", "--set", "sigma_min=1e-300"],
            "--set sigma_min cannot be 1e-300; give a number from",
        ),
        (["a", "--set", "order=5"], "--set order cannot be 5; give a whole number from 1 to 4"),
        (["a", "--set", "s_noise=nan"], "--set s_noise cannot be nan"),
        (["a", "--rng", "gpuu"], "--rng cannot be 'gpuu'; did you mean"),
        (["a", "--dtype", "f8"], "--dtype cannot be 'f8'; give one of f16, f32"),
        (["a", "--refiner-switch", "0.5"], "give --refiner MODEL beside it"),
        (["a", "--refiner", "r", "--refiner-switch", "2"], "--refiner-switch cannot be 2.0"),
    ],
)
def test_wrong_input(arguments: list[str], message: str, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["txt2img", *arguments])
    stderr = capfd.readouterr().err
    assert stderr.count("\n") == 1
    assert message in stderr


@pytest.fixture
def enlarged(ran: list[Settings]) -> list[Settings]:
    """The same, with a picture of two passes."""
    drawn = dataclasses.replace(DRAWN, hires=Hires(2.0, "lanczos", 0.4, prompt="a pear"))
    text = picture_text(drawn, 0, "m", "0123456789", "Avila 1")
    Output.named("two.png").save(Image.new("RGB", (128, 96)), 7, 1, 1, text)
    return ran


def test_an_option_about_the_second_pass_keeps_it(enlarged: list[Settings]) -> None:
    run("--from", "two.png", "--hires-steps", "4", "--hires-negative", "blue")
    run("--from", "two.png", "--hires", "1.5")
    first, scaled = (each.hires for each in enlarged)
    assert first is not None
    assert scaled is not None
    assert (first.scale, first.strength, first.prompt) == (2.0, 0.4, "a pear")
    assert (first.steps, first.negative) == (4, "blue")
    assert scaled == Hires(1.5, "Lanczos", 0.4, prompt="a pear")


def test_seamless_pictures_stay_so(ran: list[Settings]) -> None:
    for axes in ("xy", "x"):
        text = picture_text(dataclasses.replace(DRAWN, seamless=axes), 0, "m", "01", "Avila 1")
        Output.named("ring.png").save(Image.new("RGB", (64, 48)), 7, 1, 1, text)
        run("--from", "ring.png", "--steps", "4")
        run("--from", "ring.png", "--seamless", "y")
        run("--from", "ring.png", "--seamless", "off")
    run("--from", "a.png")
    assert [each.seamless for each in ran] == ["xy", "y", "", "x", "y", "", ""]


def test_an_option_about_the_variation_keeps_it(ran: list[Settings]) -> None:
    run("--from", "a.png", "--variation-seed", "11")
    run("--from", "a.png", "--variation", "0.2")
    run("--from", "a.png", "--seed-resize", "32x32")
    assert [each.variation for each in ran] == [
        Variation(11, 0.5),
        Variation(9, 0.2),
        Variation(9, 0.5, (32, 32)),
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["a", "--hires-steps", "4"], "--hires-steps cannot be 4; give --hires SCALE beside it"),
        (["--from", "a.png", "--hires-strength", "0.4"], "give --hires SCALE beside it"),
        (["a", "--variation-seed", "4"], "give --variation STRENGTH beside it"),
        (["a", "--seed-resize", "5"], "--seed-resize cannot be '5'; give WIDTHxHEIGHT"),
    ],
)
def test_options_that_would_change_nothing(
    ran: list[Settings], arguments: list[str], message: str
) -> None:
    done = CliRunner().invoke(app, ["txt2img", *arguments])
    assert done.exit_code == 2
    assert message in done.stderr
    assert not ran


@pytest.mark.usefixtures("pretended")
def test_what_was_computed_in_comes_back() -> None:
    """Where it was chosen; an option beside ``--from`` replaces it, and a text is not trusted."""
    run("a", "--dtype", "f32", "--output", "f32.png")
    run("a", "--output", "any.png")
    for source, more in (("f32", ""), ("any", ""), ("f32", "--dtype f16"), ("any", "--dtype f16")):
        run("--from", f"{source}.png", *more.split(), "--output", "again.png")
    assert [dtype for dtype, _ in PretendedPipeline.parts] == [f32, None, f32, None, f16, f16]
    said = [read_infotext(name) or "" for name in ("f32.png", "any.png", "again.png")]
    dtypes = [parse_infotext(text).settings.get("Compute dtype") for text in said]
    assert dtypes == ["f32", None, "f16"]
    text = said[0].replace("dtype: f32", "dtype: ../f8")
    Output.named("bad.png").save(Image.new("RGB", (16, 24)), 7, 1, 1, text)
    wrong = CliRunner().invoke(app, ["txt2img", "--from", "bad.png"])
    assert (wrong.exit_code, len(PretendedPipeline.parts)) == (2, 6)
    assert "--dtype cannot be '../f8'; give one of f16, f32" in wrong.stderr
