"""Dense matrix products with a fused epilogue, and batches of them."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

from gpucore import Buffer, ShapeError, T, f32
from gpustd.matmul.epilogue import Epilogue, require_activation, require_epilogue
from gpustd.matmul.launching import launch_matmul
from gpustd.matmul.low_rank import LowRank, split_update
from gpustd.matmul.operation import Matmul
from gpustd.matmul.quantized.checks import require_factors
from gpustd.matmul.quantized.weight import QuantizedWeight

__all__ = ["gemm", "multiply_batch", "wide_gemm"]


def gemm(
    a: Buffer[T],
    w: Buffer[T] | QuantizedWeight,
    *,
    bias: Buffer[f32] | None = None,
    activation: str | None = None,
    residual: Buffer[T] | None = None,
    update: LowRank | None = None,
    few_rows: bool = False,
) -> Buffer[T]:
    """Return ``activation(a @ w + bias + update) + residual``, accumulated in f32.

    Args:
        a: (..., K), f16 or f32.
        w: (K, N) of the same dtype, or quantised; for GEGLU (K, 2 N), values before gates.
        bias: f32, one number for each column of ``w``.
        activation: None, ``silu``, ``gelu`` (exact), ``gelu_tanh``, ``quick_gelu``, ``relu`` or
            ``geglu`` (value * gelu(gate), Shazeer 2020, arXiv 2002.05202).
        residual: (..., N), added last.
        update: low-rank matrices for each image of ``a``, see `gpustd.matmul.low_rank`. Where the
            kernel can, it adds them in f32, else what `low_rank_update` returns.
        few_rows: ``a`` has few rows, up to some 16, and weights are read as fast as memory gives
            them. Sums run in their own order, the same for any number of rows. Not with GEGLU.

    Returns (..., N). Raises `ShapeError` or `DTypeError`.

    >>> a = device.buffer_from_array(np.arange(6, dtype=np.float32).reshape(2, 3))
    >>> w = device.buffer_from_array(np.ones((3, 4), np.float32))
    >>> gpustd.gemm(a, w).read().tolist()
    [[3.0, 3.0, 3.0, 3.0], [12.0, 12.0, 12.0, 12.0]]
    """
    if few_rows and activation == "geglu":
        raise ShapeError("gemm: few_rows must be False with geglu, got True")
    n = _result_columns("gemm", a, w, activation)
    matmul = replace(_dense_matmul("gemm", a, n, activation), few_rows=few_rows)
    shape, epilogue = (*a.shape[:-1], n), Epilogue(bias, None, residual)
    require_epilogue("gemm", epilogue, shape, matmul.columns)
    half = None if update is None else split_update("gemm", a, update, matmul)
    if update is not None and update.up.shape[2] != matmul.columns:
        raise ShapeError(
            f"gemm: update must have {matmul.columns} columns, got {update.up.shape[2]}"
        )
    if isinstance(half, Buffer):
        matmul, epilogue = _with_addend(matmul, epilogue, half)
        half = None
    y = a.device.buffer(a.dtype, shape)
    if y.size:
        launch_matmul(matmul, a, w, y, epilogue=epilogue, update=half)
    return y


def _with_addend(
    matmul: Matmul, epilogue: Epilogue, addend: Buffer[Any]
) -> tuple[Matmul, Epilogue]:
    """Return both with an addend: each row is an image with additions of its own.

    The number of images, which K's parts follow, stays.
    """
    rows = addend.view((matmul.m, matmul.columns))
    by_row = replace(matmul, sizes={**matmul.sizes, "rows": 1})
    return by_row, epilogue._replace(per_image=rows)


def wide_gemm(a: Buffer[T], w: Buffer[T] | QuantizedWeight) -> Buffer[f32]:
    """Return ``a @ w`` in f32, also of f16 operands, without rounding to f16.

    The operands are those of `gemm`. Returns (..., N). Raises `ShapeError` or `DTypeError`.

    >>> a = device.buffer_from_array(np.full((1, 8), 2, np.float32))
    >>> gpustd.wide_gemm(a, device.buffer_from_array(np.ones((8, 1), np.float32))).read().tolist()
    [[16.0]]
    """
    n = _result_columns("wide_gemm", a, w, None)
    matmul = replace(_dense_matmul("wide_gemm", a, n, None), wide=a.dtype is not f32)
    y = a.device.buffer(f32, (*a.shape[:-1], n))
    if y.size:
        launch_matmul(matmul, a, w, y)
    return y


def multiply_batch(op: str, a: Buffer[T], w: Buffer[T], y: Buffer[T]) -> None:
    """Record ``y = a @ w`` for each matrix of a batch of at most 65 535, named ``op`` in errors.

    ``a`` (batch, M, K), ``w`` (batch or more, K, N), ``y`` (batch, M, N), all non-empty.
    """
    batch, m, k = a.shape
    launch_matmul(_matmul_of_rows(op, m, k, w.shape[2], batch=batch), a, w, y)


def _dense_matmul(op: str, a: Buffer[Any], n: int, activation: str | None) -> Matmul:
    images = a.shape[0] if len(a.shape) > 2 else 1
    return _matmul_of_rows(op, math.prod(a.shape[:-1]), a.shape[-1], n, images, activation)


def _matmul_of_rows(
    op: str,
    m: int,
    k: int,
    n: int,
    images: int = 1,
    activation: str | None = None,
    *,
    batch: int | None = None,
) -> Matmul:
    return Matmul(
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


def _result_columns(
    op: str, a: Buffer[Any], w: Buffer[Any] | QuantizedWeight, activation: str | None
) -> int:
    """Return N. Raises `ArgumentError` or `ShapeError` for operands that do not fit."""
    require_factors(op, a, w)
    require_activation(op, activation)
    if not a.shape or len(w.shape) != 2 or a.shape[-1] != w.shape[0]:
        raise ShapeError(f"{op}: a @ w must be (..., K) @ (K, N), got {a.shape} @ {w.shape}")
    if activation != "geglu":
        return w.shape[1]
    if w.shape[1] % 2:
        raise ShapeError(f"{op}: w must have an even number of columns for geglu, got {w.shape}")
    return w.shape[1] // 2
