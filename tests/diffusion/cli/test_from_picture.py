"""``avila txt2img --from``: a picture drawn again, and options that change its settings."""

from __future__ import annotations

import dataclasses
import shlex
from typing import Any

import pytest

from diffusion import Settings
from diffusion.cli.from_picture import refiner_switch_of
from diffusion.infotext.from_settings import infotext_from_settings, other_networks_fields
from diffusion.tasks import Hires, Variation
from diffusion.tasks.sampling_settings import SamplingSettings
from gpucore import f16, f32
from tests.diffusion.cli.fake_pipeline import (
    DRAWN,
    FakePipeline,
    exit_status,
    infotext_of,
    run,
    write_picture,
)

pytestmark = pytest.mark.usefixtures("pictures")


def settings_of(options: str) -> Settings:
    """Return the settings that the command draws with."""
    done = run("txt2img", *shlex.split(options))
    assert done.exit_code == 0, done.stderr
    return FakePipeline.runs[-1]


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp"])
def test_a_picture_drawn_again(suffix: str) -> None:
    write_picture(f"again.{suffix}")
    done = run("txt2img", "--from", f"again.{suffix}")
    assert FakePipeline.runs == [DRAWN]
    assert "another model" not in done.stderr


CHANGES: list[tuple[str, dict[str, Any]]] = [
    ("'a pear'", {"prompt": "a pear"}),
    ("''", {"prompt": ""}),
    ("--negative ''", {"negative": ""}),
    ("--size 72x80", {"width": 72, "height": 80}),
    ("--seed 8 --count 2", {"seed": 8, "count": 2, "batch": 2}),
    ("--steps 9 --sampler lms", {"steps": 9, "sampler": "lms"}),
    ("--set s_noise=0.9", {"sampling": SamplingSettings(s_noise=0.9, rho=5.0)}),
    ("--set rho= --set order=2", {"sampling": SamplingSettings(order=2)}),
    ("--rng nv --clip-skip 2", {"rng": "nv", "clip_skip": 2}),
    ("--variation 0", {"variation": None}),
    ("--variation 0.2", {"variation": Variation(9, 0.2)}),
    ("--variation-seed 11", {"variation": Variation(11, 0.5)}),
    ("--seed-resize 32x32", {"variation": Variation(9, 0.5, (32, 32))}),
    ("--emphasis no_norm --eta 0", {"emphasis": "no_norm", "eta": 0.0}),
    ("--guidance 2 --schedule beta", {"guidance": 2.0, "schedule": "beta"}),
    ("--vae-tiling on --batch 1", {"vae_tiling": "on", "batch": 1}),
    ("--hires 1.5 --hires-steps 4", {"hires": Hires(1.5, steps=4)}),
    ("--zero-snr", {"zero_snr": True}),
    ("--seamless y", {"seamless": "y"}),
]


@pytest.mark.parametrize(("options", "changes"), CHANGES)
def test_options_beside_it_change_it(options: str, changes: dict[str, Any]) -> None:
    assert settings_of(f"--from drawn.png {options}") == dataclasses.replace(DRAWN, **changes)


@pytest.mark.parametrize(
    ("options", "hires"),
    [
        ("", Hires(2.0, "Lanczos", 0.4, prompt="a pear")),
        ("--hires 1.5", Hires(1.5, "Lanczos", 0.4, prompt="a pear")),
        (
            "--hires-steps 4 --hires-negative blue",
            Hires(2.0, "Lanczos", 0.4, 4, prompt="a pear", negative="blue"),
        ),
    ],
)
def test_an_option_about_the_second_pass_keeps_its_others(options: str, hires: Hires) -> None:
    assert settings_of(f"--from hires.png {options}").hires == hires


def test_a_random_seed_beside_it() -> None:
    assert settings_of("--from drawn.png --seed -1").seed != DRAWN.seed


@pytest.mark.parametrize("axes", ["xy", "x"])
@pytest.mark.parametrize(
    ("options", "expected"), [("--steps 4", None), ("--seamless y", "y"), ("--seamless off", "")]
)
def test_seamless_pictures_stay_so(axes: str, options: str, expected: str | None) -> None:
    write_picture("ring.png", seamless=axes)
    found = settings_of(f"--from ring.png {options}").seamless
    assert found == (axes if expected is None else expected)


@pytest.mark.parametrize(
    ("options", "expected"), [("", True), ("--no-zero-snr", False), ("--steps 4", True)]
)
def test_zero_snr_comes_back(options: str, expected: bool) -> None:
    write_picture("zero.png", zero_snr=True)
    assert settings_of(f"--from zero.png {options}").zero_snr is expected


@pytest.mark.parametrize(("value", "expected"), [("Default", False), ("Zero Terminal SNR", True)])
def test_the_noise_schedule_of_the_webui(value: str, expected: bool) -> None:
    write_picture("a.png", f"a\nSteps: 2, Seed: 3, Size: 40x24, Noise Schedule: {value}")
    assert settings_of("--from a.png").zero_snr is expected


