"""Activations, element by element, computed in f32; a NaN stays one.

Products and convolutions apply some of them by themselves: see `gpustd.gemm`.

    >>> import numpy as np
    >>> from gpucore import Device
    >>> from gpustd import nn
    >>> x = Device.auto().buffer_from_array(np.array([-4, -1, 0, 2, 8], np.float32))
    >>> nn.relu6(x).read().tolist()
    [0.0, 0.0, 0.0, 2.0, 6.0]
    >>> nn.leaky_relu(x, 0.5).read().tolist()
    [-2.0, -0.5, 0.0, 2.0, 8.0]
    >>> print(nn.gelu(x).read().round(2) + 0)
    [ 0.   -0.16  0.    1.95  8.  ]
"""

from __future__ import annotations

from typing import Literal

from gpucore import ArgumentError, Buffer, T
from gpucore.integers import ceil_div
from gpustd.launch.checks import as_float, choice
from gpustd.launch.elements import float_scalar, launch_each
from gpustd.launch.template import Value

__all__ = [
    "elu",
    "gelu",
    "hardsigmoid",
    "hardswish",
    "leaky_relu",
    "mish",
    "relu",
    "relu6",
    "selu",
    "sigmoid",
    "silu",
    "softplus",
    "tanh",
]


def relu(x: Buffer[T]) -> Buffer[T]:
    """``max(x, 0)``, f16 or f32 of any shape. Raises `DTypeError`."""
    return _each("relu", "act_relu", x)


def relu6(x: Buffer[T]) -> Buffer[T]:
    """``min(max(x, 0), 6)``, f16 or f32 of any shape. Raises `DTypeError`."""
    return _each("relu6", "relu6", x)


def leaky_relu(x: Buffer[T], negative_slope: float = 0.01) -> Buffer[T]:
    """``x`` where it is positive, else ``negative_slope x``; f16 or f32. Raises `DTypeError`."""
    return _each(
        "leaky_relu", "leaky_relu", x, as_float("leaky_relu", "negative_slope", negative_slope)
    )


def elu(x: Buffer[T], alpha: float = 1.0) -> Buffer[T]:
    """``x`` where it is positive, else ``alpha (exp(x) - 1)``.

    Clevert, Unterthiner and Hochreiter 2015 (arXiv 1511.07289). f16 or f32; no cancellation near
    0. Raises `DTypeError`.
    """
    return _each("elu", "elu", x, as_float("elu", "alpha", alpha))


def selu(x: Buffer[T]) -> Buffer[T]:
    """``scale elu(x, alpha)`` with the two constants that keep mean 0 and variance 1.

    Klambauer et al. 2017 (arXiv 1706.02515). f16 or f32. Raises `DTypeError`.
    """
    return _each("selu", "selu", x)


def gelu(x: Buffer[T], approximate: Literal["none", "tanh"] = "none") -> Buffer[T]:
    """``x Phi(x)`` with the normal distribution function Phi.

    Hendrycks and Gimpel 2016 (arXiv 1606.08415). f16 or f32. ``none`` is exact: Phi comes from a
    polynomial with a relative error of 4e-7, so that negative tails keep their digits; ``tanh`` is
    ``x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)))``. Raises `ArgumentError`, `DTypeError`.
    """
    functions = {"none": "act_gelu", "tanh": "act_gelu_tanh"}
    return _each("gelu", functions[choice("gelu", "approximate", approximate, functions)], x)


def silu(x: Buffer[T]) -> Buffer[T]:
    """``x sigmoid(x)``, also called swish; f16 or f32. Raises `DTypeError`."""
    return _each("silu", "act_silu", x)


def mish(x: Buffer[T]) -> Buffer[T]:
    """``x tanh(softplus(x))`` (Misra 2019, arXiv 1908.08681); f16 or f32. Raises `DTypeError`."""
    return _each("mish", "mish", x)


def sigmoid(x: Buffer[T]) -> Buffer[T]:
    """``1 / (1 + exp(-x))``, f16 or f32 of any shape. Raises `DTypeError`."""
    return _each("sigmoid", "sigmoid", x)


def hardsigmoid(x: Buffer[T]) -> Buffer[T]:
    """``min(max(x + 3, 0), 6) / 6``, f16 or f32 of any shape. Raises `DTypeError`."""
    return _each("hardsigmoid", "hardsigmoid", x)


def hardswish(x: Buffer[T]) -> Buffer[T]:
    """``x hardsigmoid(x)`` (Howard et al. 2019, arXiv 1905.02244). Raises `DTypeError`."""
    return _each("hardswish", "hardswish", x)


def tanh(x: Buffer[T]) -> Buffer[T]:
    """Hyperbolic tangent, f16 or f32, exact near 0 too. Raises `DTypeError`."""
    return _each("tanh", "precise_tanh", x)


def softplus(x: Buffer[T], beta: float = 1.0, threshold: float = 20.0) -> Buffer[T]:
    """``log(1 + exp(beta x)) / beta``, and ``x`` itself where ``beta x > threshold``.

    f16 or f32 of any shape. Raises `ArgumentError` for beta 0, or so small that its inverse is no
    f32, `DTypeError`.
    """
    beta = as_float("softplus", "beta", beta)
    if abs(beta) < 2.0**-127:
        raise ArgumentError(f"softplus: 1 / {beta} is too large: give another beta")
    return _each(
        "softplus", "softplus", x, beta, as_float("softplus", "threshold", threshold), 1 / beta
    )


def _each(op: str, function: str, x: Buffer[T], *parameters: float) -> Buffer[T]:
    """``function`` of ``shaders/nn/functions.wgsl`` of every element, with up to 3 parameters."""
    scalar = float_scalar(op, x)
    width = 16 // x.dtype.itemsize
    spec: dict[str, Value] = {"scalar": scalar, "width": width, "function": function}
    y = x.device.buffer(x.dtype, x.shape)
    words = ceil_div(x.size, width)
    numbers = (*parameters, 0.0, 0.0, 0.0)
    launch_each("nn/unary.wgsl", spec, (x, y), words, dict(zip("abc", numbers, strict=False)))
    return y
