"""The sanitizer finds defects of kernels in Python, and names their lines."""

from __future__ import annotations

import inspect
import re

import numpy as np
import pytest

import gpucore
from gpucore import Device, GpuKernel, SanitizerError
from gpucore.dtypes import DTYPES
from gpucore.interpreter import KINDS
from tests.gpucore.sanitizer import python_defects
from tests.gpucore.sanitizer.python_defects import (
    KERNELS,
    quotient,
    read_past_the_end,
    remainder,
    wrapping,
)

HERE = "# HERE"
PLANTED = [(kind, kernel) for kind, kernels in KERNELS.items() for kernel in kernels]
CALLED = {"called_function": "following", "quotient_of_floats": "inverse"}


def marked_line(kernel: GpuKernel) -> int:
    """Return the line of the module that is marked, in the kernel or in what it calls."""
    function = kernel.__wrapped__
    if kernel.__name__ in CALLED:
        function = getattr(python_defects, CALLED[kernel.__name__]).__wrapped__
    lines, first = inspect.getsourcelines(function)
    (found,) = [n for n, line in enumerate(lines, first) if line.rstrip().endswith(HERE)]
    return found


@pytest.mark.parametrize(
    ("kind", "kernel"), PLANTED, ids=lambda each: getattr(each, "__name__", each)
)
def test_a_defect_is_found(kind: str, kernel: GpuKernel) -> None:
    device = Device.open(Device.null().info, checks=False)  # leaves barriers unchecked
    dtype = DTYPES[kernel.compile().signature.arrays[0].dtype]
    with gpucore.sanitize(raises=False) as report:
        x = device.buffer_from_array(np.arange(64), dtype)
        y = device.buffer(dtype, 64)
        if kernel.__name__ == "atomic_of_a_bin":
            y.write(np.zeros(64, np.uint32))
        kernel[4](x, y)
    places = {
        (each.kind, each.source.line, each.source.text) for each in report.findings if each.source
    }
    assert len(places) <= 2, str(report)
    found = [(line, text) for found, line, text in places if found == kind]
    assert [line for line, _ in found] == [marked_line(kernel)], str(report)
    assert found[0][1].endswith(HERE)
    assert {each.kind for each in report.findings} <= {kind, "uninitialized"}
    for each in report.findings:
        assert "workgroupBarrier" not in str(each)
        assert re.match(rf"\w+ in kernel '{kernel.__name__}', \S+\.py:\d+:\d+: ", str(each))


def test_there_are_thirty_defects() -> None:
    assert len(PLANTED) >= 30
    assert KERNELS.keys() == set(KINDS) - {"subgroup"}


def test_a_defect_raises_where_the_kernel_is_called() -> None:
    device = Device.null()
    x = device.buffer_from_array(np.arange(64, dtype=np.uint32))
    with gpucore.sanitize(), pytest.raises(SanitizerError) as caught:
        read_past_the_end(x, device.buffer(gpucore.u32, 64))
    line = marked_line(read_past_the_end)
    assert f"python_defects.py:{line}:22: x[64] is outside: x has 64 elements\n" in str(
        caught.value
    )
    assert "    y[global_id.x] = x[global_id.x + 1]  # HERE\n" in str(caught.value)


def test_a_race_names_the_lines_and_the_barrier_of_python() -> None:
    (kernel,) = [k for k in KERNELS["race"] if k.__name__ == "neighbours_in_shared_memory"]
    device = Device.null()
    x = device.buffer_from_array(np.arange(64, dtype=np.uint32))
    with gpucore.sanitize(raises=False) as report:
        kernel(x, device.buffer(gpucore.u32, 64))
    (finding,) = report.findings
    before = marked_line(kernel) - 1
    assert f"written by invocation (1, 0, 0) in line {before}: no barrier() between" in str(finding)


def test_a_comment_allows_what_is_found_in_its_line() -> None:
    numbers = np.arange(64, dtype=np.int32)
    x = Device.null().buffer_from_array(numbers)
    with gpucore.sanitize() as report:
        made = wrapping(x).read()
    assert (report.launches, report.findings) == (1, [])
    wide = (numbers.astype(np.int64) * 2654435769 + numbers).astype(np.uint64) % 2**32
    np.testing.assert_array_equal(made, wide.astype(np.uint32).view(np.int32))


def test_division_by_zero_gives_what_the_device_gives(device: Device) -> None:
    """The sanitizer divides by WGSL's operators, where devices run functions that guard them."""
    numbers = np.array([-(2**31), -7, -1, 0, 1, 7, 2**31 - 1], np.int32)
    left, right = (each.reshape(-1) for each in np.meshgrid(numbers, numbers))
    x, y = device.buffer_from_array(left), device.buffer_from_array(right)
    on_device = quotient(x, y).read(), remainder(x, y).read()
    with gpucore.sanitize(raises=False) as report:
        checked = quotient(x, y).read(), remainder(x, y).read()
    np.testing.assert_array_equal(checked, on_device)
    assert {(each.kind, each.kernel) for each in report.findings} == {
        (kind, kernel) for kind in ("division", "overflow") for kernel in ("quotient", "remainder")
    }
