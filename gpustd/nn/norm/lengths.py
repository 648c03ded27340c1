"""Normalisations by the length of each row: its root mean square, or its Euclidean norm."""

from __future__ import annotations

from gpucore import ArgumentError, Buffer, ShapeError, T, f32
from gpustd.launch.checks import as_float
from gpustd.launch.elements import float_scalar
from gpustd.nn.norm.affine import check_channel_vectors
from gpustd.nn.rows import launch_rows

__all__ = ["normalize", "rms_norm"]


def rms_norm(
    x: Buffer[T], weight: Buffer[f32] | None = None, eps: float = 1.1920929e-07
) -> Buffer[T]:
    """Return ``x / sqrt(mean(x^2) + eps) * weight`` over the last axis.

    Zhang and Sennrich 2019 (arXiv 1910.07467). ``x`` (..., C) is f16 or f32, ``weight`` f32 (C,);
    computed in f32, whose epsilon is the default of ``eps``. Raises `ShapeError`, `DTypeError`.

        >>> x = device.buffer_from_array(np.array([[1, 7], [0.5, -0.5]], np.float32))
        >>> print(nn.rms_norm(x).read().round(3))
        [[ 0.2  1.4]
         [ 1.  -1. ]]
    """
    eps = as_float("rms_norm", "eps", eps)
    float_scalar("rms_norm", x)
    if not x.shape:
        raise ShapeError(f"rms_norm: x must be (..., C), got {x.shape}")
    if weight is None:
        return launch_rows("rms_norm", x, eps=eps)
    check_channel_vectors("rms_norm", x.shape[-1], {"weight": weight})
    return launch_rows("rms_norm", x, weight, eps=eps, weighted=True)


def normalize(x: Buffer[T], eps: float = 1e-12) -> Buffer[T]:
    """Return ``x / max(norm(x), eps)`` with the Euclidean norm over the last axis.

    ``x`` (..., C) is f16 or f32. Its squares are summed in f32: their sum must stay below 3e38.
    Raises `ShapeError`, `DTypeError`, and `ArgumentError` for an ``eps`` that is not positive.

        >>> x = device.buffer_from_array(np.array([[3, 4], [0, 0]], np.float32))
        >>> print(nn.normalize(x).read().round(3))
        [[0.6 0.8]
         [0.  0. ]]
    """
    float_scalar("normalize", x)
    if not x.shape:
        raise ShapeError(f"normalize: x must be (..., C), got {x.shape}")
    eps = as_float("normalize", "eps", eps)
    if eps <= 0:
        raise ArgumentError(f"normalize: eps must be positive, got {eps}: rows may be zeros")
    return launch_rows("normalize", x, eps=eps)
