"""A LoRA, a learned word, a ControlNet and an IP-Adapter in one picture, drawn again from it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from diffusion.checkpoints import ModelFolder
from diffusion.cli.config.config_file import OFF, VARIABLE
from tests.diffusion.adapters import adapter_files
from tests.diffusion.cli.fake_pipeline import infotext_of, run
from tests.diffusion.control.golden_controls import write_control
from tests.diffusion.image_prompts import golden_prompts
from tests.diffusion.text.inversions.inversion_files import write_word
from tests.goldens.family_folders import write_family

FOLDERS = ("--loras", "loras", "--embeddings", "words", "--controls", "nets", "--model", "model")
PICTURES = ("--control", "edges.png", "--ip-image", "edges.png")
MORE = ("--control-region", "edges.png", "--ip-region", "edges.png", "--ip-negative", "edges.png")


def write_files() -> None:
    """Write a golden SD 2.x and one adapter of each kind for it."""
    write_family(Path("model"), "sd2")
    for folder in ("loras", "words"):
        Path(folder).mkdir()
    config = ModelFolder(Path("model")).unet
    adapter_files.write_adapter(Path("loras/style.safetensors"), "sd2", "kohya", config)
    write_word(Path("words/bluetree.safetensors"), "sd2", "bluetree")
    write_control(Path("nets/sd2"), "sd2")
    golden_prompts.write_adapter(Path("nets/plus.safetensors"), "plus", "sd2")
    golden_prompts.write_encoder(Path("nets/image_encoder"))
    levels = np.random.default_rng(3).integers(0, 256, (32, 32, 3)).astype(np.uint8)
    Image.fromarray(levels).save("edges.png")


@pytest.mark.parametrize("mode", ["merge", "runtime"])
def test_a_picture_with_all_kinds_is_drawn_again(
    mode: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(VARIABLE, OFF)
    write_files()
    given = (*FOLDERS, "--device", "cpu")
    first = run(
        *("txt2img", "a bluetree <lora:style:0.7>", "--negative", "bluetree"),
        *("--lora-mode", mode),
        *(*given, *PICTURES, *MORE, "--control-model", "sd2", "--preprocessor", "canny"),
        *("--control-end", "0.7", "--ip-adapter", "plus", "--ip-weight", "0.6"),
        *("--hires", "1.5", "--size", "32x32", "--steps", "3", "--seed", "3"),
        *("--output", "first.png"),
    )
    assert first.exit_code == 0, first.stderr
    fields = infotext_of("first.png")
    assert fields["Lora mode"] == mode  # --from takes it; few steps alone would be runtime
    assert {"Lora hashes", "TI hashes", "ControlNet 0", "ControlNet 1"} <= fields.keys()
    again = run(
        *("txt2img", "--from", "first.png", *given, *PICTURES, *MORE, "--output", "again.png"),
    )
    assert again.exit_code == 0, again.stderr
    assert "the picture had" not in again.stderr
    assert infotext_of("again.png") == fields
    with Image.open("first.png") as one, Image.open("again.png") as two:
        assert one.tobytes() == two.tobytes()
    less = run("txt2img", "--from", "first.png", *given, *PICTURES, "--output", "less.png")
    for missing in ("control-region", "ip-region", "ip-negative"):
        assert f"give it (--{missing})" in less.stderr
    with Image.open("first.png") as one, Image.open("less.png") as two:
        assert one.tobytes() != two.tobytes()
