"""Errors speak of options as they are typed, whatever the setting behind them is called."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import typer
from typer.main import get_command

from diffusion import Settings
from diffusion.cli.option_names import PARTS, as_typed, option_name
from diffusion.cli.program import app
from diffusion.errors import ModelNotFoundError, SettingsError
from diffusion.tasks import Hires, Inpaint
from diffusion.tasks.sampling_settings import SamplingSettings
from tests.diffusion.test_cli import PretendedPipeline, pretended, run  # noqa: F401 - a fixture

ARGUMENTS = {"prompt", "image"}


def context(command: str, *typed: str) -> typer.Context:
    """The context of a command with these options."""
    group = get_command(app)
    root = typer.Context(group)
    return group.get_command(root, command).make_context(command, ["a", *typed])  # type: ignore[attr-defined,no-any-return]


@pytest.mark.parametrize("field", [each.name for each in dataclasses.fields(Settings)])
def test_every_setting_has_an_option(field: str) -> None:
    if field in {"init_image", "sampling"}:  # the first comes from another command's argument
        return
    found = option_name(context("txt2img"), field)
    assert found == "prompt" if field in ARGUMENTS else found.startswith("--")


@pytest.mark.parametrize("field", [each.name for each in dataclasses.fields(Hires)])
def test_every_part_of_a_second_pass_has_an_option(field: str) -> None:
    found = option_name(context("txt2img"), f"hires {field}")
    assert found == ("--hires" if field == "scale" else f"--hires-{field}")


@pytest.mark.parametrize("field", [each.name for each in dataclasses.fields(SamplingSettings)])
def test_rarer_choices_are_parts_of_set(field: str) -> None:
    assert option_name(context("img2img", "b"), field) == f"--set {field}"
    assert option_name(context("upscale"), field) == f"--set {field}"
    assert option_name(context("info"), field) == field


@pytest.mark.parametrize("field", [each.name for each in dataclasses.fields(Inpaint)])
def test_every_part_of_inpainting_has_an_option(field: str) -> None:
    found = option_name(context("inpaint", "b"), field)
    assert found == {"blur": "--mask-blur"}.get(field, f"--{field}")


@pytest.mark.parametrize(
    ("typed", "field", "value", "found"),
    [
        ("--hires-sampler x", "sampler", "x", "--hires-sampler"),
        ("--hires-sampler x --sampler y", "sampler", "y", "--sampler"),
        ("--hires-sampler x --sampler x", "sampler", "x", "--sampler"),
        ("--hires-steps 999 --steps 9", "steps", 999, "--hires-steps"),
        ("--hires-upscaler x", "upscaler", "x", "--hires-upscaler"),
        ("", "vae tiling", "x", "--vae-tiling"),
        ("", "width", 63, "--size width"),
        ("", "Clip skip", "x", "Clip skip"),
        ("", "alphas_cumprod", "x", "alphas_cumprod"),
    ],
)
def test_of_several_options_the_one_that_was_given(
    typed: str, field: str, value: object, found: str
) -> None:
    assert option_name(context("txt2img", *typed.split()), field, value) == found


def test_what_is_left_as_it_is() -> None:
    said = context("txt2img")
    error = ModelNotFoundError("steps", "is not there", "look")
    assert as_typed(said, error) == str(error)
    assert as_typed(said, "the settings are too long") == "the settings are too long"
    assert as_typed(said, "negative: weights are cut") == "--negative: weights are cut"
    assert as_typed(said, "hires_negative changes") == "--hires-negative changes"
    assert (
        as_typed(said, SettingsError("prompt", 1, "give text")) == "prompt cannot be 1; give text"
    )
    assert set(PARTS) & {each.name for each in dataclasses.fields(Hires)} == set()


@pytest.mark.usefixtures("pretended")
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--clip-skip 99", "--clip-skip cannot be 99; give a whole number from 1 to 12"),
        ("--seed-resize 63x64", "--seed-resize cannot be 63; give a multiple of 8"),
        ("--variation 2", "--variation cannot be 2.0"),
        ("--prediction x", "--prediction cannot be 'x'; give one of epsilon, v"),
        ("--set rho=0 --schedule polyexponential", "--set rho cannot be 0.0; give a number"),
        ("--hires 2 --hires-sampler eular", "--hires-sampler cannot be 'eular'; did you mean"),
        ("--hires-steps 2", "--hires-steps cannot be 2; give --hires SCALE beside it"),
        ("--refiner-switch 0.5", "--refiner-switch cannot be 0.5; give --refiner MODEL beside"),
    ],
)
def test_errors_as_they_are_told(arguments: str, message: str) -> None:
    done = run("txt2img", "a", *arguments.split())
    assert (done.exit_code, done.stderr.startswith(f"avila: {message}")) == (2, True), done.stderr


@pytest.mark.parametrize("prediction", ["v", "epsilon", "sample"])
def test_values_are_told_as_they_were_typed(prediction: str) -> None:
    """By a model's folder, which has its own."""
    done = run("txt2img", "a", "--prediction", prediction, "--steps", "1")
    assert done.stderr.startswith(f"avila: --prediction cannot be '{prediction}'; a model's folder")


@pytest.mark.usefixtures("pretended")
def test_of_other_commands(tmp_path: Path) -> None:
    for arguments, message in (
        (f"convert {tmp_path} -o x --dtype z", "--dtype cannot be 'z'"),
        ("tune --batch 99", "--batch cannot be 99"),
        ("model pull ../x", "model cannot be '../x'"),
        ("txt2img --from none.png", "--from cannot be 'none.png'"),
    ):
        assert run(*arguments.split()).stderr.startswith(f"avila: {message}")
