"""Fused linear layers against float64."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from diffusion.models.fused_linear import FusedLinear
from diffusion.models.layers import Linear
from diffusion.models.module import Module, load
from diffusion.models.quantized import quantize_weight
from gpucore import Device, DType, f16, f32
from gpucore.memory.pool import storage_size
from tests.diffusion.models.test_layers import DTYPES, need


class Layers(Module):
    """Two layers of the same input."""

    def __init__(self, inputs: int = 24, *, bias: bool) -> None:
        self.first = Linear(inputs, 16, bias=bias)
        self.second = Linear(inputs, 40, bias=bias)

    def load_random(self, device: Device, dtype: type[DType]) -> dict[str, NDArray[Any]]:
        """Load random weights; return them as they are on the device, in float64."""
        rng = np.random.default_rng(3)
        weights = {name: rng.standard_normal(p.shape) / 5 for name, p in self.parameters()}
        load(self, weights.__getitem__, device, dtype)
        return {
            name: array.astype(dtype.numpy if array.ndim > 1 else np.float32).astype(np.float64)
            for name, array in weights.items()
        }


@DTYPES
@pytest.mark.parametrize("bias", [True, False])
def test_layers_match_float64(device: Device, dtype: type[DType], bias: bool) -> None:
    need(device, dtype)
    layers = Layers(bias=bias)
    weights = layers.load_random(device, dtype)
    fused = FusedLinear([layers.first, layers.second])
    x = np.random.default_rng(4).standard_normal((2, 9, 24)).astype(dtype.numpy)
    result = fused(device.buffer_from_array(x)).read()
    rows = x.astype(np.float64)
    w = np.concatenate([weights["first.weight"], weights["second.weight"]]).T
    expected = rows @ w
    if bias:
        expected += np.concatenate([weights["first.bias"], weights["second.bias"]])
    # Each of 24 products and their 25 sums is off by half a step, and so is the stored result.
    step = 2.0**-10 if dtype is f16 else 2.0**-23
    allowed = 13 * 2.0**-23 * (np.abs(rows) @ np.abs(w) + 1) + step / 2 * np.abs(expected)
    assert fused.offsets == [0, 16, 56]
    assert np.all(np.abs(result - expected) <= allowed)


@pytest.mark.parametrize("form", ["plain", "q8_0"])
@pytest.mark.parametrize("bias", [True, False])
def test_each_layer_may_have_an_input_of_its_own(device: Device, bias: bool, form: str) -> None:
    """The results are the layers' columns of whole products; quantised weights stay so."""
    layers = Layers(64, bias=bias)
    rng = np.random.default_rng(3)
    weights: dict[str, Any] = {n: rng.standard_normal(p.shape) for n, p in layers.parameters()}
    if form != "plain":
        for name in ("first.weight", "second.weight"):
            weights[name] = quantize_weight(weights[name].astype(np.float32), form)
    load(layers, weights.__getitem__, device, f32)
    fused = FusedLinear([layers.first, layers.second])
    assert fused.weight.is_quantized is (form != "plain")
    inputs = [
        device.buffer_from_array(each)
        for each in rng.standard_normal((2, 3, 9, 64)).astype(np.float32)
    ]
    whole = [fused(each).read() for each in inputs]
    expected = np.concatenate([whole[0][..., :16], whole[1][..., 16:]], axis=2)
    np.testing.assert_allclose(fused.of_each(inputs).read(), expected, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(
        fused.of_each([inputs[0], inputs[0]]).read(), whole[0], rtol=1e-5, atol=1e-5
    )


def test_the_layers_weights_are_given_back() -> None:
    device = Device.null()
    layers = Layers(bias=True)
    layers.load_random(device, f16)
    fused = FusedLinear([layers.first, layers.second])
    device.synchronize()
    assert device.memory.live == storage_size(24 * 56 * 2) + storage_size(56 * 4)
    for parameter in (layers.first.weight, layers.first.bias, layers.second.weight):
        with pytest.raises(RuntimeError, match="before it is loaded"):
            _ = parameter.buffer
    del fused
    assert device.memory.live == 0
