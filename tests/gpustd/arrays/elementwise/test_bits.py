"""Bits of integers against NumPy."""

from __future__ import annotations

from gpustd.arrays.elementwise import bits
from tests.gpustd.arrays.elementwise_properties import properties_of

test_equal_shapes, test_broadcasting, test_refusals = properties_of(bits.__all__)
