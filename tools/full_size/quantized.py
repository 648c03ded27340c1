"""Time a full-size UNet with random weights that stay quantised, beside the same weights in f16.

    python -m tools.full_size.quantized [--model sdxl|sd15] [--formats q8_0,fp8_e4m3fn,q4_k]
        [--errors q4_k] [--device cuda] [--profile]
    python -m tools.full_size.quantized --folder models/emoji --size 256 --device cpu

Nothing is written. Times are those of a call for one picture with guidance, medians on a busy
device. Two relative L2 distances of the result are told: from that of the same UNet before its
weights were quantised, and, for ``--errors``, from that of a UNet in f32 whose weights are the
values of the blocks. The weights that load as quantised are those of ``--weights``.
"""

from __future__ import annotations

import argparse
import functools
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench.devices import open_device
from diffusion.checkpoints import ModelFolder
from diffusion.checkpoints.weights import Weights
from diffusion.models.module import load
from diffusion.models.quantized import Quantizer
from diffusion.models.quantized.factor import Factor
from diffusion.models.unet import UNet
from diffusion.models.unet_config import UNetConfig
from gpucore import Device, DType, f16, f32
from gpustd.quantization import QuantizedTensor, block_format, dequantize, quantize
from tools.full_size.lora import Call
from tools.full_size.models import BLOCKS, MODELS
from tools.full_size.random_folder import draw_weight
from tools.full_size.unets import Loaded

__all__ = ["main", "random_blocks"]

_POOL = 2**18
"""Weights that are quantised once; those of every layer are made of them."""
_FACTORS: dict[str, tuple[int, ...]] = {
    **dict.fromkeys(("q8_0", "q4_0", "q5_0", "iq4_nl", "iq4_xs"), (0,)),
    **dict.fromkeys(("q4_1", "q5_1", "q4_k", "q5_k"), (0, 2)),
    "q2_k": (80, 82),
    "q3_k": (108,),
    "q6_k": (208,),
}
"""Where the f16 factors of a block begin."""

Reader = Callable[[str], NDArray[Any] | QuantizedTensor]


@functools.cache
def _numbers() -> NDArray[np.float32]:
    """Return random weights of deviation 1."""
    return np.random.default_rng(1).standard_normal(_POOL, np.float32)


@functools.cache
def _pool(name: str) -> NDArray[np.uint8]:
    """Return the blocks of those weights, (blocks, bytes)."""
    return quantize(_numbers(), name).reshape(-1, block_format(name).nbytes)


@functools.cache
def _scaled_pool(name: str, deviation: float) -> NDArray[np.uint8]:
    """Return the blocks of weights of a deviation, as bytes."""
    blocks = _pool(name).copy()
    for at in _FACTORS.get(name, ()):
        factors = np.ascontiguousarray(blocks[:, at : at + 2]).view(np.float16)
        scaled = (factors * deviation).astype(np.float16)
        blocks[:, at : at + 2] = scaled.view(np.uint8)
    return blocks.reshape(-1)


@functools.cache
def _pool_values(name: str, deviation: float) -> NDArray[np.float32]:
    """Return the values of `_scaled_pool`."""
    return dequantize(_scaled_pool(name, deviation), name)


def random_blocks(name: str, shape: tuple[int, ...]) -> QuantizedTensor:
    """Return random weights of deviation 1/sqrt(fan in) in a block format."""
    deviation, layout = 1 / math.sqrt(math.prod(shape[1:])), block_format(name)
    stored = np.resize(_scaled_pool(name, deviation), layout.size_of(*shape))
    scale = np.asarray(np.float32(deviation)) if layout.elements == 1 else None
    return QuantizedTensor(name, shape, stored, scale)


class RandomWeights:
    """Random weights of a UNet, of which those of linear layers and convolutions are blocks."""

    def __init__(self, network: UNet, name: str) -> None:
        self.shapes = {key: each.shape for key, each in network.parameters()}
        quantizer = Quantizer(name)
        factors = (key for key, each in network.parameters() if isinstance(each, Factor))
        chosen = {key: quantizer.format_of(key, self.shapes[key]) for key in factors}
        self.formats = {key: name for key, name in chosen.items() if name is not None}

    def blocks(self, key: str) -> NDArray[Any] | QuantizedTensor:
        """Return a weight as it is loaded."""
        shape = self.shapes[key]
        if key not in self.formats:
            return draw_weight(self.shapes, key)
        return random_blocks(self.formats[key], shape)

    def whole(self, key: str) -> NDArray[Any]:
        """Return a weight before it was quantised."""
        if key not in self.formats:
            return draw_weight(self.shapes, key)
        shape = self.shapes[key]
        numbers = _numbers() / np.float32(math.sqrt(math.prod(shape[1:])))
        return np.resize(numbers.astype(np.float16), shape)

    def values(self, key: str) -> NDArray[Any]:
        """Return the values of a weight."""
        shape = self.shapes[key]
        if key not in self.formats:
            return draw_weight(self.shapes, key)
        name, deviation = self.formats[key], 1 / math.sqrt(math.prod(shape[1:]))
        found = np.resize(_pool_values(name, deviation), shape)
        return found * np.float32(deviation) if block_format(name).elements == 1 else found


