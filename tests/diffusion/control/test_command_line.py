"""The real command with a real network, drawn again from its picture's text."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from diffusion.cli.config.config_file import OFF, VARIABLE
from tests.diffusion.cli.fake_pipeline import infotext_of, run
from tests.diffusion.control.golden_controls import write_control
from tests.diffusion.control.golden_lites import write_lite
from tests.diffusion.control.golden_xs import write_xs
from tests.goldens.family_folders import write_family


def write_network(folder: Path, name: str) -> None:
    """Write a golden network as its kind is published."""
    if name.startswith("lite"):
        write_lite(folder, name)
    elif name.startswith("xs"):
        write_xs(folder / name, name)
    else:
        write_control(folder / name, name)


@pytest.mark.parametrize("network", ["sd2", "lite_sd2", "xs_sd2"])
def test_a_picture_that_was_led_is_drawn_again(
    network: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(VARIABLE, OFF)
    write_family(Path("model"), "sd2")
    write_network(Path("nets"), network)
    levels = np.random.default_rng(3).integers(0, 256, (32, 32, 3)).astype(np.uint8)
    Image.fromarray(levels).save("edges.png")
    led = ("--control", "edges.png", "--controls", "nets", "--model", "model", "--device", "cpu")
    first = run(
        *("txt2img", "a red apple", *led, "--control-model", network, "--control-weight", "0.8"),
        *("--preprocessor", "canny", "--control-mode", "control", "--size", "32x32"),
        *("--steps", "2", "--seed", "3", "--output", "first.png"),
    )
    assert first.exit_code == 0, first.stderr
    field = infotext_of("first.png")["ControlNet 0"]
    assert field.startswith(f"Module: canny, Model: {network} [")
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
