"""A quantised weight on the device: its bytes, and their expansion into a matrix."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpucore import Buffer, Device, DTypeError, ShapeError, T, f16, f32, u32
from gpucore.integers import ceil_div
from gpustd.arrays.moving.blocks import concat
from gpustd.arrays.moving.transposing import transpose
from gpustd.launch.elements import require_f16_support
from gpustd.launch.grid import flat_grid
from gpustd.launch.template import Value, constants, kernel
from gpustd.quantization import QuantizedTensor, block_format

__all__ = ["QuantizedPart", "QuantizedWeight"]

_WORKGROUP = 64
_RUN = 8
_ALONE = {"q8_0": 0, "q4_0": 0, "q5_0": 0, "iq4_nl": 0, "q3_k": 108, "q6_k": 208}
"""Where the f16 factor of a block stands that has no other: the rest are whole words."""


@dataclass(frozen=True, eq=False)
class QuantizedPart:
    """Columns of a weight that share one format.

    ``words``: (words, columns) where blocks run down the columns; (words,) where some go on into
    the next column, as in files whose rows are no multiple of a block (``is_flat``). See
    ``shaders/matmul/quantized/values.wgsl``. ``depth``: rows of the matrix. ``taps``: of a
    convolution, whose weights run over them first.
    """

    format: str
    words: Buffer[u32]
    depth: int
    columns: int
    taps: int

    @property
    def is_flat(self) -> bool:
        """Tell whether blocks go on from one column into the next."""
        return len(self.words.shape) == 1

    def spec(self, lanes: int) -> dict[str, Value]:
        """Return the template variables of ``values.wgsl``, for words of ``lanes`` columns."""
        layout = block_format(self.format)
        return {
            "q_format": self.format,
            "q_block": layout.elements,
            "q_bytes": layout.nbytes - 2 * (self.format in _ALONE),
            "q_alone": self.format in _ALONE,
            "q_flat": self.is_flat,
            "q_conv": self.taps > 1,
            "q_lanes": lanes,
        }


class QuantizedWeight:
    """A weight (K, N), or (kh, kw, C, Cout), that stays quantised, made by `upload` or `join`.

    Products take it as their right operand beside f16 and f32, with the bits of their product with
    `expand`.

    >>> blocks = gpustd.quantization.quantize(np.ones((2, 32), np.float32), "q8_0")
    >>> tensor = gpustd.quantization.QuantizedTensor("q8_0", (2, 32), blocks)
    >>> w = gpustd.QuantizedWeight.upload(tensor, device)
    >>> w.shape, w.nbytes
    ((32, 2), 72)
    """

    def __init__(self, shape: tuple[int, ...], parts: Sequence[QuantizedPart]) -> None:
        self.shape = shape
        self.parts = tuple(parts)

    @classmethod
    def upload(cls, tensor: QuantizedTensor, device: Device) -> QuantizedWeight:
        """Return a tensor (N, K), or (Cout, C, kh, kw), as a weight on a device.

        Raises `ShapeError`.
        """
        _require_weight_shape(tensor.shape)
        words = device.buffer_from_array(_words(tensor))
        return cls._of(
            tensor.format, tensor.shape, transpose(words) if len(words.shape) == 2 else words
        )

    @classmethod
    def reserve(cls, form: str, shape: tuple[int, ...], device: Device) -> QuantizedWeight:
        """Return what `upload` returns for a tensor of a shape, with undefined values.

        It takes the same memory in the same order. Raises `ShapeError`.
        """
        _require_weight_shape(shape)
        words = device.buffer(u32, _words_shape(form, shape))
        if len(words.shape) == 2:
            words = device.buffer(u32, words.shape[::-1])
        return cls._of(form, shape, words)

    @classmethod
    def _of(cls, form: str, shape: tuple[int, ...], words: Buffer[u32]) -> QuantizedWeight:
        """Return the weight of a tensor of a shape, whose words lie as products take them."""
        part = QuantizedPart(form, words, math.prod(shape[1:]), shape[0], math.prod(shape[2:]))
        return cls((shape[1], shape[0]) if len(shape) == 2 else (*shape[2:], *shape[1::-1]), [part])

    @classmethod
    def join(cls, weights: Sequence[QuantizedWeight]) -> QuantizedWeight:
        """Return matrices (K, N) side by side. Raises `ShapeError`."""
        depths = {weight.shape[:-1] for weight in weights}
        if len(depths) != 1 or len(weights[0].shape) != 2:
            shapes = [weight.shape for weight in weights]
            raise ShapeError(f"QuantizedWeight: matrices must have the same rows, got {shapes}")
        shape = weights[0].shape[0], sum(weight.shape[1] for weight in weights)
        parts = [part for weight in weights for part in weight.parts]
        if len({part.format for part in parts}) > 1 or any(part.is_flat for part in parts):
            return cls(shape, parts)
        words = concat([part.words for part in parts], axis=1)
        return cls(shape, [replace(parts[0], words=words, columns=shape[1])])

    @property
    def device(self) -> Device:
        """The device that it lies on."""
        return self.parts[0].words.device

    @property
    def nbytes(self) -> int:
        """The bytes that it takes there."""
        return sum(part.words.nbytes for part in self.parts)

    @property
    def formats(self) -> tuple[str, ...]:
        """The formats of its columns, each once."""
        return tuple(dict.fromkeys(part.format for part in self.parts))

    def __repr__(self) -> str:
        return f"QuantizedWeight[{', '.join(self.formats)}]({self.shape} on {self.device.name})"

    def view(self, shape: tuple[int, int]) -> QuantizedWeight:
        """Return a 1 x 1 convolution's weight as a matrix. Raises `ShapeError`."""
        if self.shape != (1, 1, *shape):
            raise ShapeError(
                f"QuantizedWeight: a view of {self.shape} must be its matrix, got {shape}"
            )
        return QuantizedWeight(shape, self.parts)

    def expand(self, dtype: type[T]) -> Buffer[T]:
        """Return its values in f16 or f32: computed in f32, and rounded once.

        Raises `DTypeError`.
        """
        if dtype not in (f16, f32):
            raise DTypeError(f"QuantizedWeight.expand: dtype must be f16 or f32, got {dtype}")
        require_f16_support("QuantizedWeight.expand", dtype.name, (self.parts[0].words,))
        y = self.device.buffer(dtype, self.shape)
        first = 0
        for part in self.parts:
            _expand(part, y, first)
            first += part.columns
        return y


