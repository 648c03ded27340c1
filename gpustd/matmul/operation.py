"""The description of one matrix product: its sizes, its window and its operands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from gpucore import Buffer, Work, u32
from gpustd.launch.template import Value
from gpustd.matmul.epilogue import Epilogue
from gpustd.matmul.quantized.weight import QuantizedPart
from gpustd.matmul.rank_update import RankUpdate

__all__ = ["Matmul", "Operands"]

_POINTWISE = {
    "kernel_height": 1,
    "kernel_width": 1,
    "stride": 1,
    "scale": 1,
    "pad_top": 0,
    "pad_left": 0,
    "wrap_y": 0,
    "wrap_x": 0,
}


@dataclass(frozen=True)
class Matmul:
    """One matrix product, or a batch of them: (m, k) @ (k, columns), with an epilogue.

    The left operand is a list of *segments*, runs of consecutive elements of a source. A plain
    product has one segment, a convolution has one for each tap and source.

    Attributes:
        op: name of the operation in errors.
        source: WGSL file with the addressing of the left operand.
        m: rows of all images.
        images: number of images.
        n: columns of the result.
        channels: length of a segment of each source.
        sizes: fields of the source's uniform struct.
        window: kernel, stride, padding and scale of a convolution; empty for a plain product. They
            are constants of a shader, or uniforms of a flexible one.
        activation: name of the activation, or None.
        image_first: first column of ``per_image`` that is added.
        batch: number of products of this size that one launch makes, their operands
            consecutive in memory. None for one product. K is never split in a batch, even of one.
        few_rows: each image has few rows. The ``m`` of one batch alone would not tell.
        wide: results are f32, also of f16 operands.
    """

    op: str
    source: str
    m: int
    images: int
    n: int
    channels: tuple[int, ...]
    sizes: Mapping[str, int]
    window: Mapping[str, int]
    activation: str | None
    image_first: int = 0
    batch: int | None = None
    few_rows: bool = False
    wide: bool = False

    @property
    def columns(self) -> int:
        """Columns of the weights: twice those of the result for GEGLU."""
        return self.n * (2 if self.activation == "geglu" else 1)

    @property
    def taps(self) -> int:
        """Taps of the window."""
        return self.window.get("kernel_height", 1) * self.window.get("kernel_width", 1)

    @property
    def k(self) -> int:
        """Rows of the weights."""
        return self.taps * sum(self.channels)

    @property
    def has_window(self) -> bool:
        """True where a row is more than one pixel, or may lie outside of the image."""
        if self.window != _POINTWISE:
            return bool(self.window)
        return any(self.sizes[f"out_{side}"] != self.sizes[side] for side in ("height", "width"))

    def work(self, buffers: list[Buffer[Any]]) -> Work:
        """Return the operations, and the bytes of ``buffers``."""
        operations = 2.0 * self.m * self.k * self.columns * (self.batch or 1)
        return Work(operations, sum(buffer.nbytes for buffer in buffers))


class Operands(NamedTuple):
    """Buffers of one launch: image and weights, the epilogue's, and the result ``y``.

    ``second`` is the source whose channels follow those of ``x``. ``quantized``: what ``w`` holds
    the words of, where the kernel expands them. ``update``: what is added to the sums. ``slots``:
    the slot of each image, where ``w`` is (slots, K, columns), which `hopper` alone takes.
    """

    x: Buffer[Any]
    second: Buffer[Any] | None
    w: Buffer[Any]
    epilogue: Epilogue
    y: Buffer[Any]
    quantized: QuantizedPart | None = None
    update: RankUpdate | None = None
    slots: Buffer[u32] | None = None

    @property
    def factors(self) -> list[Buffer[Any]]:
        """The buffers that are multiplied, in the order of the shaders' bindings."""
        return [self.x, self.w] if self.second is None else [self.x, self.second, self.w]

    def weight_spec(self, unit: int) -> dict[str, Value]:
        """Return the template variables of weights that are read in words of ``unit`` columns."""
        if self.quantized is None:
            return {}
        return {**self.quantized.spec(min(unit, 4)), "q_unit": unit}

    @property
    def update_buffers(self) -> list[Buffer[Any]]:
        """The buffers of the update, if there is one."""
        return [] if self.update is None else self.update.buffers

    @property
    def update_spec(self) -> dict[str, Value]:
        """The template variables of the update, if there is one."""
        return {} if self.update is None else self.update.spec

    @property
    def scalar(self) -> str:
        """WGSL scalar of the factors."""
        return str(self.x.dtype.name)