def open_config(folder: Path | None, model: str) -> UNetConfig:
    """Return the config of a folder's UNet, or of a full-size one."""
    if folder is not None:
        return ModelFolder(folder).unet
    return UNetConfig.from_json(BLOCKS | dict(MODELS[model].parts["unet"]), Path("unet"))


def call_of(
    config: UNetConfig, read: Reader, device: Device, dtype: type[DType], size: int
) -> tuple[Call, int]:
    """Return a captured call of a UNet with such weights, and the bytes that these take."""
    device.trim()
    before, network = device.memory.live, UNet(config)
    load(network, read, device, dtype)
    device.synchronize()
    taken = device.memory.live - before
    return Call(device, Loaded(network, config, Weights(Path(), ()), dtype), size, None), taken


class Plain(NamedTuple):
    """A call with weights that are not quantised: its time, bytes and result."""

    seconds: float
    nbytes: int
    result: NDArray[np.float64]


def relative_l2(result: NDArray[np.float64], exact: NDArray[np.float64]) -> float:
    """Return the distance of results, relative to the exact one."""
    return float(np.linalg.norm(result - exact) / np.linalg.norm(exact))


def measure_plain(device: Device, config: UNetConfig, name: str, size: int) -> Plain:
    """Measure a call of the UNet before its weights are quantised in a format."""
    dtype = f32 if device.is_cpu else f16
    weights = RandomWeights(UNet(config), name)
    call, nbytes = call_of(config, weights.whole, device, dtype, size)
    seconds = call.seconds()
    found = Plain(seconds, nbytes, call.output.read().astype(np.float64))
    call.release()
    return found


def measure(
    device: Device, config: UNetConfig, name: str, plain: Plain, size: int, *, error: bool
) -> Call:
    """Print times, bytes and the error of one format; return the call."""
    dtype = f32 if device.is_cpu else f16
    weights = RandomWeights(UNet(config), name)
    call, nbytes = call_of(config, weights.blocks, device, dtype, size)
    seconds = call.seconds()
    result = call.output.read().astype(np.float64)
    line = f"{name}: {1e3 * seconds:.2f} ms against {1e3 * plain.seconds:.2f} in {dtype.name}"
    line += f" ({seconds / plain.seconds:.3f}), {nbytes / 2**20:.0f} MiB against"
    line += f" {plain.nbytes / 2**20:.0f}, apart {relative_l2(result, plain.result):.1e}"
    if error:
        wide, _ = call_of(config, weights.values, device, f32, size)
        wide.graph.replay()
        line += f", relative L2 {relative_l2(result, wide.output.read().astype(np.float64)):.1e}"
        wide.release()
    print(line, flush=True)
    return call


def main(arguments: list[str] | None = None) -> None:
    """Measure the formats named on the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.full_size.quantized",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--model", default="sd15", choices=sorted(MODELS))
    parser.add_argument("--folder", type=Path, help="a model's folder, for its shapes alone")
    parser.add_argument("--formats", default="q8_0,fp8_e4m3fn,q4_k")
    parser.add_argument("--size", type=int, help="pixels of a side")
    parser.add_argument("--device", default="", help="such as cuda, dawn, cpu")
    parser.add_argument("--errors", help="formats that are compared with f32 (all)")
    parser.add_argument("--profile", action="store_true", help="show layers and kernels")
    options = parser.parse_args(arguments)
    device = open_device(options.device)
    config = open_config(options.folder, options.model)
    size = options.size or MODELS[options.model].size
    names = options.formats.split(",")
    compared = names if options.errors is None else options.errors.split(",")
    plain = measure_plain(device, config, names[0], size)
    for name in names:
        call = measure(device, config, name, plain, size, error=name in compared)
        if options.profile:
            with device.profile() as timed:
                call.graph.replay()
            print(timed.table())
        call.release()
        del call


if __name__ == "__main__":
    main()
