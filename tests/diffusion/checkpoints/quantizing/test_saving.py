"""Quantised files of a small model: what they hold, and that the gguf package reads the same."""

from __future__ import annotations

import functools
import math
from collections import Counter
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
from numpy.typing import NDArray

from diffusion.checkpoints import ModelFile, ModelFolder, open_safetensors, save_safetensors
from diffusion.checkpoints.conversion import SingleTensors
from diffusion.checkpoints.gguf import open_gguf
from diffusion.checkpoints.quantizing import WEIGHT_NAMES, Rules, TypeRule, save_quantized
from diffusion.checkpoints.safetensors import SafetensorsFile
from diffusion.checkpoints.verify import check_weights
from diffusion.errors import ModelFormatError, OutputError, SettingsError
from gpustd.quantization import QuantizedTensor, dequantize, quantize
from tests.diffusion.golden_models import write_folder
from tests.diffusion.session_folder import session_folder

MODEL = "two_levels"
GGUF_NAMES = sorted(name for name in WEIGHT_NAMES if not name.startswith("fp8"))
UNET = "model.diffusion_model."
FORM = "cond_stage_model.transformer.text_model.encoder.layers.0.mlp.fc1.weight"


@functools.cache
def folder() -> Path:
    return write_folder(session_folder(f"{MODEL}_quantizing"), MODEL)


def quiet(name: str, done: int, count: int) -> None:
    """Tell nobody how far the work is."""


def save(path: Path, weights: str, keep: tuple[str, ...] = (), whole_rows: bool = False) -> Path:
    rules = Rules(WEIGHT_NAMES[weights], keep, whole_rows)
    save_quantized(ModelFolder(folder()), path, rules, quiet)
    return path


@functools.cache
def source() -> SingleTensors:
    return SingleTensors(ModelFolder(folder()))


@pytest.mark.parametrize("weights", GGUF_NAMES)
def test_the_gguf_package_reads_the_weights_that_we_read(weights: str, tmp_path: Path) -> None:
    path = save(tmp_path / "a.gguf", weights)
    ours, theirs = open_gguf(path), {t.name: t for t in gguf.GGUFReader(path).tensors}
    assert set(ours.names) == set(theirs) == set(source().layout())
    kinds: Counter[str] = Counter()
    for name, entry in ours.entries.items():
        tensor = theirs[name]
        assert tensor.tensor_type.name == entry.dtype
        expected = gguf.quants.dequantize(tensor.data, tensor.tensor_type)
        np.testing.assert_array_equal(ours.read(name).reshape(-1), expected.reshape(-1))
        assert entry.shape == source().layout()[name][1]
        kinds[entry.dtype] += 1
    assert weights == "f16" or kinds[WEIGHT_NAMES[weights]] > 20


@pytest.mark.parametrize("weights", GGUF_NAMES)
def test_blocks_are_those_of_the_source(weights: str, tmp_path: Path) -> None:
    file = open_gguf(save(tmp_path / "a.gguf", weights))
    for name, entry in file.entries.items():
        stored = file.read_quantized(entry)
        values = source().read(name)
        if isinstance(stored, QuantizedTensor):
            assert stored.shape == values.shape
            np.testing.assert_array_equal(stored.blocks, quantize(values, stored.format))
            np.testing.assert_array_equal(file.read(name), stored.values())
        else:
            np.testing.assert_array_equal(stored, values.astype(stored.dtype))


def test_what_is_kept(tmp_path: Path) -> None:
    file = open_gguf(save(tmp_path / "a.gguf", "q8_0"))
    for name, entry in file.entries.items():
        inside = name.startswith((UNET, "cond_stage_model."))
        edges = ("time_embed.", "input_blocks.0.0.", "out.2.", "_embedding.")
        large = len(entry.shape) > 1 and math.prod(entry.shape) > 1024
        quantized = inside and large and not any(edge in name for edge in edges)
        assert entry.dtype == ("Q8_0" if quantized else "F16" if len(entry.shape) > 1 else "F32")
    assert file.metadata["general.file_type"] == "7"


def test_patterns_keep_more(tmp_path: Path) -> None:
    file = open_gguf(save(tmp_path / "a.gguf", "q4_k", ("*.ff.*", "cond_stage_model.*")))
    kinds = {name: entry.dtype for name, entry in file.entries.items()}
    assert {kinds[name] for name in kinds if name.endswith(".ff.net.0.proj.weight")} == {"F16"}
    assert {kinds[name] for name in kinds if name.endswith(".in_layers.2.weight")} == {"Q4_K"}
    assert file.entry(FORM).dtype == "F16"


