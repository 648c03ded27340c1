"""Batch normalisation with the statistics of training."""

from __future__ import annotations

from gpucore import Buffer, ShapeError, T, f32
from gpustd.launch.checks import as_float
from gpustd.launch.elements import float_scalar
from gpustd.nn.channels import launch_channels
from gpustd.nn.norm.affine import check_channel_vectors

__all__ = ["batch_norm"]


def batch_norm(
    x: Buffer[T],
    running_mean: Buffer[f32],
    running_var: Buffer[f32],
    weight: Buffer[f32] | None = None,
    bias: Buffer[f32] | None = None,
    eps: float = 1e-5,
) -> Buffer[T]:
    """Return ``(x - mean) / sqrt(var + eps) * weight + bias`` with the statistics of training.

    Ioffe and Szegedy 2015 (arXiv 1502.03167). ``x`` (..., C) is f16 or f32, the others f32 (C,).
    Raises `ShapeError`, `DTypeError`.

        >>> up = device.buffer_from_array
        >>> x = up(np.array([[1, 10], [3, 30]], np.float32))
        >>> mean, var = up(np.array([2, 20], np.float32)), up(np.array([1, 100], np.float32))
        >>> nn.batch_norm(x, mean, var).read().round(3).tolist()
        [[-1.0, -1.0], [1.0, 1.0]]
    """
    float_scalar("batch_norm", x)
    if not x.shape:
        raise ShapeError(f"batch_norm: x must be (..., C), got {x.shape}")
    vectors = {"running_mean": running_mean, "running_var": running_var}
    vectors |= {n: b for n, b in (("weight", weight), ("bias", bias)) if b is not None}
    check_channel_vectors("batch_norm", x.shape[-1], vectors)
    kind = "batch_norm" + "_weight" * (weight is not None) + "_bias" * (bias is not None)
    eps = as_float("batch_norm", "eps", eps)
    return launch_channels("batch_norm", kind, x, tuple(vectors.values()), eps)
