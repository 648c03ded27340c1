"""Scales beside 8-bit floats, under both conventions of ComfyUI."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from diffusion.checkpoints import SafetensorsFile, open_safetensors
from diffusion.checkpoints.safetensors import write_safetensors
from diffusion.checkpoints.safetensors.scales import with_scales
from diffusion.errors import ModelFormatError
from gpustd.quantization import QuantizedTensor
from tests.goldens.weights import normal

Tensors = Mapping[str, tuple[str, NDArray[Any]]]
WEIGHT = np.round(normal("scales", (6, 4)) * 8) / 8
LAYER: Tensors = {"l.weight": ("F8_E4M3", WEIGHT), "l.bias": ("F16", np.ones(6, np.float16))}


def write(folder: Path, tensors: Tensors, notes: Mapping[str, str] | None = None) -> Path:
    path = folder / "a.safetensors"
    kinds = {name: (dtype, array.shape) for name, (dtype, array) in tensors.items()}
    write_safetensors(path, kinds, lambda name: tensors[name][1], notes)
    return path


def opened(
    folder: Path, tensors: Tensors, notes: Mapping[str, str] | None = None
) -> SafetensorsFile:
    return with_scales(open_safetensors(write(folder, {**LAYER, **tensors}, notes)))


def f32(values: object) -> tuple[str, NDArray[Any]]:
    return "F32", np.asarray(values, np.float32)


def text(tree: object) -> tuple[str, NDArray[Any]]:
    return "U8", np.frombuffer(json.dumps(tree).encode(), np.uint8)


SCALARS = {
    "old": {"l.scale_weight": f32(0.25), "scaled_fp8": ("F8_E4M3", np.zeros(0, np.float32))},
    "old, of one element": {"l.scale_weight": f32([0.25]), "l.scale_input": f32(3)},
    "old, marked with a prefix": {"l.scale_weight": f32(0.25), "m.scaled_fp8": f32([1, 2])},
    "old, in halves": {"l.scale_weight": ("F16", np.float16(0.25) * np.ones((), np.float16))},
    "new": {"l.weight_scale": f32(0.25), "l.comfy_quant": text({"format": "float8_e4m3fn"})},
    "new, with a scale of inputs": {"l.weight_scale": f32(0.25), "l.input_scale": f32(2)},
}
ROWS = np.array([1, 2, 0.5, 4, 3, 0.1], np.float32)


@pytest.mark.parametrize("name", SCALARS)
def test_a_scale_for_the_tensor(name: str, tmp_path: Path) -> None:
    file = opened(tmp_path, SCALARS[name])
    assert set(file.names) == {"l.weight", "l.bias"}
    np.testing.assert_array_equal(file.read("l.weight"), WEIGHT * np.float32(0.25))
    stored = file.read_quantized(file.entry("l.weight"))
    assert isinstance(stored, QuantizedTensor)
    assert (stored.format, stored.shape) == ("fp8_e4m3fn", (6, 4))
    np.testing.assert_array_equal(stored.values(), file.read("l.weight"))


@pytest.mark.parametrize("shape", [(6,), (6, 1)])
def test_a_scale_for_each_row(shape: tuple[int, ...], tmp_path: Path) -> None:
    file = opened(tmp_path, {"l.weight_scale": f32(ROWS.reshape(shape))})
    expected = (WEIGHT * ROWS[:, None]).astype(np.float32)
    np.testing.assert_array_equal(file.read("l.weight"), expected)
    stored = file.read_quantized(file.entry("l.weight"))
    assert isinstance(stored, QuantizedTensor)
    np.testing.assert_array_equal(stored.values(), expected)
    third = file.entry("l.weight").part(1, 3)
    np.testing.assert_array_equal(file.read_entry(third), expected[2:4])
    turned = file.entry("l.weight").transpose()
    np.testing.assert_array_equal(file.read_entry(turned), expected.T)
    plain = file.read_quantized(turned)
    assert not isinstance(plain, QuantizedTensor)
    np.testing.assert_array_equal(plain, expected.T)


def test_files_without_scales_are_left_as_they_are(tmp_path: Path) -> None:
    file = open_safetensors(write(tmp_path, LAYER))
    assert with_scales(file) is file


def test_formats_in_the_metadata(tmp_path: Path) -> None:
    notes = {"format_version": "1.0", "layers": {"l": {"format": "float8_e5m2"}}}
    scale = {"l.weight_scale": f32(0.5)}
    file = opened(tmp_path, scale, metadata(notes) | {"note": "kept"})
    assert file.entry("l.weight").scale is not None
    assert file.metadata == {"note": "kept"}


def metadata(tree: object) -> dict[str, str]:
    return {"_quantization_metadata": json.dumps(tree)}


WRONG: dict[str, tuple[Tensors, dict[str, str], str]] = {
    "another format": (
        {"l.comfy_quant": text({"format": "nvfp4"})},
        {},
        r"float8_e4m3fn, float8_e5m2, got 'nvfp4' in 'l'",
    ),
    "another format in the metadata": (
        {},
        metadata({"layers": {f"l{n}": {"format": "int8_tensorwise"} for n in range(9)}}),
        r"got 'int8_tensorwise' in 'l0', 'l1', 'l2', 'l3', 'l4' and 4 more",
    ),
    "no format": ({"l.comfy_quant": text({})}, {}, "got None in 'l'"),
    "no JSON": ({"l.comfy_quant": ("U8", np.zeros(9, np.uint8))}, {}, "valid JSON"),
    "much JSON": ({"l.comfy_quant": ("U8", np.zeros(5000, np.uint8))}, {}, "at most 4096 bytes"),
    "JSON as floats": ({"l.comfy_quant": f32([1])}, {}, "bytes of JSON, got F32"),
    "layers of another kind": ({}, metadata({"layers": []}), "must have an object 'layers'"),
    "a layer of another kind": ({}, metadata({"layers": {"l": 3}}), "got 3 in 'l'"),
    "a scale without a weight": ({"m.scale_weight": f32(1)}, {}, r"beside 'm\.weight'"),
    "a scale of floats": (
        {"m.scale_weight": f32(1), "m.weight": f32([1])},
        {},
        "must belong to 8-bit floats, got F32",
    ),
    "a scale of integers": ({"l.scale_weight": ("I32", np.ones((), np.int32))}, {}, "hold floats"),
    "a scale of columns": ({"l.scale_weight": f32([1, 1, 1, 1])}, {}, r"\[\], \[1\] or \[6, 1\]"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_scales_are_refused(name: str, tmp_path: Path) -> None:
    tensors, notes, pattern = WRONG[name]
    with pytest.raises(ModelFormatError, match=pattern):
        opened(tmp_path, tensors, notes)
