"""The real command with a real adapter, drawn again from its picture's text."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from diffusion.cli.config.config_file import OFF, VARIABLE
from tests.diffusion.cli.fake_pipeline import infotext_of, run
from tests.diffusion.image_prompts.golden_prompts import write_adapter, write_encoder
from tests.goldens import image_prompt_cases as cases
from tests.goldens.family_folders import write_family


def test_a_prompted_picture_is_drawn_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(VARIABLE, OFF)
    write_family(Path("model"), "sd2")
    write_adapter(Path("nets/plus.safetensors"), "plus", "sd2")
    write_encoder(Path("nets/image_encoder"))
    cases.picture(0).save("one.png")
    cases.picture(2).save("two.png")
    given = (
        *("--ip-image", "one.png", "--ip-image", "two.png", "--controls", "nets"),
        *("--model", "model", "--device", "cpu"),
    )
    first = run(
        *("txt2img", "a red apple", *given, "--ip-adapter", "plus", "--ip-weight", "0.8"),
        *("--ip-type", "ease_in", "--ip-combine", "average", "--size", "32x32"),
        *("--steps", "2", "--seed", "3", "--output", "first.png"),
    )
    assert first.exit_code == 0, first.stderr
    field = infotext_of("first.png")["ControlNet 0"]
    assert field.startswith("Module: ip-adapter-auto, Model: plus [")
    assert field.endswith("Control Mode: Balanced, Weight Type: Ease in, Combine: Average")
    second = run("txt2img", "--from", "first.png", *given, "--output", "second.png")
    assert second.exit_code == 0, second.stderr
    with Image.open("first.png") as one, Image.open("second.png") as two:
        assert one.tobytes() == two.tobytes()
    plain = run(
        *("txt2img", "--from", "first.png", "--model", "model", "--device", "cpu"),
        *("--output", "plain.png"),
    )
    assert "give them (--ip-image), drawn without" in plain.stderr
    with Image.open("first.png") as one, Image.open("plain.png") as two:
        assert one.tobytes() != two.tobytes()
