"""Fixtures of the command's tests: the fake pipeline, and a folder with files to draw from."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from PIL import Image

from diffusion.cli.config.config_file import OFF, VARIABLE
from diffusion.cli.options import model
from diffusion.tasks import Hires
from gpucore.adapters import DEVICE_VARIABLE
from tests.diffusion.cli.fake_pipeline import FakePipeline, write_picture


@pytest.fixture(autouse=True)
def _no_config(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out the config file and the defaults of whoever runs the tests."""
    for name in [name for name in os.environ if name.startswith("AVILA_")]:
        if not name.startswith("AVILA_TEST_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv(VARIABLE, OFF)


@pytest.fixture
def fake_pipeline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> type[FakePipeline]:
    """Put the fake in place of a model, on a device that computes nothing, in an empty folder."""
    FakePipeline.reset()
    monkeypatch.setattr(model, "Pipeline", FakePipeline)
    monkeypatch.setenv(DEVICE_VARIABLE, "null")
    monkeypatch.chdir(tmp_path)
    return FakePipeline


@pytest.fixture
def pictures(fake_pipeline: type[FakePipeline]) -> type[FakePipeline]:
    """Put the fake in place of a model, in a folder with files to draw from.

    ``in.png`` has no text, ``drawn.png`` has settings, ``hires.png`` those of two passes.
    ``mask.png`` is white in a square. ``notes.txt`` is not a picture, ``thin.png`` is very high.
    """
    Image.new("RGB", (40, 24), "red").save("in.png")
    Image.new("RGB", (1, 4000)).save("thin.png")
    mask = Image.new("L", (40, 24))
    mask.paste(255, (8, 8, 16, 16))
    mask.save("mask.png")
    write_picture("drawn.png")
    write_picture("hires.png", hires=Hires(2.0, "Lanczos", 0.4, prompt="a pear"))
    Path("notes.txt").write_text("a note", encoding="utf-8")
    return fake_pipeline
