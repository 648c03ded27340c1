"""Matrix product with a fused epilogue, and of rows that are normalised on the way."""

from __future__ import annotations

import math
from typing import Any

from gpucore import Buffer, DTypeError, ShapeError, T, f32
from gpustd.arrays import ones, zeros
from gpustd.flat import float_scalar
from gpustd.layer_norm import layer_norm
from gpustd.product import Product, check_activation

__all__ = ["gemm", "normalised_gemm", "wide_gemm"]


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
    n = _result_columns("gemm", a, w, activation)
    shape = (*a.shape[:-1], n)
    _check_extras("gemm", w.shape[1], shape, bias, residual)
    product = _product("gemm", a, n, activation)
    y = a.device.buffer(a.dtype, shape)
    if y.size:
        product.launch(a, None, w, bias, None, residual, y)
    return y


def normalised_gemm(
    x: Buffer[T],
    w: Buffer[T],
    sums: Buffer[f32],
    *,
    eps: float,
    bias: Buffer[f32] | None = None,
    activation: str | None = None,
    residual: Buffer[T] | None = None,
) -> Buffer[T]:
    """``activation((x - mean) / sqrt(variance + eps) @ w + bias) + residual``, each row normalised.

    Layer norm (Ba, Kiros and Hinton 2016, arXiv 1607.06450) without gain and offset, then `gemm`,
    in f32. A norm with gain gamma and offset beta is folded into the layer after it beforehand:
    ``w`` is its weight with row k times gamma[k], and ``beta @ weight`` joins its bias.

    On matrix units no normalised row is stored: a small launch makes the rows' means and
    deviations, and the product ``(x @ w - mean * sums) / deviation``. What cancels there costs
    accuracy: the result is off by some 2e-7 mean / deviation of the sum of a column's ``|w|``,
    which is less than f16 rounds for means of up to some 100 deviations. Elsewhere the normalised
    rows are rounded to the dtype.

    Args:
        x: (..., K), f16 or f32.
        w: (K, N) of the same dtype; for GEGLU (K, 2 N), values before gates.
        sums: f32, the sum of each column of ``w`` as it is stored.
        eps: added to the variance.
        bias: as in `gemm`.
        activation: as in `gemm`.
        residual: as in `gemm`.

    Returns (..., N). Raises `ShapeError` or `DTypeError`.

    >>> import numpy as np
    >>> import gpustd
    >>> from gpucore import Device
    >>> device = Device.auto()
    >>> x = device.buffer_from_array(np.array([[3, 5]], np.float32))
    >>> w = np.array([[1, 2, 0, 3], [1, 0, 2, 4]], np.float32)
    >>> sums = device.buffer_from_array(w.sum(axis=0))
    >>> w = device.buffer_from_array(w)
    >>> gpustd.normalised_gemm(x, w, sums, eps=0.0).read().round(4).tolist()
    [[0.0, -2.0, 2.0, 1.0]]
    """
    n = _result_columns("normalised_gemm", x, w, activation)
    shape = (*x.shape[:-1], n)
    _check_extras("normalised_gemm", w.shape[1], shape, bias, residual)
    _check_columns("normalised_gemm", "sums", sums, w.shape[1])
    product = _product("normalised_gemm", x, n, activation, float(eps))
    scalar = float_scalar("normalised_gemm", x)
    if not (x.size and n) or product.rung(x.device, scalar) != "matrix":
        gain, offset = (make(x.device, x.shape[-1], f32) for make in (ones, zeros))
        x = layer_norm(x, gain, offset, eps=eps)
        return gemm(x, w, bias=bias, activation=activation, residual=residual)
    y = x.device.buffer(x.dtype, shape)
    product.launch(x, None, w, bias, None, residual, y, sums)
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
    n = _result_columns("wide_gemm", a, w, None)
    product = _product("wide_gemm", a, n, None)
    y = a.device.buffer(f32, (*a.shape[:-1], n))
    if y.size:
        product.launch(a, None, w, None, None, None, y)
    return y


def _product(
    op: str, a: Buffer[Any], n: int, activation: str | None, eps: float | None = None
) -> Product:
    m, k = math.prod(a.shape[:-1]), a.shape[-1]
    images = a.shape[0] if len(a.shape) > 2 else 1
    return Product(
        op=op,
        source="gemm/rows.wgsl",
        m=m,
        images=images,
        n=n,
        channels=(k,),
        sizes={"m": m, "n": n, "k": k, "rows": max(m // max(images, 1), 1)},
        window={},
        activation=activation,
        eps=eps,
    )


def _result_columns(op: str, a: Buffer[Any], w: Buffer[Any], activation: str | None) -> int:
    """N, of operands that fit."""
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
    if bias is not None:
        _check_columns(op, "bias", bias, columns)
    if residual is not None and residual.shape != shape:
        raise ShapeError(f"{op}: residual {residual.shape} for a result {shape}")


def _check_columns(op: str, name: str, buffer: Buffer[Any], columns: int) -> None:
    if buffer.shape != (columns,):
        raise ShapeError(f"{op}: {name} {buffer.shape} for {columns} columns")
    if buffer.dtype is not f32:
        raise DTypeError(f"{op}: {name} must be f32, got {buffer!r}")
