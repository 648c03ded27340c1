"""``avila convert``, and ``avila model`` with models on the disk."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from diffusion.checkpoints import ModelFile, ModelFolder, open_safetensors, save_safetensors
from tests.diffusion.checkpoints.small_folder import edit_json
from tests.diffusion.checkpoints.test_pickles import canary_pickle, zip_pickle
from tests.diffusion.cli.fake_pipeline import file_names, run
from tests.goldens.loader import FOLDER, load

Tensors = dict[str, NDArray[Any]]
BUNDLED = Path(__file__).parents[3] / "models" / "emoji"
TOKENIZER = str(BUNDLED / "tokenizer")


def test_folder_to_file_to_folder(tmp_path: Path) -> None:
    single, folder = tmp_path / "a.safetensors", tmp_path / "folder"
    done = run("convert", BUNDLED, "-o", single)
    assert done.exit_code == 0, done.output
    assert done.stdout.strip() == str(single)
    assert " MB" in done.stderr
    done = run("convert", single, "-o", folder, "--tokenizer", TOKENIZER, "--dtype", "f32")
    assert done.exit_code == 0, done.output
    wide = ModelFolder(folder).weights("unet")
    assert {entry.dtype for entry in wide.entries.values()} == {"F32"}
    whole = ModelFolder(BUNDLED).weights("unet")
    assert all(np.array_equal(whole.read(name), wide.read(name)) for name in whole.entries)
    done = run("convert", folder, "-o", tmp_path / "again", "--dtype", "f16")
    assert done.exit_code == 0, done.output
    ModelFolder(tmp_path / "again")


def test_a_file_of_pytorch(tmp_path: Path) -> None:
    target = tmp_path / "a.safetensors"
    done = run("convert", FOLDER / "checkpoint.bin", "-o", target, "--dtype", "bf16")
    assert done.exit_code == 0, done.output
    file = open_safetensors(target)
    assert file.entry("f32").dtype == "BF16"
    assert np.array_equal(file.read("i64"), load("checkpoint")["i64"])


def test_metadata_comes_along(tmp_path: Path) -> None:
    run("convert", BUNDLED, "-o", tmp_path / "a.safetensors")
    model = ModelFile(tmp_path / "a.safetensors", tokenizer=TOKENIZER)
    done = run("convert", model.path, "-o", tmp_path / "b.safetensors", "--dtype", "f8_e5m2")
    assert done.exit_code == 0, done.output
    narrow = ModelFile(tmp_path / "b.safetensors", tokenizer=TOKENIZER)
    assert narrow.unet == model.unet
    assert {entry.dtype for entry in narrow.file.entries.values()} == {"F8_E5M2"}


def test_code_in_a_checkpoint_is_not_run(tmp_path: Path) -> None:
    trace, path = tmp_path / "trace", tmp_path / "a.ckpt"
    path.write_bytes(zip_pickle(canary_pickle(trace)))
    done = run("convert", path, "-o", tmp_path / "a.safetensors")
    assert done.exit_code == 2
    assert "which no model needs" in done.stderr
    assert not trace.exists()
    assert file_names(tmp_path) == ["a.ckpt"]


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["{source}", "-o", "{taken}"], "it exists"),
        (["{source}", "-o", "{new}", "--dtype", "f64"], "must be one of bf16, f16"),
        (["{source}", "-o", "{new}", "--prediction", "x"], "must be one of epsilon, v"),
        (
            ["{source}", "-o", "{new}", "--tokenizer", "words"],
            "must only be given for a folder",
        ),
        (
            ["{source}", "-o", "{new}.safetensors", "--prediction", "v"],
            "--prediction must only be",
        ),
        (["{source}/none", "-o", "{new}.safetensors"], "there is no such file"),
        (["no/model", "-o", "{new}"], "avila model pull no/model"),
        (
            ["{source}/vae/diffusion_pytorch_model.safetensors", "-o", "{new}"],
            "must be a whole model, got a VAE",
        ),
    ],
)
def test_wrong_conversions(arguments: list[str], reason: str, tmp_path: Path) -> None:
    places = {"source": BUNDLED, "taken": tmp_path, "new": tmp_path / "new"}
    done = run("convert", *(each.format(**places) for each in arguments))
    assert done.exit_code == 2
    assert reason in done.stderr
    assert not list(tmp_path.iterdir())


def test_show(tmp_path: Path) -> None:
    folder = json.loads(run("model", "show", "emoji", "--json").stdout)
    assert folder["layout"] == "folder"
    assert folder["pipeline"] == "StableDiffusionPipeline"
    assert folder["unet"].startswith("326 tensors, F16")
    run("convert", BUNDLED, "-o", tmp_path / "a.safetensors")
    single = json.loads(run("model", "show", tmp_path / "a.safetensors", "--json").stdout)
    assert single["layout"] == "single file"
    same = ("layout", "path")
    assert {k: v for k, v in single.items() if k not in same} == {
        k: v for k, v in folder.items() if k not in same
    }
    assert "unet: 326 tensors" in run("model", "show", BUNDLED).stdout
    copy = shutil.copytree(BUNDLED, tmp_path / "copy")
    edit_json(copy, "unet/config.json", decay=0.99, power=0.75)
    assert "unet/config.json, without effect: decay, power" in run("model", "show", copy).stdout


def test_verify(tmp_path: Path) -> None:
    assert "unet: 326 tensors fit" in run("model", "verify", "emoji").stdout
    path = tmp_path / "a.safetensors"
    run("convert", BUNDLED, "-o", path)
    assert run("model", "verify", path).exit_code == 0
    path.write_bytes(path.read_bytes()[:-1])
    cut = run("model", "verify", path)
    assert cut.exit_code == 2
    assert "must be a span within" in cut.stderr


def damaged(place: Path, part: str, change: Callable[[Tensors], object]) -> Path:
    """Return a copy of the bundled model with the tensors of one part changed."""
    shutil.copytree(BUNDLED, place)
    (file,) = (place / part).glob("*.safetensors")
    opened = open_safetensors(file)
    tensors = {name: opened.read(name) for name in opened.names}
    change(tensors)
    save_safetensors(file, tensors)
    return place


def spoil(tensors: Tensors) -> None:
    """Put infinities and NaN into two tensors."""
    tensors["conv_in.weight"].flat[:3] = np.nan, np.inf, -np.inf
    tensors["conv_out.bias"].flat[0] = np.nan


def test_verify_reads_the_numbers(tmp_path: Path) -> None:
    assert run("model", "verify", "emoji").stdout.count("all numbers finite") == 3
    done = run("model", "verify", damaged(tmp_path / "model", "unet", spoil))
    assert (done.exit_code, done.stdout) == (2, "")
    assert "unet: numbers must be finite, got infinities or NaN in 'conv_" in done.stderr
    assert "'conv_in.weight' (3 of 2304)" in done.stderr
    assert "'conv_out.bias' (1 of 4)" in done.stderr


def test_verify_reads_the_tokenizer(tmp_path: Path) -> None:
    model = damaged(tmp_path / "model", "unet", dict)
    merges = model / "tokenizer" / "merges.txt"
    text = merges.read_text(encoding="utf-8")
    for cut, reason in (
        (text[:-9], "is not a pair"),
        (text[: text.rindex("\n", 0, -1)], "was cut"),
    ):
        merges.write_text(cut, encoding="utf-8")
        done = run("model", "verify", model)
        assert (done.exit_code, done.stdout) == (2, "")
        assert reason in done.stderr


def misshape(tensors: Tensors) -> None:
    """Cut a tensor."""
    tensors["conv_in.weight"] = tensors["conv_in.weight"][:, :3].copy()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda tensors: tensors.pop("conv_in.weight"), "lacks 'conv_in.weight'"),
        (misshape, "wrong shape: 'conv_in.weight' is [64, 3, 3, 3], not [64, 4, 3, 3]"),
    ],
    ids=["missing", "misshapen"],
)
def test_a_model_that_lacks_tensors_is_not_written(
    change: Callable[[Tensors], object], reason: str, tmp_path: Path
) -> None:
    model = damaged(tmp_path / "model", "unet", change)
    for target in ("new", "new.safetensors"):
        done = run("convert", model, "-o", tmp_path / target)
        assert done.exit_code == 2
        assert reason in done.stderr
    assert file_names(tmp_path) == ["model"]


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("lost", ["output_blocks.0.0.out_layers.0.bias", "out.2.bias"])
def test_a_single_file_that_lacks_a_tensor(lost: str, tmp_path: Path) -> None:
    """It is refused for a folder, and copied with a warning for a file."""
    whole, source = tmp_path / "whole.safetensors", tmp_path / "source.safetensors"
    run("convert", BUNDLED, "-o", whole)
    file = open_safetensors(whole)
    name = f"model.diffusion_model.{lost}"
    tensors = {each: file.read(each) for each in file.names if each != name}
    assert len(tensors) == len(file.names) - 1
    save_safetensors(source, tensors, file.metadata)
    refused = run("convert", source, "-o", tmp_path / "folder", "--tokenizer", TOKENIZER)
    assert refused.exit_code == 2
    assert "does not fit this model: lacks" in refused.stderr
    assert not (tmp_path / "folder").exists()
    copied = run("convert", source, "-o", tmp_path / "copy.safetensors")
    assert copied.exit_code == 0
    assert "warning: copied, but no picture can be made: " in copied.stderr
    assert "lacks" in copied.stderr


def enlarge(tensors: Tensors) -> None:
    """Put numbers into two tensors that are too large for 8 bits."""
    tensors["decoder.conv_in.weight"].flat[:2] = 6e4, -6e4
    tensors["encoder.conv_in.bias"].flat[:2] = 448, 465  # the largest; the next one's beginning


@pytest.mark.filterwarnings("default")
def test_overflow_and_numbers_that_are_not_finite_are_reported(tmp_path: Path) -> None:
    """In all three kinds of conversion."""
    large, spoilt = (
        damaged(tmp_path / "large", "vae", enlarge),
        damaged(tmp_path / "spoilt", "unet", spoil),
    )
    for name, model in (("large", large), ("spoilt", spoilt)):
        single = tmp_path / f"{name}.safetensors"
        first = run("convert", model, "-o", single)
        assert first.exit_code == 0
        assert ("numbers infinite or NaN in the source: 4," in first.stderr) == (name != "large")
        ways = [
            ["convert", model, "-o", tmp_path / f"{name}-folder"],
            ["convert", model, "-o", tmp_path / f"{name}-again.safetensors"],
            ["convert", single, "-o", tmp_path / f"{name}-copy.safetensors"],
        ]
        for way in ways:
            done = run(*way, "--dtype", "f8_e4m3")
            assert done.exit_code == 0, done.output
            assert done.stderr.count("warning") == 1
            if name == "large":
                assert (
                    ": numbers too large for the element type became infinite or NaN: 3,"
                    in done.stderr
                )
                assert re.search(r"'\S*decoder\.conv_in\.weight' \(2\)", done.stderr)
                assert re.search(r"'\S*encoder\.conv_in\.bias' \(1\)", done.stderr)
            else:
                assert ": numbers infinite or NaN in the source: 4," in done.stderr


def test_sound_conversions_warn_of_nothing(tmp_path: Path) -> None:
    done = run("convert", BUNDLED, "-o", tmp_path / "a.safetensors", "--dtype", "bf16")
    assert (done.exit_code, done.stderr.count("warning")) == (0, 0)


def test_the_bundled_model_by_its_name(tmp_path: Path) -> None:
    done = run("convert", "emoji", "-o", tmp_path / "a.safetensors")
    assert done.exit_code == 0, done.output
    assert (
        ModelFile(tmp_path / "a.safetensors", tokenizer=TOKENIZER).unet == ModelFolder(BUNDLED).unet
    )