def test_rules_give_types_by_name(tmp_path: Path) -> None:
    """The first that matches counts; what is always kept stays so."""
    rules = Rules(
        "Q4_K",
        types=(
            TypeRule("*.ff.net.2.*", "F16"),
            TypeRule("*.ff.*", "Q8_0"),
            TypeRule("*embed*", "Q8_0"),
        ),
    )
    save_quantized(ModelFolder(folder()), tmp_path / "a.gguf", rules, quiet)
    kinds = {name: entry.dtype for name, entry in open_gguf(tmp_path / "a.gguf").entries.items()}

    def of(end: str) -> set[str]:
        return {kind for name, kind in kinds.items() if name.endswith(end)}

    assert of(".ff.net.2.weight") == {"F16"}
    assert of(".ff.net.0.proj.weight") == {"Q8_0"}
    assert of(".in_layers.2.weight") == {"Q4_K"}
    assert of("time_embed.0.weight") == {"F16"}


@pytest.mark.parametrize(
    "rules", [Rules("Q8_0", ("*.atn2.*",)), Rules("Q8_0", types=(TypeRule("x", "Q4_0"),))]
)
def test_patterns_of_no_tensor_are_refused(rules: Rules, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="must match the name of a tensor, such as 'model"):
        save_quantized(ModelFolder(folder()), tmp_path / "a.gguf", rules, quiet)
    with pytest.raises(SettingsError, match=r"must go to a \.safetensors file"):
        save_quantized(
            ModelFolder(folder()),
            tmp_path / "a.gguf",
            Rules("Q8_0", types=(TypeRule("*", "F8_E4M3"),)),
            quiet,
        )
    assert list(tmp_path.iterdir()) == []


def test_blocks_stay_in_rows_where_asked(tmp_path: Path) -> None:
    path = save(tmp_path / "a.gguf", "q4_k", whole_rows=True)
    file = open_gguf(path)
    assert not any("orig_shape" in key for key in gguf.GGUFReader(path).fields)
    kinds = {entry.dtype for entry in file.entries.values()}
    # Rows of this model are 32 to 128 weights: none is a block of 256.
    assert kinds == {"F32", "F16", "Q5_0"}
    for entry in file.entries.values():
        assert entry.dtype != "Q5_0" or entry.shape[-1] % 32 == 0


def test_a_quantised_file_is_a_whole_model(tmp_path: Path) -> None:
    path = save(tmp_path / "a.gguf", "q5_1")
    model = ModelFile(path, tokenizer=folder() / "tokenizer")
    opened = check_weights(model)
    whole = ModelFolder(folder())
    assert (model.unet, model.vae, model.name) == (whole.unet, whole.vae, "a")
    name = "mid_block.resnets.0.conv1.weight"
    stored = opened["unet"].read_quantized(name)
    assert isinstance(stored, QuantizedTensor)
    np.testing.assert_array_equal(opened["unet"].read(name), stored.values())
    exact = whole.weights("unet").read(name)
    assert 0 < np.abs(stored.values() - exact).max() < 0.04 * np.abs(exact).max()


@pytest.mark.parametrize("weights", ["fp8", "fp8_e5m2"])
def test_8_bit_floats_have_scales(weights: str, tmp_path: Path) -> None:
    path = save(tmp_path / "a.safetensors", weights)
    plain = open_safetensors(path)
    marker = plain.entry(f"{UNET}scaled_fp8")
    assert (marker.dtype, marker.shape) == (WEIGHT_NAMES[weights], (0,))
    unet = ModelFile(path, tokenizer=folder() / "tokenizer").weights("unet")
    check_weights(ModelFile(path, tokenizer=folder() / "tokenizer"))
    name = "mid_block.resnets.0.conv1.weight"
    stored = unet.read_quantized(name)
    assert isinstance(stored, QuantizedTensor)
    assert stored.scale is not None
    assert stored.scale.shape == ()
    bits = np.abs(dequantize(stored.blocks, stored.format))
    assert bits.max() == (448 if weights == "fp8" else 57344)
    exact = ModelFolder(folder()).weights("unet").read(name)
    error = np.abs(unet.read(name) - exact)
    assert (error <= np.abs(exact) * (1 / 16 if weights == "fp8" else 1 / 8) + 1e-4).all()
    text = [each for each in plain.names if each.startswith("cond_stage_model")]
    assert not any("scale" in each for each in text)


