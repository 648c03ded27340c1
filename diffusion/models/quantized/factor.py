"""Weights that products take as they are on the device: as numbers, or quantised."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from diffusion.models.weights import LEAST_PARKED, FileArray, Parameter, Weight
from gpucore import Buffer, Device, DType, f32, u32
from gpucore.memory.host import HostArray
from gpustd import QuantizedWeight
from gpustd.matmul.quantized import QuantizedPart
from gpustd.quantization import QuantizedTensor

__all__ = ["Factor", "Operand"]


class _ParkedPart(NamedTuple):
    """Columns of a quantised weight whose words lie in memory of the host."""

    words: HostArray
    make: Callable[[Buffer[u32]], QuantizedPart]

    @classmethod
    def of(cls, part: QuantizedPart, device: Device) -> _ParkedPart:
        """Copy the words of a part to memory of the host."""
        form, depth, columns, taps = part.format, part.depth, part.columns, part.taps

        def make(words: Buffer[u32]) -> QuantizedPart:
            return QuantizedPart(form, words, depth, columns, taps)

        return cls(HostArray(device, part.words), make)


class _ParkedWeight(NamedTuple):
    """A quantised weight in memory of the host."""

    shape: tuple[int, ...]
    parts: tuple[_ParkedPart, ...]

    @property
    def nbytes(self) -> int:
        """The bytes that it takes there."""
        return sum(each.words.nbytes for each in self.parts)

    def upload(self) -> QuantizedWeight:
        """Return a copy on the device."""
        return QuantizedWeight(self.shape, [make(words.upload()) for words, make in self.parts])


class Operand(Weight):
    """The right operand of a product. One that is quantised stays so, on the device or parked."""

    _quantized: QuantizedWeight | None = None
    _parked_blocks: _ParkedWeight | None = None

    @classmethod
    def of(cls, value: Buffer[Any] | QuantizedWeight) -> Operand:
        """Return an operand with a value that lies on the device."""
        if isinstance(value, Buffer):
            return cls(value)
        found = cls()
        found._quantized = value
        return found

    @property
    def factor(self) -> Buffer[Any] | QuantizedWeight:
        """The weight on the device as products take it; one that is parked is copied there.

        Raises `RuntimeError` before `load`.
        """
        if self._parked_blocks is not None:
            return self._parked_blocks.upload()
        return self.buffer if self._quantized is None else self._quantized

    @property
    def is_quantized(self) -> bool:
        """Tell whether the weight is quantised."""
        return self._quantized is not None or self._parked_blocks is not None

    @property
    def is_parked(self) -> bool:
        return super().is_parked or self._parked_blocks is not None

    @property
    def is_filled(self) -> bool:
        return super().is_filled or self._quantized is not None

    @property
    def host_bytes(self) -> int:
        blocks = self._parked_blocks
        return super().host_bytes if blocks is None else blocks.nbytes

    def park(self) -> None:
        super().park()
        weight = self._quantized
        if weight is not None and weight.nbytes >= LEAST_PARKED:
            parts = tuple(_ParkedPart.of(part, weight.device) for part in weight.parts)
            self._parked_blocks, self._quantized = _ParkedWeight(weight.shape, parts), None

    def release(self) -> None:
        super().release()
        self._quantized = self._parked_blocks = None

    @property
    def on_device(self) -> list[Buffer[Any]]:
        quantized = () if self._quantized is None else self._quantized.parts
        return [*super().on_device, *(part.words for part in quantized)]


class Factor(Operand, Parameter):
    """The weight of a linear layer or a convolution, which may stay quantised on the device."""

    _dtype: type[DType] = f32

    @property
    def dtype(self) -> type[DType]:
        """The type that it computes in; f16 or f32 also where it is quantised."""
        return self._dtype if self.is_quantized else self.buffer.dtype

    def fill(self, array: FileArray, device: Device, dtype: type[DType]) -> None:
        self.release()
        self._dtype = dtype
        if isinstance(array, QuantizedTensor) and array.shape == self.shape:
            self._quantized = QuantizedWeight.upload(array, device)
        else:
            super().fill(array, device, dtype)

    def reserve(self, device: Device, dtype: type[DType], blocks: str | None = None) -> None:
        self.release()
        self._dtype = dtype
        if blocks is None:
            super().reserve(device, dtype)
        else:
            self._quantized = QuantizedWeight.reserve(blocks, self.shape, device)

    def fill_from(self, weight: Buffer[f32], dtype: type[DType]) -> None:
        self.release()
        super().fill_from(weight, dtype)
