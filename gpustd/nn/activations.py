"""Activations, element by element, computed in f32; a NaN stays one.

Products and convolutions apply some of them by themselves: see `gpustd.gemm`.

    >>> x = device.buffer_from_array(np.array([-4, -1, 0, 2, 8], np.float32))
    >>> nn.relu6(x).read().tolist()
    [0.0, 0.0, 0.0, 2.0, 6.0]
    >>> nn.leaky_relu(x, 0.5).read().tolist()
    [-2.0, -0.5, 0.0, 2.0, 8.0]
    >>> print(nn.gelu(x).read().round(2) + 0)
    [ 0.   -0.16  0.    1.95  8.  ]
"""

from __future__ import annotations

from typing import Literal

from gpucore import ArgumentError, Buffer, DTypeError, ShapeError, T, f32
from gpucore.integers import ceil_div
from gpustd.launch.checks import as_float, choice, require_buffers
from gpustd.launch.elements import float_scalar, launch_each
from gpustd.launch.template import Value
from gpustd.nn.channels import launch_channels
from gpustd.nn.norm.affine import check_channel_vectors

__all__ = [
    "elu",
    "gelu",
    "hardsigmoid",
    "hardswish",
    "leaky_relu",
    "mish",
    "prelu",
    "quick_gelu",
    "relu",
    "relu6",
    "selu",
    "sigmoid",
    "silu",
    "softplus",
    "tanh",
]


def relu(x: Buffer[T]) -> Buffer[T]:
    """Return ``max(x, 0)``, f16 or f32 of any shape. Raises `DTypeError`."""
    return _launch("relu", "act_relu", x)


def relu6(x: Buffer[T]) -> Buffer[T]:
    """Return ``min(max(x, 0), 6)``, f16 or f32 of any shape. Raises `DTypeError`."""
    return _launch("relu6", "relu6", x)


def leaky_relu(x: Buffer[T], negative_slope: float = 0.01) -> Buffer[T]:
    """Return ``x`` where it is positive, else ``negative_slope x``.

    ``x`` is f16 or f32 of any shape. Raises `DTypeError`, `ArgumentError`.
    """
    slope = as_float("leaky_relu", "negative_slope", negative_slope)
    return _launch("leaky_relu", "leaky_relu", x, slope)


def prelu(x: Buffer[T], weight: Buffer[f32]) -> Buffer[T]:
    """Return ``x`` where it is positive, else ``weight x``: one slope, or one for each channel.

    He et al. 2015 (arXiv 1502.01852). ``x`` (..., C) is f16 or f32, ``weight`` f32 (C,) or (1,).
    Raises `ShapeError`, `DTypeError`.

        >>> up = device.buffer_from_array
        >>> x = up(np.array([[-2, -2], [4, 4]], np.float32))
        >>> nn.prelu(x, up(np.array([0.5, 0.25], np.float32))).read().tolist()
        [[-1.0, -0.5], [4.0, 4.0]]
    """
    require_buffers("prelu", x, weight)
    single = weight.shape == (1,) and x.shape[-1:] != (1,)
    if single and weight.dtype is not f32:
        raise DTypeError(f"prelu: weight must be f32, got {weight!r}; cast it to f32")
    if not single:
        float_scalar("prelu", x)
        if not x.shape:
            raise ShapeError(f"prelu: x must be (..., C), got {x.shape}")
        check_channel_vectors("prelu", x.shape[-1], {"weight": weight})
    return launch_channels("prelu", "prelu_single" if single else "prelu", x, (weight,))


def elu(x: Buffer[T], alpha: float = 1.0) -> Buffer[T]:
    """Return ``x`` where it is positive, else ``alpha (exp(x) - 1)``.

    Clevert, Unterthiner and Hochreiter 2015 (arXiv 1511.07289). f16 or f32; no cancellation near
    0. Raises `DTypeError`, `ArgumentError`.
    """
    return _launch("elu", "elu", x, as_float("elu", "alpha", alpha))


