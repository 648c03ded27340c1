"""The functions of the library by name."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Final

from gpucore.compiler.library import bits, exponentials, special, whole_numbers
from gpucore.compiler.source import FunctionSource, read_function

__all__ = ["LIBRARY", "library_source"]

_FUNCTIONS: Final[tuple[Callable[..., object], ...]] = (
    bits.frexp,
    bits.ldexp,
    bits.modf,
    bits.nextafter,
    bits.signbit,
    bits.spacing,
    bits.ulp,
    exponentials.cbrt,
    exponentials.expm1,
    exponentials.hypot,
    exponentials.logaddexp,
    exponentials.logaddexp2,
    special.erf,
    special.erfc,
    special.gamma,
    special.lgamma,
    whole_numbers.float_divmod,
    whole_numbers.floor_divmod,
    whole_numbers.gcd,
    whole_numbers.heaviside,
    whole_numbers.isclose,
    whole_numbers.isqrt,
    whole_numbers.lcm,
    whole_numbers.numpy_isclose,
    whole_numbers.remainder,
)
LIBRARY: Final[Mapping[str, Callable[..., object]]] = {each.__name__: each for each in _FUNCTIONS}


@functools.cache
def library_source(function: Callable[..., object]) -> FunctionSource:
    """Return the text of a function of the library."""
    return read_function(function)
