"""``--refiner``: real runs of a base and a refiner, and the text of their pictures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.diffusion.cli.fake_pipeline import infotext_of, run
from tests.goldens.family_folders import write_family

DRAWING = "--size 24x16 --steps 4 --sampler euler --schedule leading --guidance 5 --json -o"


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ...]:
    """Return the options that name a base and a refiner."""
    folder = tmp_path_factory.mktemp("models")
    for name in ("xl_base", "xl_refiner"):
        write_family(folder / name, name)
    return "--model", str(folder / "xl_base"), "--refiner", str(folder / "xl_refiner")


def draw(*arguments: str) -> dict[str, Any]:
    """Run the command. Return its record, and what it printed on stderr."""
    done = run(*arguments)
    assert done.exit_code == 0, done.stderr
    record: dict[str, Any] = json.loads(done.stdout)
    return record | {"stderr": done.stderr}


def test_a_refined_picture(models: tuple[str, ...], tmp_path: Path) -> None:
    one, two, other = (str(tmp_path / name) for name in ("one.png", "two.png", "other.png"))
    text = ("txt2img", "a cat", "--seed", "3")
    record = draw(*text, *models, "--refiner-switch", "0.5", *DRAWING.split(), one)
    assert record["refiner"]["name"] == "xl_refiner"
    settings = infotext_of(one)
    assert settings["Refiner"] == f"xl_refiner [{record['refiner']['hash']}]"
    assert settings["Refiner switch at"] == "0.5"
    again = draw("txt2img", "--from", one, *models, "--json", "-o", two)
    assert again["stderr"] == ""
    plain = draw("txt2img", "--from", one, *models[:2], "--json", "-o", other)
    assert "names another refiner, 'xl_refiner [" in plain["stderr"]
    first, second, third = (np.asarray(Image.open(name)) for name in (one, two, other))
    np.testing.assert_array_equal(first, second)
    assert not np.array_equal(first, third)


def test_a_refined_picture_from_a_picture(models: tuple[str, ...], tmp_path: Path) -> None:
    start, out = str(tmp_path / "start.png"), str(tmp_path / "out.png")
    Image.new("RGB", (24, 16), "red").save(start)
    draw("img2img", start, "a cat", "--seed", "3", *models, *DRAWING.split(), out)
    settings = infotext_of(out)
    assert settings["Refiner switch at"] == "0.8"
    assert settings["Denoising strength"] == "0.75"


@pytest.mark.parametrize(
    "command", [["inpaint", "a cat", "--left", "8"], ["upscale", "--scale", "1"]], ids=str
)
def test_a_refiner_in_the_other_commands(
    models: tuple[str, ...], tmp_path: Path, command: list[str]
) -> None:
    start, out, plain = (str(tmp_path / name) for name in ("start.png", "out.png", "plain.png"))
    Image.effect_mandelbrot((16, 16), (-2, -1, 1, 1), 50).convert("RGB").save(start)
    common = [command[0], start, *command[1:], "--seed", "3", "--strength", "0.9"]
    drawing = [each for each in DRAWING.split() if each not in ("--size", "24x16")]
    draw(*common, *models, "--refiner-switch", "0.5", *drawing, out)
    settings = infotext_of(out)
    assert settings["Refiner"].startswith("xl_refiner [")
    assert settings["Refiner switch at"] == "0.5"
    draw(*common, *models[:2], *drawing, plain)
    first, second = (np.asarray(Image.open(name)) for name in (out, plain))
    assert first.shape == second.shape
    assert not np.array_equal(first, second)
