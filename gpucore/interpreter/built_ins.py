"""WGSL's numeric built-in functions on arrays.

Each takes the lanes, the offset of the call, and its arguments.
Source: WGSL specification, section 17 (built-in functions).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np

from gpucore.interpreter import bits
from gpucore.interpreter.arithmetic import report_nan, report_overflow
from gpucore.interpreter.lanes import Lanes
from gpucore.interpreter.values import Data, Value

__all__ = ["BUILT_INS", "BuiltIn"]

BuiltIn = Callable[..., Value]
Plain = Callable[..., Any]


def _plain(function: Plain) -> BuiltIn:
    """Return a function that finds no faults."""
    return lambda lanes, at, *arguments: function(*arguments)


def _may_fail(name: str, function: Plain) -> BuiltIn:
    """Return a function whose results may be NaN though its arguments are finite."""

    def run(lanes: Lanes, at: int, *arguments: Data) -> Data:
        result: Data = function(*arguments)
        report_nan(lanes, at, name, result, *arguments)
        return result

    return run


def _of_floats(function: Plain) -> Plain:
    """Return a function that computes in f64 and rounds once."""

    def run(*arguments: Data) -> Data:
        wide = (np.asarray(each, np.float64) for each in arguments)
        result: Data = function(*wide).astype(arguments[0].dtype)
        return result

    return run


def _absolute(lanes: Lanes, at: int, x: Data) -> Data:
    if x.dtype == np.int32:
        wrong = x == np.iinfo(np.int32).min
        if wrong.any():
            report_overflow(lanes, at, wrong, "abs({x})", x=x)
    return np.abs(x)


def _inner(a: Data, b: Data) -> Any:
    return (a * b).sum(0, dtype=a.dtype)


def _length(x: Data) -> Data:
    return np.abs(x) if x.ndim == 1 else np.sqrt(_inner(x, x))


def _smoothstep(low: Data, high: Data, x: Data) -> Any:
    t = np.clip((x - low) / (high - low), 0, 1)
    return (t * t * (3 - 2 * t)).astype(x.dtype)


def _mix(x: Data, y: Data, a: Data) -> Any:
    return x * (1 - a) + y * a


def _reflect(x: Data, normal: Data) -> Any:
    return x - 2 * _inner(normal, x) * normal


def _refract(x: Data, normal: Data, ratio: Data) -> Any:
    cosine = _inner(normal, x)
    k = 1 - ratio * ratio * (1 - cosine * cosine)
    bent = ratio * x - (ratio * cosine + np.sqrt(np.maximum(k, 0))) * normal
    return np.where(k < 0, np.zeros_like(bent), bent)


def _frexp(x: Data) -> Value:
    fraction, exponent = np.frexp(x)
    return fraction, exponent.astype(np.int32)


def _modf(x: Data) -> Value:
    fraction, whole = np.modf(x)
    return fraction, whole


def _determinant(m: Data) -> Data:
    return np.asarray(np.linalg.det(np.moveaxis(m, -1, 0).astype(np.float64))).astype(m.dtype)


def _truth(function: Plain) -> Plain:
    return lambda x: x if x.ndim == 1 else function(x, axis=0)


_CHECKED: Final[dict[str, Plain]] = {
    "acos": np.arccos,
    "acosh": np.arccosh,
    "asin": np.arcsin,
    "atanh": np.arctanh,
    "inverseSqrt": lambda x: (1 / np.sqrt(x)).astype(x.dtype),
    "log": np.log,
    "log2": np.log2,
    "mix": _mix,
    "normalize": lambda x: (x / _length(x)).astype(x.dtype),
    "pow": np.power,
    "smoothstep": _smoothstep,
    "sqrt": np.sqrt,
}
_PLAIN: Final[dict[str, Plain]] = {
    "all": _truth(np.all),
    "any": _truth(np.any),
    "asinh": np.arcsinh,
    "atan": np.arctan,
    "atan2": np.arctan2,
    "ceil": np.ceil,
    "clamp": lambda x, low, high: np.minimum(np.maximum(x, low), high),
    "cos": np.cos,
    "cosh": np.cosh,
    "cross": lambda a, b: np.cross(a, b, axis=0),
    "degrees": np.degrees,
    "determinant": _determinant,
    "distance": lambda a, b: _length(a - b),
    "dot": _inner,
    "exp": np.exp,
    "exp2": np.exp2,
    "faceForward": lambda a, b, c: np.where(_inner(b, c) < 0, a, -a),
    "floor": np.floor,
    "fma": _of_floats(lambda a, b, c: a * b + c),
    "fract": lambda x: x - np.floor(x),
    "frexp": _frexp,
    "ldexp": lambda x, exponent: np.ldexp(x, exponent).astype(x.dtype),
    "length": _length,
    "max": np.fmax,
    "min": np.fmin,
    "modf": _modf,
    "quantizeToF16": lambda x: x.astype(np.float16).astype(np.float32),
    "radians": np.radians,
    "reflect": _reflect,
    "refract": _refract,
    "round": np.rint,
    "saturate": lambda x: np.clip(x, 0, 1).astype(x.dtype),
    "sign": np.sign,
    "sin": np.sin,
    "sinh": np.sinh,
    "step": lambda edge, x: (x >= edge).astype(x.dtype),
    "tan": np.tan,
    "tanh": np.tanh,
    "transpose": lambda m: np.swapaxes(m, 0, 1),
    "trunc": np.trunc,
    **bits.FUNCTIONS,
}


def _pack_halves(lanes: Lanes, at: int, pair: Data) -> Data:
    lanes.settle(pair)
    return bits.pack_halves(pair)


BUILT_INS: Final[dict[str, BuiltIn]] = {
    "abs": _absolute,
    "pack2x16float": _pack_halves,
    **{name: _may_fail(name, function) for name, function in _CHECKED.items()},
    **{name: _plain(function) for name, function in _PLAIN.items()},
}
