"""Files of random blocks have the types and shapes that ``avila model convert`` gives."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from diffusion.checkpoints import ModelFolder, open_model
from diffusion.checkpoints.quantizing import WEIGHT_NAMES, Rules, save_quantized
from diffusion.checkpoints.tensor_files import open_tensors
from diffusion.checkpoints.verify import check_finite, check_weights
from tests.tools.test_full_size import tiny
from tools.full_size import quantized_file
from tools.full_size.models import MODELS
from tools.full_size.random_folder import write_random_folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("model")
    write_random_folder(made, tiny(MODELS["sd15"]))
    return made


@pytest.mark.parametrize("weights", ["q8_0", "q4_k", "fp8"])
def test_types_are_those_of_a_conversion(folder: Path, tmp_path: Path, weights: str) -> None:
    written = quantized_file.write_quantized(folder, tmp_path / "out", weights)
    converted = tmp_path / written.name
    save_quantized(ModelFolder(folder), converted, Rules(WEIGHT_NAMES[weights]), lambda *_: None)
    found, expected = (open_tensors(path).entries for path in (written, converted))
    assert {name: (each.dtype, each.shape) for name, each in found.items()} == {
        name: (each.dtype, each.shape) for name, each in expected.items()
    }
    assert written.stat().st_size == pytest.approx(converted.stat().st_size, rel=0.01)
    opened = check_weights(open_model(written))
    check_finite(opened, [(part, name) for part, each in opened.items() for name in each.entries])


def test_blocks_are_drawn_and_other_weights_are_the_folders(
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    arguments = [str(folder), str(tmp_path), "--weights", "q8_0"]
    monkeypatch.setattr(sys, "argv", ["quantized_file", *arguments])
    quantized_file.main()
    path = Path(capsys.readouterr().out.strip())
    assert path == tmp_path / "model.gguf"
    assert (tmp_path / "tokenizer" / "vocab.json").is_file()
    ours, theirs = (check_weights(open_model(each))["unet"] for each in (path, folder))
    name = "conv_in.weight"
    np.testing.assert_array_equal(ours.read(name), theirs.read(name))
    drawn = ours.read("mid_block.resnets.0.conv1.weight")
    assert not np.array_equal(drawn, theirs.read("mid_block.resnets.0.conv1.weight"))
    assert 0 < drawn.std() < 1