def _require_weight_shape(shape: tuple[int, ...]) -> None:
    if len(shape) not in (2, 4) or 0 in shape:
        raise ShapeError(
            f"QuantizedWeight: a tensor must be (N, K) or (Cout, C, kh, kw) and not empty, "
            f"got {shape}"
        )


def _words_shape(form: str, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the shape of what `_words` returns for a tensor of a shape."""
    layout = block_format(form)
    columns, depth = shape[0], math.prod(shape[1:])
    if depth % layout.elements:
        return (ceil_div(layout.size_of(columns * depth), 4),)
    return columns, ceil_div(layout.size_of(depth), 4) + (layout.elements == 1)


def _words(tensor: QuantizedTensor) -> NDArray[np.uint32]:
    """Return the bytes of each column as words (columns, words), or those of all, (words,)."""
    layout = block_format(tensor.format)
    columns, depth = tensor.shape[0], math.prod(tensor.shape[1:])
    rows = 1 if depth % layout.elements else columns
    stored = tensor.blocks.reshape(rows, -1)
    if tensor.format in _ALONE:
        at, blocks = _ALONE[tensor.format], stored.reshape(rows, -1, layout.nbytes)
        rest = np.concatenate([blocks[:, :, :at], blocks[:, :, at + 2 :]], axis=2)
        factors = blocks[:, :, at : at + 2]
        stored = np.concatenate([rest.reshape(rows, -1), factors.reshape(rows, -1)], axis=1)
    short = -stored.shape[1] % 4
    if short:
        stored = np.concatenate([stored, np.zeros((rows, short), np.uint8)], axis=1)
    words = np.ascontiguousarray(stored).view("<u4")
    if depth % layout.elements:
        return words.reshape(-1)
    if layout.elements > 1:
        return words
    scale = np.ones((), np.float32) if tensor.scale is None else tensor.scale
    scales = np.broadcast_to(scale, (columns,)).astype("<f4").view("<u4")
    return np.concatenate([words, scales[:, None]], axis=1)


def _expand(part: QuantizedPart, y: Buffer[Any], first: int) -> None:
    """Record the expansion into the columns of ``y`` from ``first`` on."""
    pitch = y.shape[-1]
    whole_runs = part.depth % _RUN == 0
    # A run of a flat column begins anywhere in a block, of its own.
    alone = part.columns % 4 or pitch % 4 or first % 4 or (part.is_flat and whole_runs)
    lanes = 1 if alone else 4
    sizes = {
        "depth": part.depth,
        "columns": part.columns,
        "pitch": pitch // lanes,
        "first": first // lanes,
    }
    spec: dict[str, Value] = {**part.spec(lanes), "scalar": y.dtype.name, "run": _RUN}
    spec |= {"whole": whole_runs, "taps": part.taps}
    threads = part.columns // lanes * ceil_div(part.depth, _RUN)
    grid = flat_grid(threads, _WORKGROUP)
    shader = "matmul/quantized/expand.wgsl"
    # Compiling a kernel for each size would take software renderers longer than dividing.
    whole = part.columns == pitch
    if y.device.is_cpu:
        kernel(y.device, shader, **spec)(part.words, y, sizes, grid=grid, ahead=whole)
    else:
        expanding = kernel(y.device, shader, **spec, sizes=constants(sizes))
        expanding(part.words, y, grid=grid, ahead=whole)
