"""embedding and one_hot."""

from __future__ import annotations

import numpy as np
import pytest

from gpucore import ArgumentError, Device, DTypeError, f32
from gpustd import nn
from tests.gpustd.nn.oracle import drawn, up


def test_embedding(device: Device) -> None:
    table, ids = drawn(0, (7, 5)), np.array([[6, 0, 3], [-1, 7, 2]], np.int32)
    result = nn.embedding(up(device, ids, poison=120), up(device, table)).read()
    expected = table[ids.clip(0, 6)]
    expected[1, :2] = np.nan
    np.testing.assert_array_equal(result, expected)


@pytest.mark.parametrize("classes", [1, 4, 7])
def test_one_hot(device: Device, classes: int) -> None:
    ids = np.array([[0, classes - 1, classes], [-1, 0, 2**31 - 1]], np.int32)
    result = nn.one_hot(up(device, ids, poison=24 * classes), classes).read()
    np.testing.assert_array_equal(result, ids[..., None] == np.arange(classes))
    assert nn.one_hot(up(device, ids[:, :0]), classes).shape == (2, 0, classes)


def test_refuses(device: Device) -> None:
    with pytest.raises(DTypeError, match="ids must be i32"):
        nn.one_hot(device.buffer(f32, 3), 2)  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match="0 classes"):
        nn.one_hot(up(device, np.zeros(3, np.int32)), 0)
