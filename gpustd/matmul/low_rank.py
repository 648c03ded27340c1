"""Low-rank updates beside matrix products and convolutions, another one for each image.

An update is ``x @ down @ up`` with few columns between (Hu et al. 2021, arXiv 2106.09685). The
images of a batch choose theirs from several slots, or none. An image's update follows from its own
numbers alone: it has the same bits in any batch, and with more ranks of zeros. Numbers to which the
update of an image without one is added keep their bits.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final

from gpucore import Buffer, DTypeError, ShapeError, T, Work, f32, u32
from gpucore.integers import ceil_div
from gpustd.launch.checks import require_buffers
from gpustd.launch.elements import float_scalar, width_of
from gpustd.launch.grid import flat_grid
from gpustd.launch.template import kernel
from gpustd.matmul.conv import Window, conv_matmul, result_shape
from gpustd.matmul.operation import Matmul

__all__ = ["NO_UPDATE", "low_rank_conv2d", "low_rank_update"]

NO_UPDATE: Final = 2**32 - 1
"""What an image without an update chooses."""
_WORKGROUP: Final = 64
_ROWS: Final = 4


@dataclass(frozen=True)
class _Update:
    """The operands of an update, checked: ``down`` and ``up`` have a slot in their first axis."""

    matmul: Matmul
    down: Buffer[Any]
    up: Buffer[Any]
    chosen: Buffer[u32]

    @classmethod
    def of(cls, matmul: Matmul, down: Buffer[Any], up: Buffer[Any], chosen: Buffer[u32]) -> _Update:
        """Return the update that ``matmul``, the product with ``down``, begins. Raises errors."""
        op, ranks = matmul.op, matmul.n
        if len(up.shape) != 3 or up.shape[:2] != (down.shape[0], ranks) or ranks % 4:
            raise ShapeError(
                f"{op}: down and up must be (slots, ..., ranks) and (slots, ranks, N), ranks a "
                f"multiple of 4, got {down.shape} and {up.shape}"
            )
        if chosen.dtype is not u32:
            raise DTypeError(f"{op}: chosen must be u32, got {chosen!r}")
        if len(chosen.shape) != 1 or chosen.shape[0] < matmul.images:
            raise ShapeError(
                f"{op}: chosen must have a slot for each of {matmul.images} images, got "
                f"{chosen.shape}"
            )
        return cls(matmul, down, up, chosen)

    def record(
        self,
        x: Buffer[Any],
        second: Buffer[Any] | None,
        residual: Buffer[Any] | None,
        y: Buffer[Any],
    ) -> None:
        """Record the launches that write ``y``."""
        ranks = x.device.buffer(f32, (self.matmul.m, self.matmul.n))
        self._record_down(x, second, ranks)
        self._record_up(ranks, residual, y)

    def _record_down(self, x: Buffer[Any], second: Buffer[Any] | None, ranks: Buffer[f32]) -> None:
        sizes, words = self.matmul.sizes, ranks.size // 4
        names = ("height", "width", "view_height", "view_width", "out_height", "out_width")
        params = {
            "count": words,
            "ranks": self.matmul.n // 4,
            **{name: sizes[name] for name in (*names, "c1", "c2")},
            **self.matmul.window,
        }
        factors = [x] if second is None else [x, second]
        spec = {"scalar": x.dtype.name, "two": second is not None}
        buffers = [*factors, self.down, self.chosen, ranks]
        record = kernel(x.device, "matmul/low_rank/down.wgsl", **spec)
        record(*buffers, params, grid=flat_grid(words, _WORKGROUP), work=self.matmul.work(buffers))

    def _record_up(self, ranks: Buffer[f32], residual: Buffer[Any] | None, y: Buffer[Any]) -> None:
        rows = self.matmul.m // self.matmul.images
        width = width_of(self.up.shape[2])
        columns, blocks = self.up.shape[2] // width, ceil_div(rows, _ROWS)
        count = self.matmul.images * blocks * columns
        params = {
            "rows": rows,
            "blocks": blocks,
            "ranks": self.matmul.n,
            "columns": columns,
            "count": count,
        }
        spec = {"scalar": y.dtype.name, "width": width, "residual": residual is not None}
        buffers = [ranks, self.up, self.chosen, *([] if residual is None else [residual]), y]
        work = Work(2.0 * y.size * self.matmul.n, sum(each.nbytes for each in buffers))
        record = kernel(y.device, "matmul/low_rank/up.wgsl", **spec)
        record(*buffers, params, grid=flat_grid(count, _WORKGROUP), work=work)


def low_rank_update(x: Buffer[T], down: Buffer[T], up: Buffer[T], chosen: Buffer[u32]) -> Buffer[T]:
    """Return ``x[i] @ down[c] @ up[c]`` with ``c = chosen[i]`` for each image i.

    Args:
        x: (images, ..., K), f16 or f32.
        down: (slots, K, ranks) of the same dtype, ranks a multiple of 4.
        up: (slots, ranks, N) of the same dtype.
        chosen: a slot for each image, or `NO_UPDATE`; it may be longer.

    Returns (images, ..., N), summed in f32: what `gpustd.gemm` takes as ``addend``. Raises
    `ShapeError` or `DTypeError`.

    >>> from gpustd.matmul.low_rank import NO_UPDATE, low_rank_update
    >>> x = device.buffer_from_array(np.ones((2, 1, 3), np.float32))
    >>> down = device.buffer_from_array(np.ones((1, 3, 4), np.float32))
    >>> up = device.buffer_from_array(np.ones((1, 4, 2), np.float32))
    >>> chosen = device.buffer_from_array(np.array([0, NO_UPDATE], np.uint32))
    >>> low_rank_update(x, down, up, chosen).read().tolist()
    [[[12.0, 12.0]], [[-0.0, -0.0]]]
    """
    op = "low_rank_update"
    require_buffers(op, x, down, up, chosen)
    if len(x.shape) < 2 or len(down.shape) != 3:
        raise ShapeError(
            f"{op}: x and down must be (images, ..., K) and (slots, K, ranks), got {x.shape} and "
            f"{down.shape}"
        )
    rows = math.prod(x.shape[1:-1])
    image = x.view((x.shape[0], rows, 1, x.shape[-1]))
    weights = (1, 1, *down.shape[1:])
    matmul = conv_matmul(op, image, None, weights, Window(), None, 0)
    update = _Update.of(matmul, down, up, chosen)
    float_scalar(op, x, down, up)
    y = x.device.buffer(x.dtype, (*x.shape[:-1], up.shape[2]))
    if y.size:
        update.record(image, None, None, y)
    return y


def low_rank_conv2d(
    x: Buffer[T],
    down: Buffer[T],
    up: Buffer[T],
    chosen: Buffer[u32],
    window: Window,
    *,
    second: Buffer[T] | None = None,
    residual: Buffer[T] | None = None,
) -> Buffer[T]:
    """Return ``conv(x[i], down[c]) @ up[c] + residual[i]`` with ``c = chosen[i]`` for each image i.

    Args:
        x: (images, height, width, C1), f16 or f32.
        down: (slots, kernel height, kernel width, C1 + C2, ranks) of the same dtype, ranks a
            multiple of 4.
        up: (slots, ranks, Cout) of the same dtype.
        chosen: a slot for each image, or `NO_UPDATE`; it may be longer.
        window: the convolution's positions on the image.
        second: (images, height, width, C2), whose channels follow those of ``x``.
        residual: like the result. It may become the residual of the convolution itself.

    Returns (images, out height, out width, Cout), summed in f32. Raises `ShapeError` or
    `DTypeError`.
    """
    op = "low_rank_conv2d"
    require_buffers(op, x, down, up, chosen)
    matmul = conv_matmul(op, x, second, down.shape[1:], window, None, 0)
    update = _Update.of(matmul, down, up, chosen)
    shape = (*result_shape(matmul)[:3], up.shape[2])
    given = [each for each in (second, residual) if each is not None]
    float_scalar(op, x, down, up, *given)
    if residual is not None and residual.shape != shape:
        raise ShapeError(f"{op}: residual must be {shape}, got {residual.shape}")
    y = x.device.buffer(x.dtype, shape)
    if y.size:
        update.record(x, second, residual, y)
    return y
