"""Matrix product with a fused epilogue."""

from __future__ import annotations

import math
from typing import Any

from gpucore import Buffer, ShapeError, T, f32
from gpustd.product import Product, check_activation

__all__ = ["gemm", "wide_gemm"]


def gemm(
    a: Buffer[T],
    w: Buffer[T],
    *,
    bias: Buffer[f32] | None = None,
    activation: str | None = None,
    residual: Buffer[T] | None = None,
) -> Buffer[T]:
    """``activation(a @ w + bias) + residual``, accumulated in f32.

    Args:
        a: (..., K), f16 or f32.
        w: (K, N) of the same dtype; for GEGLU (K, 2 N), values before gates.
        bias: f32, one for each column of ``w``.
        activation: None, ``silu``, ``gelu`` (exact), ``gelu_tanh``, ``quick_gelu``, ``relu`` or
            ``geglu`` (value * gelu(gate), Shazeer 2020, arXiv 2002.05202).
        residual: (..., N), added last.

    Returns (..., N). Raises `ShapeError` or `DTypeError`.

    >>> import numpy as np
    >>> import gpustd
    >>> from gpucore import Device
    >>> device = Device.auto()
    >>> a = device.buffer_from_array(np.arange(6, dtype=np.float32).reshape(2, 3))
    >>> w = device.buffer_from_array(np.ones((3, 4), np.float32))
    >>> gpustd.gemm(a, w).read().tolist()
    [[3.0, 3.0, 3.0, 3.0], [12.0, 12.0, 12.0, 12.0]]
    """
    check_activation("gemm", activation)
    _check_operands(a, w)
    columns = w.shape[1]
    if activation == "geglu" and columns % 2:
        raise ShapeError(f"gemm: geglu wants an even number of columns, got {w.shape}")
    n = columns // 2 if activation == "geglu" else columns
    shape = (*a.shape[:-1], n)
    _check_extras(columns, shape, bias, residual)
    y = a.device.buffer(a.dtype, shape)
    _launch(a, w, y, activation, bias=bias, residual=residual)
    return y


def wide_gemm(a: Buffer[T], w: Buffer[T]) -> Buffer[f32]:
    """``a @ w`` in f32, whatever the operands' dtype: what rounding to f16 would spoil.

    Operands as in `gemm`. Returns (..., N). Raises `ShapeError` or `DTypeError`.

    >>> import numpy as np
    >>> import gpustd
    >>> from gpucore import Device
    >>> device = Device.auto()
    >>> a = device.buffer_from_array(np.full((1, 8), 2, np.float32))
    >>> gpustd.wide_gemm(a, device.buffer_from_array(np.ones((8, 1), np.float32))).read().tolist()
    [[16.0]]
    """
    _check_operands(a, w)
    y = a.device.buffer(f32, (*a.shape[:-1], w.shape[1]))
    _launch(a, w, y, None)
    return y


def _launch(
    a: Buffer[T],
    w: Buffer[T],
    y: Buffer[Any],
    activation: str | None,
    *,
    bias: Buffer[f32] | None = None,
    residual: Buffer[T] | None = None,
) -> None:
    m, k = math.prod(a.shape[:-1]), a.shape[-1]
    images = a.shape[0] if len(a.shape) > 2 else 1
    product = Product(
        op="gemm",
        source="gemm/rows.wgsl",
        m=m,
        images=images,
        n=y.shape[-1],
        channels=(k,),
        sizes={"m": m, "n": y.shape[-1], "k": k, "rows": max(m // max(images, 1), 1)},
        window={},
        activation=activation,
    )
    if y.size:
        product.launch(a, None, w, bias, None, residual, y)


def _check_operands(a: Buffer[Any], w: Buffer[Any]) -> None:
    if not a.shape or len(w.shape) != 2 or a.shape[-1] != w.shape[0]:
        raise ShapeError(f"gemm: {a.shape} @ {w.shape}: wants (..., K) and (K, N)")


def _check_extras(
    columns: int,
    shape: tuple[int, ...],
    bias: Buffer[Any] | None,
    residual: Buffer[Any] | None,
) -> None:
    if bias is not None and bias.shape != (columns,):
        raise ShapeError(f"gemm: bias {bias.shape} for {columns} columns")
    if residual is not None and residual.shape != shape:
        raise ShapeError(f"gemm: residual {residual.shape} for a result {shape}")
