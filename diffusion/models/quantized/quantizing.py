"""Quantising a network's weights while they are loaded."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from diffusion.models.quantized.selection import select_format
from gpucore import ArgumentError
from gpustd.quantization import QuantizedTensor, quantize
from gpustd.quantization.float8 import E4M3FN_MAX, E5M2_MAX

__all__ = ["Quantizer", "quantize_weight"]

_LARGEST: Final = {"fp8_e4m3fn": E4M3FN_MAX, "fp8_e5m2": E5M2_MAX}


def quantize_weight(array: NDArray[Any], name: str) -> QuantizedTensor:
    """Return an array's blocks. Raises `ArgumentError` for weights that are not finite."""
    values = np.asarray(array, np.float32)
    if name not in _LARGEST:
        return QuantizedTensor(name, values.shape, quantize(values, name))
    rows = values.reshape(len(values), -1)
    scale = np.abs(rows).max(axis=1) / np.float32(_LARGEST[name])
    scale = np.where(scale > 0, scale, 1).astype(np.float32)
    # A quotient may be rounded to more than the largest number.
    scaled = np.clip(rows / scale[:, None], -_LARGEST[name], _LARGEST[name])
    return QuantizedTensor(name, values.shape, quantize(scaled, name), scale)


@dataclass(frozen=True)
class Quantizer:
    """A rule that quantises weights of layers and convolutions that are not quantised.

    ``format``: a block format. Where blocks of 256 do not fill an output's weights, blocks of 32
    with as many bits or one more take their place; what no blocks fill is left as it is. 8-bit
    floats get a scale for each output, so that its largest weight is the format's.
    """

    format: str

    def format_of(self, name: str, shape: tuple[int, ...]) -> str | None:
        """Return the format of a layer's weight of that name and shape; None if it is left."""
        return select_format(self.format, name, shape, math.prod(shape[1:]))

    def reader(
        self, read: Callable[[str], NDArray[Any] | QuantizedTensor], layers: frozenset[str]
    ) -> Callable[[str], NDArray[Any] | QuantizedTensor]:
        """Return a function that reads parameters, and quantises the weights of ``layers``.

        Those that are quantised in the file stay so.
        """

        def read_quantized(name: str) -> NDArray[Any] | QuantizedTensor:
            array = read(name)
            if isinstance(array, QuantizedTensor) or name not in layers:
                return array
            found = self.format_of(name, array.shape)
            if found is None:
                return array
            try:
                return quantize_weight(array, found)
            except ArgumentError as error:
                raise ArgumentError(f"{name}: {error}") from None

        return read_quantized
