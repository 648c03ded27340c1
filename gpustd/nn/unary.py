"""Activations, element by element (products apply them by themselves: see `gpustd.gemm`)."""

from __future__ import annotations

from gpucore import ArgumentError, Buffer, T
from gpustd.launch.elements import float_scalar, launch_each, words_of
from gpustd.launch.template import Value

__all__ = ["UNARY", "unary"]

UNARY = ("gelu", "gelu_tanh", "quick_gelu", "relu", "silu")


def unary(x: Buffer[T], name: str) -> Buffer[T]:
    """Activation ``name`` of every element, computed in f32.

    ``silu`` x sigmoid(x); ``gelu`` x Phi(x), exact (Hendrycks and Gimpel 2016, arXiv 1606.08415);
    ``gelu_tanh`` its approximation by tanh; ``quick_gelu`` x sigmoid(1.702 x); ``relu``
    max(x, 0). ``x`` is f16 or f32 of any shape.
    Raises `ArgumentError` for another name, `DTypeError`.

    >>> x = device.buffer_from_array(np.array([-1, 0, 1], np.float32))
    >>> gpustd.unary(x, "relu").read().tolist()
    [0.0, 0.0, 1.0]
    """
    if name not in UNARY:
        raise ArgumentError(f"unary: unknown function {name!r}; there are {', '.join(UNARY)}")
    spec: dict[str, Value] = {
        "scalar": float_scalar("unary", x),
        "width": 4,
        "function": f"act_{name}",
    }
    y = x.device.buffer(x.dtype, x.shape)
    launch_each("nn/activation/unary.wgsl", spec, (x, y), words_of(x.size))
    return y
