"""Parts of complex numbers against NumPy."""

from __future__ import annotations

from gpustd.arrays.elementwise import complex_parts
from tests.gpustd.arrays.elementwise_properties import properties_of

test_equal_shapes, _, test_refusals = properties_of(complex_parts.__all__)