def test_an_unknown_noise_schedule_is_refused() -> None:
    write_picture("a.png", "a\nSteps: 2, Seed: 3, Size: 40x24, Noise Schedule: Linear")
    wrong = run("txt2img", "--from", "a.png")
    assert wrong.exit_code == 2
    assert "Noise Schedule cannot be 'Linear'" in wrong.stderr


def test_an_option_corrects_what_another_program_wrote(
    capsys: pytest.CaptureFixture[str],
) -> None:
    text = "a\nSteps: 3, Denoising strength: 0.4, Hires upscale: 2, Hires upscaler: Latent (other)"
    write_picture("webui.png", text)
    found = settings_of("--from webui.png --hires-upscaler lanczos").hires
    assert found == Hires(2.0, "lanczos", 0.4)
    assert exit_status("txt2img", "--from", "webui.png") == 2
    assert "--hires-upscaler cannot be 'Latent (other)'; did you mean" in capsys.readouterr().err


def test_other_networks_are_reported() -> None:
    provenance = {
        "model": {"name": "pretended", "hash": "0123456789", "dtype": "f32"},
        "vae": {"name": "v", "hash": "aaaa"},
        "refiner": {"name": "r", "hash": "bbbb"},
    }
    more = other_networks_fields(provenance, 0.7)
    assert more == {
        "Compute dtype": "f32",
        "VAE": "v",
        "VAE hash": "aaaa",
        "Refiner": "r [bbbb]",
        "Refiner switch at": 0.7,
    }
    text = infotext_from_settings(DRAWN, 0, "pretended", "0123456789", "Avila 1", more)
    write_picture("other.png", text)
    stderr = run("txt2img", "--from", "other.png").stderr
    assert "names another VAE, 'v' ('aaaa'); drawn by the model's own; give --vae" in stderr
    refiner = "names another refiner, 'r [bbbb]' ('bbbb'); drawn by the model alone; give --refiner"
    assert refiner in stderr
    assert refiner_switch_of(text) == 0.7
    assert refiner_switch_of("a\nSteps: 1, Seed: 2, Refiner switch at: x") is None
    assert refiner_switch_of("a") is None


def test_another_model_is_reported() -> None:
    text = infotext_from_settings(DRAWN, 0, "other\x1b[31m", "9876543210", "Avila 1")
    write_picture("other.png", text)
    assert (
        "names another model, 'other\\x1b[31m' ('9876543210'); drawn by pretended (0123456789)"
    ) in run("txt2img", "--from", "other.png").stderr


def test_settings_that_are_not_reproduced_are_named() -> None:
    text = "a\nSteps: 2, Seed: 1, Size: 64x64, Face restoration: GFPGAN, ADetailer model: \x1b[31m"
    write_picture("other.png", text=text)
    done = run("txt2img", "--from", "other.png")
    assert done.exit_code == 0
    told = "avila: not reproduced: Face restoration: GFPGAN; ADetailer model: \\x1b[31m"
    assert told in done.stderr.splitlines()


def test_a_first_pass_that_was_given_is_asked_for() -> None:
    """A text does not hold it; given again, nothing is left to tell, and its size is taken."""
    settings_of("pear --hires 2 --hires-first in.png --output second.png")
    assert infotext_of("second.png")["First pass"] == "given"
    done = run("txt2img", "--from", "second.png")
    assert "not reproduced: First pass: given" in done.stderr
    done = run("txt2img", "--from", "second.png", "--hires-first", "in.png")
    assert (done.exit_code, "not reproduced" in done.stderr) == (0, False), done.stderr
    found = FakePipeline.runs[-1]
    assert found.hires is not None
    assert found.hires.first is not None
    assert found.hires.first.size == (found.width, found.height) == (40, 24)


def test_the_edges_of_a_mask_stand_in_the_text() -> None:
    line = "inpaint in.png a --mask mask.png --mask-blur 3 --mask-blur-down 1.5 --soft-mask"
    done = run(*line.split(), "--output", "part.png")
    assert done.exit_code == 0, done.stderr
    text = infotext_of("part.png")
    edges = text["Mask blur"], text["Mask blur down"], text["Soft mask"]
    assert edges == ("3", "1.5", "True")


def test_the_dtype_comes_back() -> None:
    """Only where it was chosen. An option beside ``--from`` replaces it."""
    settings_of("a --dtype f32 --output f32.png")
    settings_of("a --output any.png")
    for line in ("f32.png", "any.png", "f32.png --dtype f16", "any.png --dtype f16"):
        settings_of(f"--from {line} --output again.png")
    dtypes = [each["dtype"] for each in FakePipeline.loads]
    assert dtypes == [f32, None, f32, None, f16, f16]
    names = [infotext_of(name).get("Compute dtype") for name in ("f32.png", "any.png", "again.png")]
    assert names == ["f32", None, "f16"]


def test_a_dtype_in_a_text_is_checked() -> None:
    write_picture("bad.png", "a\nSteps: 2, Seed: 3, Size: 16x24, Compute dtype: ../f8")
    wrong = run("txt2img", "--from", "bad.png")
    assert (wrong.exit_code, FakePipeline.loads) == (2, [])
    assert "--dtype must be one of f16, f32; got '../f8'" in wrong.stderr
