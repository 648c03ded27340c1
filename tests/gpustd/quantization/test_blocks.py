"""Blocks of each format: their weights in float64, and the bytes that ggml itself makes."""

from __future__ import annotations

import warnings

import gguf
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from gpucore import ArgumentError, ShapeError
from gpustd.quantization import BLOCK_FORMATS, QuantizedTensor, block_format, dequantize, quantize
from tests.goldens.loader import load
from tests.goldens.quantized_weights import TYPES, cases
from tests.goldens.weights import words
from tests.gpustd.quantization.block_reference import HALVES, WEIGHT

COUNT = 12
FORMATS = sorted(BLOCK_FORMATS)
GGML = sorted(TYPES)


def drawn_blocks(name: str) -> NDArray[np.uint8]:
    """Return blocks of any bits, but for the halves, which are finite: one is zero, one tiny."""
    layout = block_format(name)
    blocks = words(f"blocks {name}", COUNT * layout.nbytes).astype(np.uint8)
    blocks = blocks.reshape(COUNT, layout.nbytes)
    for at in HALVES.get(name, ()):
        blocks[:, at + 1] &= 0xBB  # an exponent below 31
        blocks[0, at : at + 2] = 0
        blocks[1, at : at + 2] = (1, 0x80)
    return blocks


@pytest.mark.parametrize("name", FORMATS)
def test_blocks_are_what_the_format_says_bit_for_bit(name: str) -> None:
    blocks = np.arange(256, dtype=np.uint8)[:, None] if name[:3] == "fp8" else drawn_blocks(name)
    expected = [
        [WEIGHT[name](block, i) for i in range(block_format(name).elements)]
        for block in blocks.tolist()
    ]
    # float64 has each product and sum exactly; one rounding to float32 follows, as in float32
    assert_same_numbers(dequantize(blocks.tobytes(), name), np.array(expected, np.float32))


def assert_same_numbers(found: NDArray[np.float32], expected: NDArray[np.float32]) -> None:
    """Compare numbers exactly: -0 equals 0, and NaN itself."""
    np.testing.assert_array_equal(found, expected.reshape(-1))


