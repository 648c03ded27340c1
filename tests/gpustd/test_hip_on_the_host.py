"""Shipped kernels, printed for HIP and run on the processor, against NumPy.

`AVILA_TEST_ENGINES=hip-host` runs all tests so; these few are for each change.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

import gpustd
from gpucore import Device
from gpustd import arrays, nn
from tests.gpucore.backends.hip.host_hip import COMPILER, HostDriver, host_backend

pytestmark = pytest.mark.skipif(COMPILER is None, reason="g++ is not installed")


@pytest.fixture(scope="module", params=["gfx1030", "gfx90a"])
def card(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Device]:
    """Return a card with subgroups of 32 lanes, and one with 64."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GPUCORE_HIP_CACHE", str(tmp_path_factory.mktemp("hip")))
        device = Device(host_backend(HostDriver(request.param)))
        yield device
        device.close()


def numbers(*shape: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    return np.random.default_rng(sum(shape)).standard_normal(shape).astype(np.float32)


def test_a_matrix_product(card: Device) -> None:
    """The error of a sum of 70 products is some units of the last place of its greatest part."""
    a, b = numbers(33, 70), numbers(70, 45)
    found = gpustd.gemm(card.buffer_from_array(a), card.buffer_from_array(b)).read()
    np.testing.assert_allclose(found, a.astype(np.float64) @ b, rtol=1e-5, atol=1e-4)


def test_softmax_by_subgroups(card: Device) -> None:
    x = numbers(9, 300)
    e = np.exp(x - x.max(1, keepdims=True), dtype=np.float64)
    found = nn.softmax(card.buffer_from_array(x)).read()
    np.testing.assert_allclose(found, e / e.sum(1, keepdims=True), rtol=1e-5)


def test_a_sort_by_workgroup_memory(card: Device) -> None:
    x = numbers(1000)
    assert np.array_equal(arrays.sort(card.buffer_from_array(x)).read(), np.sort(x))


def test_sums_of_what_came_before(card: Device) -> None:
    x = np.arange(3000, dtype=np.uint32)
    found = arrays.cumsum(card.buffer_from_array(x)).read()
    assert np.array_equal(found, np.cumsum(x, dtype=np.uint32))
