"""Random programs do in the sanitizer, and on the engine, what Python's integers say.

``python -m tools.random_programs 5000`` runs more of them.
"""

from __future__ import annotations

import numpy as np
import pytest

import gpucore
from gpucore import Device, u32
from tests.gpucore.random_statements import (
    PER_KERNEL,
    kernel_text,
    random_programs,
    results,
)
from tests.gpucore.test_random_programs import INPUTS

KINDS = {"overflow"}  # of i32, which these programs do not avoid


@pytest.mark.parametrize("seed", range(10))
def test_random_programs(device: Device, seed: int) -> None:
    if device.info.api == "gl":
        pytest.skip("wgpu-native 29 errs on OpenGL in i32 % of negative numbers and abs of u32")
    programs = random_programs(seed)
    expected = results(programs)
    kernel = device.compile_kernel(kernel_text(programs))
    x, y = device.buffer_from_array(INPUTS), device.buffer(u32, expected.shape)
    n = len(INPUTS)
    kernel(x, y, 0, grid=n)
    on_device = y.read()
    y.write(np.full(y.shape, 77, np.uint32))
    with gpucore.sanitize(raises=False) as report:
        kernel(x, y, 0, grid=n)
    np.testing.assert_array_equal(y.read(), expected)
    np.testing.assert_array_equal(on_device, expected)
    assert {finding.kind for finding in report.findings} <= KINDS
    assert report.launches == 1


def test_there_are_two_hundred_programs() -> None:
    assert 10 * PER_KERNEL >= 200
