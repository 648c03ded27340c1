"""Which function of the language an object of Python is: one of ours, of `math` or of NumPy."""

from __future__ import annotations

import builtins
from typing import Final

from gpucore.compiler.library import LIBRARY
from gpucore.compiler.lowering.functions.composed import COMPOSED
from gpucore.compiler.lowering.functions.numbers import FUNCTIONS

__all__ = ["function_name", "function_names"]

_COMPOSED: Final = ("log10", "fmod", "square", "reciprocal", "where")
_SAME: Final = frozenset((*FUNCTIONS, *_COMPOSED, *COMPOSED, *LIBRARY))
_ALIASES: Final = {
    "fabs": "abs",
    "absolute": "abs",
    "arcsin": "asin",
    "arccos": "acos",
    "arctan": "atan",
    "arctan2": "atan2",
    "arcsinh": "asinh",
    "arccosh": "acosh",
    "arctanh": "atanh",
    "minimum": "min",
    "fmin": "min",
    "maximum": "max",
    "fmax": "max",
    "clip": "clamp",
    "power": "pow",
    "float_power": "pow",
    "rint": "round",
    "true_divide": "divide",
    "bitwise_not": "invert",
    "fix": "trunc",
    "deg2rad": "radians",
    "rad2deg": "degrees",
    "bitwise_count": "count_ones",
}
_NUMPY: Final = {"remainder": "mod", "isclose": "numpy_isclose", "divmod": "floor_divmod"}
_BUILTINS: Final = {
    builtins.abs: "abs",
    builtins.min: "min",
    builtins.max: "max",
    builtins.pow: "pow",
    builtins.round: "round",
    builtins.len: "len",
    builtins.range: "range",
    builtins.print: "print",
    builtins.divmod: "floor_divmod",
}


def function_name(value: object) -> str | None:
    """Return the language's name of a function; None where it has none for it."""
    own = getattr(value, "gpu_name", None)
    if isinstance(own, str):
        return own
    try:
        if (built_in := _BUILTINS.get(value)) is not None:
            return str(built_in)
    except TypeError:  # not hashable
        return None
    module = getattr(value, "__module__", None) or type(value).__module__
    name = getattr(value, "__name__", "")
    numpy = module.partition(".")[0] == "numpy"
    if module == "math" or numpy:
        name = _NUMPY.get(name, name) if numpy else name
        name = _ALIASES.get(name, name)
        return name if name in _SAME else None
    return None


def function_names() -> tuple[str, ...]:
    """Return the functions of Python itself that kernels have, such as abs and len."""
    return tuple(str(getattr(each, "__name__", "")) for each in _BUILTINS)
