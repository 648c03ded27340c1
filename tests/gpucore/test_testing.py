"""The helpers for users' tests find faults, and say where they are."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from gpucore import Device, ShapeError, c64, f16, f32, i32, u8
from gpucore.testing import (
    all_devices,
    assert_allclose,
    guarded_buffer,
    poisoned_buffer,
    random_array,
)
from tests.conftest import adapters_by_engine, engine_problem
from tests.gpucore.kernels import AFFINE
from tests.processes import environment

COUNT = 100


def failure(actual: object, expected: object, rtol: float = 1e-5, atol: float = 0.0) -> str:
    with pytest.raises(AssertionError) as caught:
        assert_allclose(actual, expected, rtol, atol)  # type: ignore[arg-type]
    return str(caught.value)


def test_the_worst_place_is_shown(device: Device) -> None:
    expected = np.arange(12, dtype=np.float32).reshape(3, 4)
    wrong = expected.copy()
    wrong[0, 2] += 0.5
    wrong[2, 1] -= 3
    message = failure(device.buffer_from_array(wrong), expected)
    assert message.splitlines() == [
        "2 of 12 elements differ by more than atol=0 + rtol=1e-05 |expected|",
        "worst: at (2, 1) got 6.0, expected 9.0, difference 3",
        "first: at (0, 2) got 2.5, expected 2.0, difference 0.5",
    ]
    assert_allclose(device.buffer_from_array(expected), device.buffer_from_array(expected))
    assert_allclose(wrong, expected, atol=3)


def test_what_is_close_and_what_is_not() -> None:
    assert_allclose([1.0, np.nan, np.inf], [1.0 + 1e-6, np.nan, np.inf])
    assert_allclose(np.zeros((0, 3)), np.zeros((0, 3)))
    assert_allclose(np.array([1 + 2j]), [1 + 2j])
    assert "worst: at (1,) got nan" in failure([1.0, np.nan], [1.0, 2.0])
    assert "got 1.0, expected nan" in failure([1.0], [np.nan])
    assert "got -inf, expected inf" in failure([-np.inf], [np.inf])
    assert "got 5.0, expected inf" in failure([5.0], [np.inf], rtol=1)
    assert "got (1+2j), expected (1+3j), difference 1" in failure(
        np.array([1 + 2j]), np.array([1 + 3j])
    )
    assert "shapes differ: got (3,), expected (3, 1)" in failure(np.zeros(3), np.zeros((3, 1)))
    assert "1 of 2 elements" in failure(np.array([0, 255], np.uint8), np.array([0, 0], np.uint8))


def test_poison_is_what_no_result_is(device: Device) -> None:
    for dtype in (f32, f16, c64):
        assert np.isnan(poisoned_buffer(device, dtype, (3, 5)).read()).all()
    assert (poisoned_buffer(device, i32, 7).read() == -0x5A5A5A5B).all()
    assert (poisoned_buffer(device, u8, 7).read() == 0xA5).all()


def test_random_arrays_repeat() -> None:
    for dtype in (np.float32, np.float16, np.complex64, np.int8, np.uint32):
        array = random_array((5, 3), dtype)
        assert (array.dtype, array.shape) == (np.dtype(dtype), (5, 3))
        assert (array == random_array((5, 3), dtype)).all()
        assert (array != random_array((5, 3), dtype, seed=1)).any()
    assert random_array(()).shape == ()


@pytest.mark.parametrize("too_many", [0, 1, 200])
def test_a_kernel_past_its_part_is_found(device: Device, too_many: int) -> None:
    kernel = device.compile_kernel(AFFINE)
    x = device.buffer_from_array(random_array(COUNT + 256))
    y = guarded_buffer(device, f32, (4, COUNT // 4))
    parameters = {"count": COUNT + too_many, "factor": 2, "shift": 0}
    kernel(x, y.buffer, parameters, grid=6)
    assert_allclose(y.read(), 2 * x.read()[:COUNT].reshape(4, -1))
    if not too_many:
        y.check()
        return
    with pytest.raises(AssertionError) as caught, y:
        pass
    assert f"past its part of {COUNT} elements" in str(caught.value)
    assert f"{too_many} of 256 canaries changed, the first is element {COUNT}" in str(caught.value)


def test_another_failure_is_not_covered_by_the_guard() -> None:
    def fail() -> None:
        with guarded_buffer(Device.null(), u8, 3) as y:
            y.buffer.write(np.zeros_like(y.buffer.read()))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()


def test_all_devices_are_those_of_the_machine() -> None:
    """There is one of each engine, in the order of all adapters, except those that fail."""
    names = [device.backend for device in all_devices()]
    listed = list(dict.fromkeys(info.backend for info in Device.list()))
    assert names == [each for each in listed if each in names]
    assert {each for each in adapters_by_engine() if not engine_problem(each)} <= set(names)
    assert all_devices() is all_devices()


USER_TEST = """
import numpy as np
from gpucore import f32
from gpucore.testing import assert_allclose, guarded_buffer, on_all_devices

@on_all_devices
def test_zeros(device):
    with guarded_buffer(device, f32, 5) as y:
        y.buffer.write_slice(0, np.zeros(5, np.float32))
        assert_allclose(y.read(), np.zeros(5))
"""


def test_the_decorator_runs_a_test_on_each(tmp_path: Path) -> None:
    file = tmp_path / "test_user.py"
    file.write_text(USER_TEST, encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-v", "-p", "no:cacheprovider", str(file)]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
    for device in all_devices():
        assert f"test_zeros[{device.backend}] PASSED" in done.stdout


def test_pytest_is_not_imported() -> None:
    code = "import sys, gpucore.testing; sys.exit('pytest' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_shapes_of_a_guard() -> None:
    device = Device.null()
    for given, shape in ((np.int64(4), (4,)), ([2, 3], (2, 3)), ((0, 3), (0, 3)), ((), ())):
        assert guarded_buffer(device, f32, given).read().shape == shape  # type: ignore[arg-type]
    for wrong in (-4, (2, -1), 1.5):
        with pytest.raises(ShapeError):
            guarded_buffer(device, f32, wrong)  # type: ignore[arg-type]
