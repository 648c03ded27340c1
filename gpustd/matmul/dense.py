"""Matrix product with a fused epilogue."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

from gpucore import Buffer, ShapeError, T, f32
from gpustd.launch.checks import require_buffers
from gpustd.matmul.product import Product, check_activation

__all__ = ["gemm", "multiply_batch", "wide_gemm"]


def gemm(
    a: Buffer[T],
    w: Buffer[T],
    *,
    bias: Buffer[f32] | None = None,
    activation: str | None = None,
    residual: Buffer[T] | None = None,
    few_rows: bool = False,
) -> Buffer[T]:
    """``activation(a @ w + bias) + residual``, accumulated in f32.

    Args:
        a: (..., K), f16 or f32.
        w: (K, N) of the same dtype; for GEGLU (K, 2 N), values before gates.
        bias: f32, one for each column of ``w``.
        activation: None, ``silu``, ``gelu`` (exact), ``gelu_tanh``, ``quick_gelu``, ``relu`` or
            ``geglu`` (value * gelu(gate), Shazeer 2020, arXiv 2002.05202).
        residual: (..., N), added last.
        few_rows: ``a`` has few rows, up to some 16: weights are read as fast as memory gives them.
            Sums run in an order of their own, the same for any number of rows. Not with GEGLU.

    Returns (..., N). Raises `ShapeError` or `DTypeError`.

    >>> a = device.buffer_from_array(np.arange(6, dtype=np.float32).reshape(2, 3))
    >>> w = device.buffer_from_array(np.ones((3, 4), np.float32))
    >>> gpustd.gemm(a, w).read().tolist()
    [[3.0, 3.0, 3.0, 3.0], [12.0, 12.0, 12.0, 12.0]]
    """
    if few_rows and activation == "geglu":
        raise ShapeError("gemm: few_rows goes with no geglu")
    n = _result_columns("gemm", a, w, activation)
    shape = (*a.shape[:-1], n)
    _check_extras("gemm", w.shape[1], shape, bias, residual)
    product = replace(_product("gemm", a, n, activation), few_rows=few_rows)
    y = a.device.buffer(a.dtype, shape)
    if y.size:
        product.launch(a, None, w, bias, None, residual, y)
    return y


def wide_gemm(a: Buffer[T], w: Buffer[T]) -> Buffer[f32]:
    """``a @ w`` in f32, whatever the operands' dtype: what rounding to f16 would spoil.

    Operands as in `gemm`. Returns (..., N). Raises `ShapeError` or `DTypeError`.

    >>> a = device.buffer_from_array(np.full((1, 8), 2, np.float32))
    >>> gpustd.wide_gemm(a, device.buffer_from_array(np.ones((8, 1), np.float32))).read().tolist()
    [[16.0]]
    """
    n = _result_columns("wide_gemm", a, w, None)
    product = replace(_product("wide_gemm", a, n, None), wide=a.dtype is not f32)
    y = a.device.buffer(f32, (*a.shape[:-1], n))
    if y.size:
        product.launch(a, None, w, None, None, None, y)
    return y


def multiply_batch(op: str, a: Buffer[T], w: Buffer[T], y: Buffer[T]) -> None:
    """Record ``y = a @ w`` for each of a batch of at most 65 535, named ``op`` in errors.

    ``a`` (batch, M, K), ``w`` (batch or more, K, N), ``y`` (batch, M, N), all non-empty.
    """
    batch, m, k = a.shape
    product = _of_rows(op, m, k, w.shape[2], batch=batch)
    product.launch(a, None, w, None, None, None, y)


def _product(op: str, a: Buffer[Any], n: int, activation: str | None) -> Product:
    images = a.shape[0] if len(a.shape) > 2 else 1
    return _of_rows(op, math.prod(a.shape[:-1]), a.shape[-1], n, images, activation)


def _of_rows(
    op: str,
    m: int,
    k: int,
    n: int,
    images: int = 1,
    activation: str | None = None,
    *,
    batch: int | None = None,
) -> Product:
    return Product(
        op=op,
        source="matmul/gemm/rows.wgsl",
        m=m,
        images=images,
        n=n,
        channels=(k,),
        sizes={"m": m, "n": n, "k": k, "rows": max(m // max(images, 1), 1)},
        window={},
        activation=activation,
        batch=batch,
    )


def _result_columns(op: str, a: Buffer[Any], w: Buffer[Any], activation: str | None) -> int:
    """N, of operands that fit."""
    require_buffers(op, a, w)
    check_activation(op, activation)
    if not a.shape or len(w.shape) != 2 or a.shape[-1] != w.shape[0]:
        raise ShapeError(f"{op}: {a.shape} @ {w.shape}: wants (..., K) and (K, N)")
    if activation != "geglu":
        return w.shape[1]
    if w.shape[1] % 2:
        raise ShapeError(f"{op}: geglu wants an even number of columns, got {w.shape}")
    return w.shape[1] // 2


def _check_extras(
    op: str,
    columns: int,
    shape: tuple[int, ...],
    bias: Buffer[Any] | None,
    residual: Buffer[Any] | None,
) -> None:
    require_buffers(op, *(b for b in (bias, residual) if b is not None))
    if bias is not None and bias.shape != (columns,):
        raise ShapeError(f"{op}: bias {bias.shape} for {columns} columns")
    if residual is not None and residual.shape != shape:
        raise ShapeError(f"{op}: residual {residual.shape} for a result {shape}")
