"""Layers that are joined, and norms folded into them, against float64 and the golden UNets."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from diffusion.checkpoints import ModelFolder
from diffusion.models import joined
from diffusion.models.joined import Joined
from diffusion.models.layers import LayerNorm, Linear
from diffusion.models.module import Module, load
from diffusion.models.unet import time_features
from diffusion.networks import load_networks
from gpucore import Device, DType, Kernel, f16, f32
from gpucore.memory import storage_size
from gpustd import product
from gpustd.product import Product
from gpustd.reference import layer_norm as oracle
from gpustd.template import Value, kernel
from gpustd.tiles import Tile
from tests.diffusion.golden_models import networks
from tests.goldens.cases import UNET_CASES, UNetCase
from tests.goldens.loader import channels_last, relative_error
from tests.goldens.loader import load as golden
from tests.gpustd.products import emulated_kernel

DTYPES = pytest.mark.parametrize("dtype", [f32, f16], ids=lambda d: d.name)
# As in tests/diffusion/test_goldens_networks.py.
TOLERANCE: dict[type[DType], float] = {f32: 1e-4, f16: 1e-2}


class Layers(Module):
    """A norm and two layers of what it gives."""

    def __init__(self, *, bias: bool) -> None:
        self.norm = LayerNorm(24)
        self.first = Linear(24, 16, bias=bias)
        self.second = Linear(24, 40, bias=bias)

    def drawn(self, device: Device, dtype: type[DType]) -> dict[str, NDArray[Any]]:
        """Load random weights; return them as they are on the device, in float64."""
        rng = np.random.default_rng(3)
        weights = {
            name: rng.standard_normal(p.shape) / (5 if len(p.shape) > 1 else 1)
            for name, p in self.parameters()
        }
        load(self, weights.__getitem__, device, dtype)
        return {
            name: array.astype(dtype.numpy if array.ndim > 1 else np.float32).astype(np.float64)
            for name, array in weights.items()
        }


def need(device: Device, dtype: type[DType]) -> None:
    if dtype is f16 and not device.has_f16:
        pytest.skip(f"{device!r} has no f16")


@DTYPES
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("folded", [True, False])
def test_norm_and_layers_match_float64(
    device: Device, dtype: type[DType], bias: bool, folded: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    need(device, dtype)
    monkeypatch.setattr(joined, "_normalises", lambda _: folded)
    layers = Layers(bias=bias)
    weights = layers.drawn(device, dtype)
    made = Joined([layers.first, layers.second], layers.norm)
    x = (1 + np.random.default_rng(4).standard_normal((2, 9, 24))).astype(dtype.numpy)
    result = made(device.buffer_from_array(x)).read()
    gamma, beta = weights["norm.weight"], weights["norm.bias"]
    rows = oracle.reference(x.astype(np.float64), gamma, beta, layers.norm.eps)
    w = np.concatenate([weights["first.weight"], weights["second.weight"]]).T
    expected = rows @ w
    if bias:
        expected += np.concatenate([weights["first.bias"], weights["second.bias"]])
    # Rows and folded weights are rounded by half a step each, 24 times: five deviations of 0.3.
    step = 2.0**-10 if dtype is f16 else 2.0**-23
    scale = np.abs(rows) + np.abs(oracle.reference(x.astype(np.float64), gamma, 0 * beta, 1e-5))
    allowed = 3 * step * np.sqrt(scale**2 @ w**2) + step * np.abs(expected) + 1e-5
    assert made.firsts == [0, 16, 56]
    assert np.all(np.abs(result - expected) <= allowed)


def test_the_fold_gives_the_weights_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(joined, "_normalises", lambda _: True)
    device = Device.null()
    layers = Layers(bias=True)
    layers.drawn(device, f16)
    made = Joined([layers.first, layers.second], layers.norm)
    device.synchronize()
    weight, bias, sums = 24 * 56 * 2, 56 * 4, 56 * 4
    assert device.memory.live == sum(map(storage_size, (weight, bias, sums)))
    for parameter in (layers.norm.weight, layers.norm.bias, layers.first.weight, layers.first.bias):
        with pytest.raises(RuntimeError, match="before it is loaded"):
            _ = parameter.buffer
    del made
    assert device.memory.live == 0


def test_one_layer_keeps_its_weight() -> None:
    device = Device.null()
    layers = Layers(bias=True)
    layers.drawn(device, f32)
    before = device.memory.live
    weight = layers.first.weight.buffer
    made = Joined([layers.first])
    assert device.memory.live == before
    assert made._weight is weight


def test_only_matrix_units_fold(device: Device) -> None:
    dtype = f16 if device.has_f16 else f32
    layers = Layers(bias=True)
    layers.drawn(device, dtype)
    made = Joined([layers.first], layers.norm)
    assert (made._sums is not None) == (dtype is f16 and device.has_matrix_units)


def first_cases() -> list[UNetCase]:
    """One of each golden model."""
    return list({case.model: case for case in reversed(UNET_CASES)}.values())


def unet_error(device: Device, case: UNetCase, dtype: type[DType]) -> float:
    """Of a UNet that is loaded anew."""
    folder: ModelFolder = networks(device, case.model, dtype).folder
    unet = load_networks(folder, device, dtype).unet
    latents = device.buffer_from_array(channels_last(case.latents()), dtype)
    features = time_features([case.timestep] * case.batch, folder.unet)
    prompt = unet.prompt_keys(device.buffer_from_array(case.text(), dtype))
    output = unet(latents, device.buffer_from_array(features, dtype), prompt).read()
    return relative_error(output, channels_last(golden("unet")[case.name]))


@DTYPES
@pytest.mark.parametrize("case", first_cases(), ids=lambda case: case.name)
def test_unets_with_folded_norms(
    device: Device, case: UNetCase, dtype: type[DType], monkeypatch: pytest.MonkeyPatch
) -> None:
    need(device, dtype)
    monkeypatch.setattr(joined, "_normalises", lambda _: True)
    assert unet_error(device, case, dtype) < TOLERANCE[dtype]


def test_a_unet_whose_products_normalise(device: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those products on matrix units, or their emulation, and the rest as the device has it."""
    need(device, f16)
    launched = []
    make = kernel if device.has_matrix_units else emulated_kernel

    def noted(device: Device, name: str, **spec: Value) -> Kernel:
        if spec.get("normed"):
            launched.append(spec["activation"])
        return make(device, name, **spec)

    suited = Product.rung

    def rung(self: Product, device: Device, scalar: str) -> str:
        return suited(self, device, scalar) if self.eps is None else "matrix"

    monkeypatch.setattr(joined, "_normalises", lambda _: True)
    monkeypatch.setattr(product, "kernel", noted)
    monkeypatch.setattr(product, "MATRIX_TILES", (Tile(16, 32, 32, 16, 16),))
    monkeypatch.setattr(Product, "rung", rung)
    assert unet_error(device, UNET_CASES[0], f16) < TOLERANCE[f16]
    assert launched.count("geglu") > 2
    assert launched.count("none") == 2 * launched.count("geglu")