def test_a_file_keeps_its_names(tmp_path: Path) -> None:
    """A UNet alone, say; and what was quantised is quantised again."""
    rng = np.random.default_rng(1)
    tensors: dict[str, NDArray[Any]] = {
        "input_blocks.1.0.in_layers.2.weight": rng.standard_normal((64, 32, 3, 3), np.float32),
        "input_blocks.1.0.in_layers.2.bias": rng.standard_normal(64, np.float32),
        "numbers": np.arange(4),
    }
    save_safetensors(tmp_path / "a.safetensors", tensors, {"note": "kept"})
    first = open_safetensors(tmp_path / "a.safetensors")
    save_quantized(first, tmp_path / "b.gguf", Rules("Q8_0"), quiet)
    second = open_gguf(tmp_path / "b.gguf")
    assert {n: e.dtype for n, e in second.entries.items()} == {
        "input_blocks.1.0.in_layers.2.weight": "Q8_0",
        "input_blocks.1.0.in_layers.2.bias": "F32",
        "numbers": "I64",
    }
    assert second.metadata["note"] == "kept"
    save_quantized(second, tmp_path / "c.gguf", Rules("Q4_0"), quiet)
    third = open_gguf(tmp_path / "c.gguf")
    name = "input_blocks.1.0.in_layers.2.weight"
    expected = dequantize(quantize(second.read(name), "q4_0"), "q4_0")
    np.testing.assert_array_equal(third.read(name).reshape(-1), expected)
    save_quantized(third, tmp_path / "d.safetensors", Rules("F16"), quiet)
    wide = open_safetensors(tmp_path / "d.safetensors")
    assert wide.entry(name).dtype == "F16"
    np.testing.assert_array_equal(wide.read(name), third.read(name).astype(np.float16))


def test_types_that_a_format_lacks_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"must go to a \.safetensors file"):
        save(tmp_path / "a.gguf", "fp8")
    with pytest.raises(SettingsError, match=r"must go to a \.gguf file"):
        save(tmp_path / "a.safetensors", "q8_0")
    assert list(tmp_path.iterdir()) == []


def weights_file(path: Path, values: NDArray[Any]) -> SafetensorsFile:
    save_safetensors(path, {"a.weight": values})
    return open_safetensors(path)


def test_weights_without_a_number_are_refused_by_name(tmp_path: Path) -> None:
    values = np.zeros((64, 64), np.float32)
    values[1, 2] = np.inf
    file = weights_file(tmp_path / "a.safetensors", values)
    with pytest.raises(ModelFormatError, match=r"'a\.weight': q4_k: weights must be finite"):
        save_quantized(file, tmp_path / "b.gguf", Rules("Q4_K"), quiet)
    assert [each.name for each in tmp_path.iterdir()] == ["a.safetensors"]


def test_numbers_that_gguf_lacks_are_refused_by_name(tmp_path: Path) -> None:
    save_safetensors(tmp_path / "a.safetensors", {"flags": np.ones(3, np.bool_)})
    file = open_safetensors(tmp_path / "a.safetensors")
    with pytest.raises(ModelFormatError, match=r"'flags': must be of a type that GGUF has, got BO"):
        save_quantized(file, tmp_path / "b.gguf", Rules("Q8_0"), quiet)
    assert [each.name for each in tmp_path.iterdir()] == ["a.safetensors"]


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    file = weights_file(tmp_path / "a.safetensors", np.zeros((64, 64), np.float32))
    target = tmp_path / "a.safetensors" / "b.gguf"
    with pytest.raises(OutputError, match="cannot be written"):
        save_quantized(file, target, Rules("Q4_K"), quiet)


def test_a_file_that_reads_otherwise_is_no_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = weights_file(tmp_path / "a.safetensors", np.zeros((64, 64), np.float32))
    read = SafetensorsFile.read_bytes
    monkeypatch.setattr(SafetensorsFile, "read_bytes", lambda *args: read(*args) + np.uint8(1))
    with pytest.raises(ModelFormatError, match=r"'a\.weight': must be read as it was written"):
        save_quantized(file, tmp_path / "b.gguf", Rules("F16"), quiet)
    assert [each.name for each in tmp_path.iterdir()] == ["a.safetensors"]


@pytest.mark.parametrize(("weights", "end"), [("Q8_0", "gguf"), ("F8_E4M3", "safetensors")])
def test_progress_is_told(weights: str, end: str, tmp_path: Path) -> None:
    steps: list[tuple[int, int]] = []
    path = tmp_path / f"a.{end}"
    save_quantized(ModelFolder(folder()), path, Rules(weights), lambda _, *step: steps.append(step))
    count = len(source().layout())
    assert steps == [(n, count) for n in range(1, count + 1)]
