"""Files that the gguf package writes, laid out as other tools do, are read with its numbers."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
from numpy.typing import NDArray

from diffusion.checkpoints import ModelFolder
from diffusion.checkpoints.conversion import SingleTensors
from diffusion.checkpoints.gguf import open_gguf
from diffusion.checkpoints.single_file.unet_file import ModelWithUnet
from diffusion.checkpoints.verify import check_weights
from gpustd.quantization import quantize
from tests.diffusion.golden_models import write_folder
from tests.diffusion.session_folder import session_folder
from tests.goldens.quantized_weights import TYPES

MODEL = "two_levels"
UNET = "model.diffusion_model."
KINDS = ["F16", "BF16", *(name.upper() for name in TYPES)]
Array = NDArray[Any]


@functools.cache
def folder() -> Path:
    return write_folder(session_folder(f"{MODEL}_foreign"), MODEL)


@functools.cache
def source() -> SingleTensors:
    return SingleTensors(ModelFolder(folder()))


def blocks(kind: str, values: Array) -> Array:
    """Return the blocks of each row. The package makes none of the K types, and of IQ4."""
    if "K" in kind or kind.startswith("IQ4"):
        return quantize(values, kind.lower()).reshape(len(values), -1)
    return gguf.quants.quantize(values, gguf.GGMLQuantizationType[kind])


def add(writer: gguf.GGUFWriter, name: str, values: Array, kind: str) -> None:
    writer.add_tensor(name, blocks(kind, values), raw_dtype=gguf.GGMLQuantizationType[kind])


def as_comfy(writer: gguf.GGUFWriter, kind: str) -> None:
    """Add a UNet alone, whose rows become blocks (tools/convert.py of ComfyUI-GGUF)."""
    writer.add_quantization_version(2)
    size = gguf.GGML_QUANT_SIZES[gguf.GGMLQuantizationType[kind]][0]
    for name in source().layout():
        values = source().read(name).astype(np.float32)
        key = name.removeprefix(UNET)
        if key == name:
            continue
        if values.ndim == 1 or values.size <= 1024:
            writer.add_tensor(key, values)
            continue
        if values.size % 256 == 0 and values.shape[-1] % 256:
            writer.add_array(f"comfy.gguf.orig_shape.{key}", list(values.shape))
            values = values.reshape(-1, 256)
        if "embed" in key or values.shape[-1] % size:
            writer.add_tensor(key, values.astype(np.float16))
        else:
            add(writer, key, values, kind)


def as_sd_cpp(writer: gguf.GGUFWriter, kind: str) -> None:
    """Add a whole model whose rows are whole blocks, norms among them (its src/convert.cpp)."""
    size = gguf.GGML_QUANT_SIZES[gguf.GGMLQuantizationType[kind]][0]
    for name in source().layout():
        values = source().read(name).astype(np.float32)
        kept = name.endswith(".bias") or "embed" in name or values.ndim == 0
        if kept or values.shape[-1] % size:
            writer.add_tensor(name, values)
        elif values.ndim == 1:
            flat = blocks(kind, values[None])[0]
            writer.add_tensor(name, flat, raw_dtype=gguf.GGMLQuantizationType[kind])
        else:
            add(writer, name, values, kind)


def write(path: Path, layout: Callable[[gguf.GGUFWriter, str], None], kind: str) -> Path:
    writer = gguf.GGUFWriter(path, arch="sd1")
    layout(writer, kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("layout", [as_comfy, as_sd_cpp])
def test_we_read_the_numbers_of_the_gguf_package(
    layout: Callable[[gguf.GGUFWriter, str], None], kind: str, tmp_path: Path
) -> None:
    path = write(tmp_path / "small.gguf", layout, kind)
    file, count = open_gguf(path), 0
    for tensor in gguf.GGUFReader(path).tensors:
        expected = gguf.quants.dequantize(tensor.data, tensor.tensor_type)
        found = file.read(tensor.name)
        np.testing.assert_array_equal(found.reshape(-1), expected.reshape(-1))
        stored = tensor.name if layout is as_sd_cpp else UNET + tensor.name
        assert math.prod(found.shape) == math.prod(source().layout()[stored][1])
        count += file.entry(tensor.name).dtype == kind
    # Rows of this model are 32 to 128 weights: no block of 256 is in one of sd.cpp's.
    is_long = kind in ("IQ4_XS", *(name for name in KINDS if name.endswith("_K")))
    assert (count > 20) == (not is_long or layout is as_comfy)


@pytest.mark.parametrize("kind", ["Q8_0", "Q4_K"])
def test_a_unet_alone_takes_the_place_of_a_models(kind: str, tmp_path: Path) -> None:
    """Whole models have the shapes of published ones, which tests of families check."""
    model = ModelWithUnet(ModelFolder(folder()), write(tmp_path / "unet.gguf", as_comfy, kind))
    exact, weights = ModelFolder(folder()).weights("unet"), check_weights(model)["unet"]
    for name in exact.entries:
        found, expected = weights.read(name), exact.read(name)
        assert found.shape == expected.shape
        assert np.abs(found - expected).max() <= 0.15 * np.abs(expected).max()
