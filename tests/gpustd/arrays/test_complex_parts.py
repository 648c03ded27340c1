"""Parts of complex numbers against NumPy."""

from __future__ import annotations

from gpustd.arrays import complex_parts
from tests.gpustd.arrays.elementwise import properties_of

test_equal_shapes, _, test_refusals = properties_of(complex_parts.__all__)