@pytest.mark.parametrize("name", GGML)
def test_the_gguf_package_reads_the_same_weights(name: str) -> None:
    blocks = drawn_blocks(name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        expected = gguf.quants.dequantize(blocks, gguf.GGMLQuantizationType(TYPES[name]))
    assert_same_numbers(dequantize(blocks, name), expected)


@pytest.mark.parametrize("case", cases())
@pytest.mark.parametrize("name", GGML)
def test_blocks_have_the_bytes_that_ggml_writes(name: str, case: str) -> None:
    found = quantize(cases()[case], name).reshape(-1, block_format(name).nbytes)
    np.testing.assert_array_equal(found, load("quantized")[f"{case}/{name}"].reshape(found.shape))


@pytest.mark.parametrize("name", ["q4_0", "q4_1", "q5_0", "q5_1", "q8_0"])
def test_the_gguf_package_makes_the_same_blocks(name: str) -> None:
    for weights in cases().values():
        expected = gguf.quants.quantize(weights, gguf.GGMLQuantizationType(TYPES[name]))
        np.testing.assert_array_equal(quantize(weights, name), expected.reshape(-1))


@pytest.mark.parametrize("name", ["fp8_e4m3fn", "fp8_e5m2"])
def test_8_bit_floats_are_rounded_to_nearest_ties_to_even(name: str) -> None:
    codes = np.arange(0x7F if "e4" in name else 0x7C)
    steps = np.array([WEIGHT[name]((code,), 0) for code in codes.tolist()])
    ties = (steps[1:] + steps[:-1]) / 2
    weights = np.abs(np.concatenate([each.reshape(-1) for each in cases().values()]))
    weights = np.concatenate([weights[weights <= steps[-1]], steps, ties]).astype(np.float32)
    distance = np.abs(weights.astype(np.float64)[:, None] - steps)
    nearest = distance == distance.min(axis=1, keepdims=True)
    # of two that are as near, the one whose last bit is 0
    expected = np.where(nearest, codes % 2 * 1000 + codes, 10**6).argmin(axis=1)
    np.testing.assert_array_equal(quantize(weights, name), expected)
    np.testing.assert_array_equal(quantize(-weights, name), expected | 0x80)


# The largest relative error of a block: half a step of the largest weight, with a scale in float16.
# q2_k and q3_k share few scales among 256 weights, and have no such bound for each weight.
STEPS = {"q8_0": 254, "q5_0": 31, "q5_1": 31, "q4_0": 15, "q4_1": 15}


@pytest.mark.parametrize("name", STEPS)
def test_weights_come_back_within_half_a_step(name: str) -> None:
    weights = cases()["model"].reshape(-1, 32)
    spread = weights.max(axis=1) - weights.min(axis=1)
    if name[-1] == "0":
        spread = 2 * np.abs(weights).max(axis=1)
    # With an even number of levels one end has no level of its own: a whole step.
    steps = 1.0 if name in ("q4_0", "q5_0") else 0.5
    bound = spread / STEPS[name] * steps + 2e-3 * np.abs(weights).max(axis=1)
    error = np.abs(dequantize(quantize(weights, name), name).reshape(weights.shape) - weights)
    assert (error <= bound[:, None]).all()


# Root mean square errors of normal weights, relative to the weights', with a tenth to spare.
NOISE = {"q2_k": 0.34, "q3_k": 0.17, "q4_k": 0.083, "q5_k": 0.042, "q6_k": 0.021}
NOISE |= {"iq4_nl": 0.085, "iq4_xs": 0.085, "fp8_e4m3fn": 0.03, "fp8_e5m2": 0.06}


@pytest.mark.parametrize("name", NOISE)
def test_errors_are_of_the_size_that_the_bits_allow(name: str) -> None:
    weights = cases()["model"]
    error = dequantize(quantize(weights, name), name) - weights
    ratio = float(np.linalg.norm(error) / np.linalg.norm(weights))
    assert NOISE[name] / 3 < ratio < NOISE[name]


@given(st.sampled_from(FORMATS), st.binary(min_size=210 * 2, max_size=210 * 2))
def test_any_bytes_are_some_weights(name: str, drawn: bytes) -> None:
    layout = block_format(name)
    blocks = drawn[: layout.nbytes * (len(drawn) // layout.nbytes)]
    values = dequantize(blocks, name)
    assert values.dtype == np.float32
    assert values.size == len(blocks) // layout.nbytes * layout.elements


@pytest.mark.parametrize("name", FORMATS)
def test_weights_that_have_no_number_are_refused(name: str) -> None:
    weights = np.zeros(256, np.float32)
    for wrong in (np.inf, -np.inf, np.nan, 1e30):
        weights[17] = wrong
        with pytest.raises(ArgumentError, match="finite"):
            quantize(weights, name)


@pytest.mark.parametrize("name", FORMATS)
def test_parts_of_blocks_are_refused(name: str) -> None:
    layout = block_format(name)
    assert quantize(np.zeros(0), name).size == 0
    if layout.elements > 1:
        with pytest.raises(ShapeError, match="multiple of"):
            quantize(np.zeros(layout.elements + 1), name)
        with pytest.raises(ShapeError, match="multiple of"):
            dequantize(bytes(layout.nbytes - 1), name)


def test_unknown_formats_are_refused() -> None:
    with pytest.raises(ArgumentError, match=r"q4_0.*'q9_9'"):
        block_format("q9_9")


def test_a_tensor_knows_its_rows_and_its_weights() -> None:
    weights = cases()["model"].reshape(3, 256)
    tensor = QuantizedTensor("q4_k", (3, 256), quantize(weights, "q4_k"))
    assert tensor.has_whole_rows
    assert tensor.nbytes == 3 * 144
    assert tensor.values().shape == (3, 256)
    crossing = QuantizedTensor("q4_k", (6, 128), tensor.blocks)
    assert not crossing.has_whole_rows
    np.testing.assert_array_equal(crossing.values().reshape(3, 256), tensor.values())


@pytest.mark.parametrize("rows", [False, True])
def test_scales_of_8_bit_floats_are_multiplied(rows: bool) -> None:
    weights = cases()["model"].reshape(3, 8, 32)
    scale = np.array([0.5, 2, 3], np.float32) if rows else np.float32(0.3) * np.ones((), np.float32)
    tensor = QuantizedTensor("fp8_e5m2", (3, 8, 32), quantize(weights, "fp8_e5m2"), scale)
    plain = QuantizedTensor("fp8_e5m2", (3, 8, 32), tensor.blocks).values()
    np.testing.assert_array_equal(tensor.values(), plain * scale.reshape((3, 1, 1) if rows else ()))
    assert tensor.nbytes == weights.size + scale.nbytes


def test_tensors_of_other_sizes_are_refused() -> None:
    blocks = np.zeros(34, np.uint8)
    with pytest.raises(ShapeError, match="multiple of 32 elements"):
        QuantizedTensor("q8_0", (33,), blocks)
    with pytest.raises(ShapeError, match="must be 68 bytes"):
        QuantizedTensor("q8_0", (2, 32), blocks)
    with pytest.raises(ArgumentError, match="scale must be None"):
        QuantizedTensor("q8_0", (32,), blocks, np.ones((), np.float32))
    with pytest.raises(ShapeError, match="scale must be float32"):
        QuantizedTensor("fp8_e5m2", (34,), blocks, np.ones(2, np.float32))
