"""Errors and warnings name options as they are typed, whatever the setting is called."""

from __future__ import annotations

import dataclasses

import pytest
import typer
from typer.main import get_command

from diffusion import Settings
from diffusion.cli.error_texts import (
    OPTIONS_OF_PARTS,
    error_text,
    option_name,
    warning_text,
)
from diffusion.cli.options.parsing import RARE_CHOICES
from diffusion.cli.program import app
from diffusion.errors import ModelNotFoundError, SettingsError
from diffusion.tasks import Hires, Inpaint


def context(command: str, *options: str) -> typer.Context:
    """Return the context of a command with these options."""
    group = get_command(app)
    root = typer.Context(group)
    return group.get_command(root, command).make_context(command, ["a", *options])  # type: ignore[attr-defined,no-any-return]


SPECIAL = {
    "prompt": "prompt",
    "width": "--size width",
    "height": "--size height",
    "sampling": "sampling",  # its parts are those of --set
    "init_image": "init_image",  # the argument of other commands
    "guidance_options": "guidance_options",  # its parts have options of their own
    "image_prompts": "image_prompts",  # their parts are --ip-image and others
    "inversions": "inversions",  # those of --embedding
    "embeddings": "--embeddings",  # in Python, an array; the option is a folder of files
    "latents": "latents",
}


@pytest.mark.parametrize("setting", [each.name for each in dataclasses.fields(Settings)])
def test_every_setting_has_an_option(setting: str) -> None:
    expected = SPECIAL.get(setting, f"--{setting.replace('_', '-')}")
    assert option_name(context("txt2img"), setting) == expected


@pytest.mark.parametrize("setting", [each.name for each in dataclasses.fields(Hires)])
def test_every_part_of_a_second_pass_has_an_option(setting: str) -> None:
    found = option_name(context("txt2img"), f"hires {setting}")
    assert found == {"scale": "--hires"}.get(setting, f"--hires-{setting}")


@pytest.mark.parametrize("setting", [each.name for each in dataclasses.fields(Inpaint)])
def test_every_part_of_inpainting_has_an_option(setting: str) -> None:
    found = option_name(context("inpaint", "b"), setting)
    special = {"blur": "--mask-blur", "blur_down": "--mask-blur-down", "soft": "--soft-mask"}
    assert found == special.get(setting, f"--{setting}")


@pytest.mark.parametrize("setting", RARE_CHOICES)
def test_rare_choices_are_parts_of_set(setting: str) -> None:
    assert option_name(context("img2img", "b"), setting) == f"--set {setting}"
    assert option_name(context("upscale"), setting) == f"--set {setting}"
    assert option_name(context("info"), setting) == setting


@pytest.mark.parametrize(
    ("options", "setting", "value", "found"),
    [
        ("--hires-sampler x", "sampler", "x", "--hires-sampler"),
        ("--hires-sampler x --sampler y", "sampler", "y", "--sampler"),
        ("--hires-sampler x --sampler x", "sampler", "x", "--sampler"),
        ("--hires-steps 999 --steps 9", "steps", 999, "--hires-steps"),
        ("--hires-upscaler x", "upscaler", "x", "--hires-upscaler"),
        ("", "vae tiling", "x", "--vae-tiling"),
        ("", "Clip skip", "x", "Clip skip"),
        ("", "alphas_cumprod", "x", "alphas_cumprod"),
    ],
)
def test_of_several_options_the_one_that_was_typed(
    options: str, setting: str, value: object, found: str
) -> None:
    assert option_name(context("txt2img", *options.split()), setting, value) == found


def test_texts_that_stay_as_they_are() -> None:
    typed = context("txt2img")
    error = ModelNotFoundError("steps", "is not there", "look")
    assert error_text(typed, error) == str(error)
    assert warning_text(typed, "the settings are too long") == "the settings are too long"
    assert warning_text(typed, "negative: weights are cut") == "--negative: weights are cut"
    assert warning_text(typed, "hires_negative changes") == "--hires-negative changes"
    wrong_prompt = SettingsError("prompt", 1, "must be text")
    assert error_text(typed, wrong_prompt) == "prompt must be text; got 1"
    assert set(OPTIONS_OF_PARTS) & {each.name for each in dataclasses.fields(Hires)} == set()
