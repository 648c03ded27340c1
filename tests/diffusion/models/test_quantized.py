"""Networks with quantised weights against the same networks with the values of the blocks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from diffusion.models.layers import Conv2d, Linear
from diffusion.models.module import Module, load
from diffusion.models.quantized import WEIGHT_NAMES, Quantizer, block_format_of, quantize_weight
from diffusion.models.quantized.factor import Factor
from diffusion.models.quantized.presence import has_quantized_weights
from diffusion.models.transformer import SelfAttention
from diffusion.models.unet import UNet, time_features
from diffusion.models.unet_config import UNetConfig
from gpucore import ArgumentError, Device, DType, f16, f32
from gpustd import QuantizedWeight
from gpustd.quantization import QuantizedTensor
from tests.conftest import skip_without_f16

Weights = dict[str, NDArray[np.float32]]
Read = Callable[[str], NDArray[Any] | QuantizedTensor]

CONFIG = UNetConfig.from_json(
    {
        "sample_size": 8,
        "cross_attention_dim": 64,
        "attention_head_dim": 4,
        "block_out_channels": [32, 64],
        "layers_per_block": 1,
        "down_block_types": ["CrossAttnDownBlock2D", "DownBlock2D"],
        "up_block_types": ["UpBlock2D", "CrossAttnUpBlock2D"],
    },
    Path("unet"),
)


def random_weights(network: Module) -> Weights:
    """Return weights that keep activations near one."""
    rng, found = np.random.default_rng(1), {}
    for name, parameter in network.parameters():
        drawn = rng.standard_normal(parameter.shape, np.float32)
        fan = np.prod(parameter.shape[1:]) if len(parameter.shape) > 1 else 100
        one = len(parameter.shape) == 1 and name.endswith("weight")
        found[name] = drawn / np.float32(np.sqrt(fan)) + np.float32(one)
    return found


def factors(network: Module) -> frozenset[str]:
    """Return the names of the weights of linear layers and convolutions."""
    return frozenset(name for name, each in network.parameters() if isinstance(each, Factor))


def values_of(read: Read) -> Callable[[str], NDArray[Any]]:
    """Return a function that reads the values of quantised weights."""

    def read_values(name: str) -> NDArray[Any]:
        found = read(name)
        return found.values() if isinstance(found, QuantizedTensor) else found

    return read_values


def call(read: Read, device: Device, dtype: type[DType]) -> NDArray[np.float64]:
    """Return the result of a loaded UNet for two images."""
    network = UNet(CONFIG)
    load(network, read, device, dtype)
    assert has_quantized_weights(network) == any(
        isinstance(read(name), QuantizedTensor) for name in factors(network)
    )
    rng = np.random.default_rng(2)

    def upload(*shape: int) -> Any:
        return device.buffer_from_array(rng.standard_normal(shape), dtype)

    latents, text = upload(2, 8, 8, 4), upload(2, 7, 64)
    times = device.buffer_from_array(time_features([500.0] * 2, CONFIG), dtype)
    return network(latents, times, network.prompt_keys(text)).read().astype(np.float64)


@pytest.mark.parametrize("name", ["q8_0", "q4_k", "fp8"])
def test_unet_computes_with_the_values_of_its_blocks(device: Device, name: str) -> None:
    """In f32 bit by bit, in f16 as near as f16 is."""
    plain = UNet(CONFIG)
    weights, layers = random_weights(plain), factors(plain)
    quantizer = Quantizer(block_format_of(name) or "")
    read = quantizer.reader(weights.__getitem__, layers)
    kept = [each for each in layers if isinstance(read(each), QuantizedTensor)]
    assert len(kept) > len(layers) / 2
    exact = call(values_of(read), device, f32)
    np.testing.assert_array_equal(call(read, device, f32), exact)
    original = call(weights.__getitem__, device, f32)
    assert 1e-4 < np.linalg.norm(exact - original) / np.linalg.norm(original) < 0.5


@pytest.mark.slow
@pytest.mark.parametrize("name", ["q8_0", "q4_k", "fp8"])
def test_unet_in_f16(device: Device, name: str) -> None:
    skip_without_f16(device, "f16")
    plain = UNet(CONFIG)
    weights = random_weights(plain)
    quantizer = Quantizer(block_format_of(name) or "")
    read = quantizer.reader(weights.__getitem__, factors(plain))
    exact = call(values_of(read), device, f32)
    error = np.linalg.norm(call(read, device, f16) - exact) / np.linalg.norm(exact)
    assert error <= 5e-3


def test_weights_of_a_file_stay_as_they_are(device: Device) -> None:
    """Layers that are fused may have formats of their own, or none."""
    layer = SelfAttention(64, 4)
    weights = random_weights(layer)
    formats = {"to_q.weight": "q8_0", "to_k.weight": "q4_0", "to_out.0.weight": "q5_1"}
    plain = np.ones((1, 5, 64), np.float32) * np.arange(64, dtype=np.float32) / 64
    results = []
    for whole in (set(), {"to_v.weight"}):
        named = formats | ({} if whole else {"to_v.weight": "q4_1"})
        kept = {
            name: quantize_weight(array, named[name]) if name in named else array
            for name, array in weights.items()
        }
        pair = []
        for read in (kept.__getitem__, values_of(kept.__getitem__)):
            load(layer, read, device, f32)
            x = device.buffer_from_array(plain)
            pair.append(layer(x, None).read())
        np.testing.assert_array_equal(*pair)
        results.append(pair[0])
    assert np.abs(results[0] - results[1]).max() > 0


@pytest.mark.parametrize("upsampling", ["twice", "about", ""])
def test_convolutions_keep_no_other_form_of_their_weights(device: Device, upsampling: Any) -> None:
    """Those of Winograd would take more than blocks save; those of upsampling are made anew."""
    layers = [Conv2d(32, 64, 3, padding=1, upsampling=upsampling, side=64) for _ in range(2)]
    weights = random_weights(layers[0])
    weights["weight"] = quantize_weight(weights["weight"], "q8_0")  # type: ignore[assignment]
    before = device.memory.live
    load(layers[0], weights.__getitem__, device, f32)
    assert device.memory.live - before < 64 * 32 * 9 * 2
    load(layers[1], values_of(weights.__getitem__), device, f32)
    x = device.buffer_from_array(np.random.default_rng(3).standard_normal((1, 5, 6, 32)), f32)
    upsample = (10, 12) if upsampling else None
    first, second = (layer(x, upsample=upsample).read() for layer in layers)
    np.testing.assert_allclose(first, second, rtol=0, atol=1e-5)


def test_other_weights_of_a_file_are_expanded(device: Device) -> None:
    """Files may hold quantised norms, and shapes that were changed for their blocks."""
    layer = Linear(32, 64)
    weights = random_weights(layer)
    kept = {name: quantize_weight(array, "q8_0") for name, array in weights.items()}
    load(layer, kept.__getitem__, device, f32)
    assert isinstance(layer.weight.factor, QuantizedWeight)
    assert layer.bias is not None
    np.testing.assert_array_equal(layer.bias.buffer.read(), kept["bias"].values())


def test_the_format_of_each_weight() -> None:
    """Blocks of 32 where those of 256 would go on into the next output, as llama.cpp chooses."""
    quantizer, name = Quantizer("q4_k"), "mid_block.attentions.0.proj_in.weight"
    assert quantizer.format_of(name, (64, 256, 1, 1)) == "q4_k"
    assert quantizer.format_of(name, (64, 320, 1, 1)) == "q5_0"
    assert quantizer.format_of(name, (64, 63, 3, 3)) is None
    assert quantizer.format_of(name, (32, 32)) is None
    kept = ("conv_in", "conv_out", "time_embedding.linear_1", "add_embedding.linear_2")
    for each in (*kept, "text_model.embeddings.token_embedding"):
        assert quantizer.format_of(f"{each}.weight", (64, 256)) is None
    assert Quantizer("fp8_e5m2").format_of(name, (63, 65)) == "fp8_e5m2"
    assert {block_format_of(name) for name in WEIGHT_NAMES} >= {"q8_0", "q4_k", "fp8_e4m3fn"}
    assert block_format_of("f16") is None


def test_scales_of_8_bit_floats() -> None:
    """The largest weight of an output is the largest number; one without weights stays zero."""
    array = np.zeros((3, 4), np.float32)
    array[0], array[1] = (1, -2, 0.5, 0), (1e-6, 0, 0, 3e-6)
    tensor = quantize_weight(array, "fp8_e4m3fn")
    assert tensor.scale is not None
    np.testing.assert_allclose(tensor.scale, [2 / 448, 3e-6 / 448, 1], rtol=1e-6)
    np.testing.assert_allclose(tensor.values(), array, rtol=0.07)


def test_weights_that_are_not_finite_are_refused_by_name() -> None:
    array = np.full((64, 64), np.nan, np.float32)
    read = Quantizer("q8_0").reader({"to_q.weight": array}.__getitem__, frozenset({"to_q.weight"}))
    with pytest.raises(ArgumentError, match=r"to_q\.weight: "):
        read("to_q.weight")
