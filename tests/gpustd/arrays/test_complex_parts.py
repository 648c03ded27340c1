"""Parts of complex numbers against NumPy."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from gpucore import Device
from gpustd.arrays import complex_parts
from tests.gpustd.arrays.elementwise import check_equal_shapes, check_refusals

OPS = complex_parts.__all__


@settings(max_examples=10, deadline=None)
@given(st.data())
def test_equal_shapes(device: Device, data: st.DataObject) -> None:
    check_equal_shapes(device, OPS, data)


@settings(max_examples=20, deadline=None)
@given(st.data())
def test_refusals(device: Device, data: st.DataObject) -> None:
    check_refusals(device, OPS, data)
