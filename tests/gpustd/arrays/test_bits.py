"""Bits of integers against NumPy."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from gpucore import Device
from gpustd.arrays import bits
from tests.gpustd.arrays.elementwise import check_broadcasting, check_equal_shapes, check_refusals

OPS = bits.__all__


@settings(max_examples=10, deadline=None)
@given(st.data())
def test_equal_shapes(device: Device, data: st.DataObject) -> None:
    check_equal_shapes(device, OPS, data)


@settings(max_examples=6, deadline=None)
@given(st.data())
def test_broadcasting(device: Device, data: st.DataObject) -> None:
    check_broadcasting(device, OPS, data)


@settings(max_examples=20, deadline=None)
@given(st.data())
def test_refusals(device: Device, data: st.DataObject) -> None:
    check_refusals(device, OPS, data)
