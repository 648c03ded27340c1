"""The sanitizer finds planted defects in their lines, and nothing in kernels that are right."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

import gpucore
from gpucore import Device, SanitizerError
from gpucore.dtypes import DTYPES
from gpucore.interpreter import SourceLine
from gpucore.sanitizer import CheckedText
from tests.gpucore.sanitizer.defects import DEFECTS, HERE, Defect, kernel_text

RIGHT = """
@group(0) @binding(0) var<storage, read> x: array<u32>;
@group(0) @binding(1) var<storage, read_write> y: array<u32>;
var<workgroup> tile: array<u32, 16>;

@compute @workgroup_size(16)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(local_invocation_index) lane: u32) {
    tile[lane] = x[id.x];
    workgroupBarrier();
    y[id.x] = tile[15u - lane];
}
"""


@pytest.mark.parametrize("name", DEFECTS)
def test_a_defect_is_found(name: str) -> None:
    defect = DEFECTS[name]
    device = Device.open(Device.null().info, checks=False)  # leaves barriers unchecked
    source = kernel_text(defect)
    marked = [n for n, line in enumerate(source.splitlines(), 1) if line.endswith(HERE)]
    dtype = DTYPES[defect.type]
    with gpucore.sanitize(raises=False) as report:
        x = device.buffer_from_array(np.arange(64), dtype)
        y = device.buffer(dtype, 64)
        device.compile_kernel(source)(x, y, grid=4)
    found = [each for each in report.findings if (each.kind, each.line) == (defect.kind, marked[0])]
    assert len(found) == 1, str(report)
    assert {each.kind for each in report.findings} <= {defect.kind, "uninitialized"}
    assert defect.variable in ("", found[0].variable)
    assert defect.place in (None, found[0].index)
    assert HERE in str(found[0])


def test_there_are_thirty_defects() -> None:
    assert len(DEFECTS) >= 30


def test_a_right_kernel_runs_as_on_the_device(device: Device) -> None:
    x = device.buffer_from_array(np.arange(64, dtype=np.uint32))
    kernel = device.compile_kernel(RIGHT)
    with gpucore.sanitize() as report:
        y = device.buffer(gpucore.u32, 64)
        kernel(x, y, grid=4)
        checked = y.read()
    y.write(np.zeros(64, np.uint32))
    kernel(x, y, grid=4)
    np.testing.assert_array_equal(checked, y.read())
    np.testing.assert_array_equal(checked, np.arange(64).reshape(4, 16)[:, ::-1].reshape(-1))
    assert (report.launches, report.findings) == (1, [])


def test_a_defect_raises_where_the_launch_is() -> None:
    device = Device.null()
    kernel = device.compile_kernel(kernel_text(DEFECTS["a read past the end"]), label="shifted")
    x = device.buffer_from_array(np.arange(64, dtype=np.uint32))
    with gpucore.sanitize(), pytest.raises(SanitizerError) as caught:
        kernel(x, device.buffer(gpucore.u32, 64), grid=4)
    text = str(caught.value)
    assert "bounds in kernel 'shifted', line 12: x[64] is outside: x has 64 elements" in text
    assert "first in invocation (63, 0, 0) of workgroup (3, 0, 0), 1 in all" in text


def test_a_source_map_names_the_place_that_the_wgsl_was_made_from() -> None:
    device = Device.null()
    text = kernel_text(DEFECTS["a root"])
    kernel = device.compile_kernel(text)
    place = SourceLine("model.py", 40, 9, "y[i] = math.sqrt(x[i] - 1)")
    root = text.index("sqrt")
    kernel.listing.checked = lambda: CheckedText(text, {root: place}.get)
    x = device.buffer_from_array(np.arange(64, dtype=np.float32))
    with gpucore.sanitize(raises=False) as report:
        kernel(x, device.buffer(gpucore.f32, 64), grid=4)
    (finding,) = report.findings
    assert finding.place == "model.py:40:9"
    assert "nan in kernel 'main', model.py:40:9: sqrt(-1.0) is not a number" in str(finding)
    assert "    y[i] = math.sqrt(x[i] - 1)\n" in str(finding)


def test_a_comment_allows_what_is_found_in_its_line() -> None:
    defect = DEFECTS["a sum of i32"]
    text = kernel_text(defect).replace(HERE, "// sanitize: allow overflow")
    device = Device.null()
    x = device.buffer_from_array(np.arange(64, dtype=np.int32))
    with gpucore.sanitize() as report:
        device.compile_kernel(text)(x, device.buffer(gpucore.i32, 64), grid=4)
    assert (report.launches, report.findings) == (1, [])


def test_what_goes_nowhere_is_no_defect() -> None:
    """Check numbers behind a ``select``, and u32 that wraps, as hashes do."""
    body = """
        let root = sqrt(f32(i) - 1.0);
        let safe = select(root, 0.0, i == 0u);
        let part = select(64u / i, 0u, i == 0u);
        y[i] = x[i] * 2654435769u + u32(safe) + part + u32(i32(i) - 1);
    """
    text = kernel_text(Defect("", body))
    device = Device.null()
    x = device.buffer_from_array(np.arange(64, dtype=np.uint32))
    y = device.buffer(gpucore.u32, 64)
    with gpucore.sanitize() as report:
        device.compile_kernel(text)(x, y, grid=4)
    assert (report.launches, report.findings) == (1, [])
    n = np.arange(64, dtype=np.uint64)
    root = np.sqrt(np.maximum(n, 1) - 1).astype(np.uint64)
    part = np.where(n == 0, 0, 64 // np.maximum(n, 1))
    expected = n * 2654435769 + root + part + (n + 2**32 - 1)
    np.testing.assert_array_equal(y.read(), (expected % 2**32).astype(np.uint32))


MEETING = """
@group(0) @binding(0) var<storage, read> x: array<u32>;
@group(0) @binding(1) var<storage, read_write> y: array<u32>;
var<workgroup> tile: array<u32, 32>;

