"""The real command with a real network, drawn again from its picture's text."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from diffusion.cli.config.config_file import OFF, VARIABLE
from tests.diffusion.cli.fake_pipeline import infotext_of, run
from tests.diffusion.control.golden_controls import write_control
from tests.goldens.family_folders import write_family


def test_a_picture_that_was_led_is_drawn_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(VARIABLE, OFF)
    write_family(Path("model"), "sd2")
    write_control(Path("nets/sd2"), "sd2")
    levels = np.random.default_rng(3).integers(0, 256, (32, 32, 3)).astype(np.uint8)
    Image.fromarray(levels).save("edges.png")
    led = ("--control", "edges.png", "--controls", "nets", "--model", "model", "--device", "cpu")
    first = run(
        *("txt2img", "a red apple", *led, "--control-model", "sd2", "--control-weight", "0.8"),
        *("--preprocessor", "canny", "--control-mode", "control", "--size", "32x32"),
        *("--steps", "2", "--seed", "3", "--output", "first.png"),
    )
    assert first.exit_code == 0, first.stderr
    field = infotext_of("first.png")["ControlNet 0"]
    assert field.startswith("Module: canny, Model: sd2 [")
    assert "Weight: 0.8, Resize Mode: Crop and Resize, Threshold A: 100, Threshold B: 200" in field
    assert field.endswith("Pixel Perfect: True, Control Mode: ControlNet is more important")
    second = run("txt2img", "--from", "first.png", *led, "--output", "second.png")
    assert second.exit_code == 0, second.stderr
    with Image.open("first.png") as one, Image.open("second.png") as two:
        assert one.tobytes() == two.tobytes()
    plain = run(
        *("txt2img", "--from", "first.png", "--model", "model", "--device", "cpu"),
        *("--output", "plain.png"),
    )
    assert "give it (--control), drawn without" in plain.stderr
    with Image.open("first.png") as one, Image.open("plain.png") as two:
        assert one.tobytes() != two.tobytes()
