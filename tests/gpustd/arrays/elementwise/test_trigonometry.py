"""Trigonometric and hyperbolic functions against NumPy float64, over their whole ranges."""

from __future__ import annotations

from gpustd.arrays.elementwise import trigonometry
from tests.gpustd.arrays.elementwise_properties import properties_of

test_equal_shapes, test_broadcasting, test_refusals = properties_of(trigonometry.__all__)