@compute @workgroup_size(64)
fn main(@builtin(local_invocation_index) lane: u32) {
    var sum = 0u;
    if (lane < 32u) {
        for (var step = 0u; step < 4u; step++) {
            tile[lane] = x[step * 32u + lane];
            workgroupBarrier();
            workgroupBarrier();
        }
    } else {
        for (var step = 0u; step < 4u; step++) {
            workgroupBarrier();
            sum += tile[63u - lane];
            workgroupBarrier();
        }
    }
    y[lane] = sum;
}
"""


@pytest.mark.parametrize("change", ["", "one barrier less", "one round less"])
def test_barriers_meet_in_two_loops(change: str) -> None:
    device = Device.open(Device.null().info, checks=False)
    text = MEETING
    if change == "one barrier less":
        text = text.replace("- lane];\n            workgroupBarrier();", "- lane];")
    elif change == "one round less":
        text = text.replace("< 4u", "< 3u", 1)
    x = device.buffer_from_array(np.arange(128, dtype=np.uint32))
    y = device.buffer(gpucore.u32, 64)
    with gpucore.sanitize(raises=False, subgroup_size=32) as report:
        device.compile_kernel(text)(x, y, grid=1)
    if change:
        assert {each.kind for each in report.findings} & {"barrier", "race"}
        return
    assert report.findings == []
    sums = np.arange(128).reshape(4, 32).sum(0)[::-1]
    np.testing.assert_array_equal(y.read(), np.r_[np.zeros(32), sums])


def test_large_and_repeated_launches_run_on_the_device() -> None:
    device = Device.null()
    kernel = device.compile_kernel(kernel_text(DEFECTS["a read past the end"]), label="shifted")
    x = device.buffer_from_array(np.arange(64, dtype=np.uint32))
    with gpucore.sanitize(launches=0) as report:
        kernel(x, device.buffer(gpucore.u32, 64), grid=4)
    assert (report.launches, report.unchecked) == (0, {"shifted"})
    with gpucore.sanitize(invocations=63) as report:
        kernel(x, device.buffer(gpucore.u32, 64), grid=4)
    assert (report.launches, report.unchecked) == (0, {"shifted"})


def test_the_variable_checks_a_whole_program() -> None:
    program = (
        "import numpy as np\nfrom gpucore import Device, u32\n"
        "device = Device.null()\nx = device.buffer_from_array(np.arange(64, dtype=np.uint32))\n"
        f"kernel = device.compile_kernel({kernel_text(DEFECTS['a read past the end'])!r})\n"
        "kernel(x, device.buffer(u32, 64), grid=4)\n"
    )
    environment = {**os.environ, "AVILA_SANITIZE": "1"}
    ended = subprocess.run(
        [sys.executable, "-P", "-c", program],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 1
    assert "SanitizerError: the sanitizer found 1 defect" in ended.stderr