def selu(x: Buffer[T]) -> Buffer[T]:
    """Return ``scale elu(x, alpha)`` with the two constants that keep mean 0 and variance 1.

    Klambauer et al. 2017 (arXiv 1706.02515). f16 or f32. Raises `DTypeError`.
    """
    return _launch("selu", "selu", x)


def gelu(x: Buffer[T], approximate: Literal["none", "tanh"] = "none") -> Buffer[T]:
    """Return ``x Phi(x)`` with the normal distribution function Phi.

    Hendrycks and Gimpel 2016 (arXiv 1606.08415). f16 or f32. ``none`` is exact: Phi comes from a
    polynomial with a relative error of 4e-7, so that negative tails keep their digits; ``tanh`` is
    ``x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)))``. Raises `ArgumentError`, `DTypeError`.
    """
    functions = {"none": "act_gelu", "tanh": "act_gelu_tanh"}
    return _launch("gelu", functions[choice("gelu", "approximate", approximate, functions)], x)


def quick_gelu(x: Buffer[T]) -> Buffer[T]:
    """Return ``x sigmoid(1.702 x)``, the approximation of `gelu` in CLIP.

    f16 or f32 of any shape. Raises `DTypeError`.
    """
    return _launch("quick_gelu", "act_quick_gelu", x)


def silu(x: Buffer[T]) -> Buffer[T]:
    """Return ``x sigmoid(x)``, also called swish; f16 or f32. Raises `DTypeError`."""
    return _launch("silu", "act_silu", x)


def mish(x: Buffer[T]) -> Buffer[T]:
    """Return ``x tanh(softplus(x))`` (Misra 2019, arXiv 1908.08681). Raises `DTypeError`."""
    return _launch("mish", "mish", x)


def sigmoid(x: Buffer[T]) -> Buffer[T]:
    """Return ``1 / (1 + exp(-x))``, f16 or f32 of any shape. Raises `DTypeError`."""
    return _launch("sigmoid", "sigmoid", x)


def hardsigmoid(x: Buffer[T]) -> Buffer[T]:
    """Return ``min(max(x + 3, 0), 6) / 6``, f16 or f32 of any shape. Raises `DTypeError`."""
    return _launch("hardsigmoid", "hardsigmoid", x)


def hardswish(x: Buffer[T]) -> Buffer[T]:
    """Return ``x hardsigmoid(x)`` (Howard et al. 2019, arXiv 1905.02244). Raises `DTypeError`."""
    return _launch("hardswish", "hardswish", x)


def tanh(x: Buffer[T]) -> Buffer[T]:
    """Return the hyperbolic tangent, f16 or f32, exact near 0 too. Raises `DTypeError`."""
    return _launch("tanh", "precise_tanh", x)


def softplus(x: Buffer[T], beta: float = 1.0, threshold: float = 20.0) -> Buffer[T]:
    """Return ``log(1 + exp(beta x)) / beta``, and ``x`` itself where ``beta x > threshold``.

    f16 or f32 of any shape. Raises `DTypeError`, and `ArgumentError` for a beta whose inverse is
    beyond f32, such as 0.
    """
    beta = as_float("softplus", "beta", beta)
    if abs(beta) < 2.0**-127:
        raise ArgumentError(f"softplus: beta must be such that 1 / beta is an f32, got {beta}")
    limit = as_float("softplus", "threshold", threshold)
    return _launch("softplus", "softplus", x, beta, limit, 1 / beta)


def _launch(op: str, function: str, x: Buffer[T], *parameters: float) -> Buffer[T]:
    """Apply ``function`` of ``shaders/nn/functions.wgsl``, with up to 3 parameters, to ``x``."""
    scalar = float_scalar(op, x)
    width = 16 // x.dtype.itemsize
    spec: dict[str, Value] = {"scalar": scalar, "width": width, "function": function}
    y = x.device.buffer(x.dtype, x.shape)
    words = ceil_div(x.size, width)
    numbers = (*parameters, 0.0, 0.0, 0.0)
    launch_each("nn/unary.wgsl", spec, (x, y), words, dict(zip("abc", numbers, strict=False)))
    return y
