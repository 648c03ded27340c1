"""Random programs in the language give what Python gives with numbers of the same types."""

from __future__ import annotations

import pytest

from gpucore import Device
from tests.gpucore.python_kernels.drawing import differences

PROGRAMS = 200
TOGETHER = 10


@pytest.mark.parametrize("first", range(0, PROGRAMS, TOGETHER))
def test_programs(device: Device, first: int) -> None:
    """More of them: ``python -m tools.python_kernel_programs``."""
    assert differences(device, list(range(first, first + TOGETHER))) == []


@pytest.mark.parametrize("first", range(0, PROGRAMS, 2 * TOGETHER))
def test_programs_in_the_sanitizer(first: int) -> None:
    """More of them: ``python -m tools.python_kernel_programs --sanitizer``."""
    seeds = list(range(first, first + 2 * TOGETHER))
    assert differences(Device.null(), seeds, sanitized=True) == []
