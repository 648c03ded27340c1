"""The affine map of a layer: a matrix product with a bias and an activation."""

from __future__ import annotations

from gpucore import Buffer, T, f32
from gpustd.launch.checks import require_buffers
from gpustd.matmul.dense import gemm

__all__ = ["linear"]


def linear(
    x: Buffer[T],
    weight: Buffer[T],
    bias: Buffer[f32] | None = None,
    activation: str | None = None,
) -> Buffer[T]:
    """Return ``activation(x @ weight + bias)``, summed in f32, by `gpustd.gemm`.

    ``x`` (..., K) and ``weight`` (K, N), which is PyTorch's transposed, are f16 or f32; ``bias`` is
    f32 (N,). ``activation`` is None, ``relu``, ``silu``, ``gelu`` (exact), ``gelu_tanh``,
    ``quick_gelu`` or ``geglu``, and costs next to nothing here. Raises `ShapeError`, `DTypeError`,
    `ArgumentError`.

        >>> up = device.buffer_from_array
        >>> w = up(np.array([[1, 0, -1], [0, 2, -1]], np.float32))
        >>> nn.linear(up(np.array([[3, 4]], np.float32)), w, activation="relu").read().tolist()
        [[3.0, 8.0, 0.0]]
    """
    require_buffers("linear", x, weight, *(() if bias is None else (bias,)))
    return gemm(x, weight, bias=bias, activation=activation)
