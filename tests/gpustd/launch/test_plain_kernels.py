"""Kernels of gpustd in Python: what a launch binds, large grids, graphs, labels, files."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from gpucore import ArgumentError, Array, Array3, Const, Device, f32, global_id, i32, u32, vec4u
from gpucore.dtypes import T
from gpustd.launch import template
from gpustd.launch.plain_kernels import PlainKernel, plain_kernel
from gpustd.launch.show import show_kernels
from tests.processes import environment


@plain_kernel()
def shifted(x: Array[T], y: Array[T], by: T, twice: Const[bool]) -> None:
    """Write x moved on by one row of ``by`` elements."""
    i = global_id.x
    if i < len(y):
        y[i] = x[i] + by  # type: ignore[operator]
        if twice:
            y[i] += by  # type: ignore[operator]


@plain_kernel(workgroup_size=32)
def lowest(x: Array[vec4u], y: Array[u32], volume: Array3[f32]) -> None:
    """Write the first of four numbers, and an extent of another array."""
    i = global_id.x
    if i < len(x):
        y[i] = x[i].x + volume.shape[1] + u32(volume[0, 0, 0])


# For checkers, which know neither numbers of an array's type nor vectors of a flat array.
SHIFTED: Any = shifted
LOWEST: Any = lowest


def test_arrays_of_any_shape_are_flat(device: Device) -> None:
    x = np.arange(30, dtype=np.float32).reshape(2, 3, 5)
    y = device.buffer(f32, (5, 6))
    SHIFTED(device.buffer_from_array(x), y, 2.5, True)
    np.testing.assert_array_equal(y.read().ravel(), x.ravel() + 5)
    whole = device.buffer(i32, 7)
    SHIFTED(device.buffer_from_array(np.arange(7, dtype=np.int32)), whole, 3, twice=False)
    np.testing.assert_array_equal(whole.read(), np.arange(7) + 3)


def test_arrays_of_vectors_and_of_axes(device: Device) -> None:
    x = np.arange(5 * 4, dtype=np.uint32)
    y = device.buffer(u32, 5)
    LOWEST(device.buffer_from_array(x), y, device.buffer_from_array(np.zeros((2, 9, 1), "f4")))
    np.testing.assert_array_equal(y.read(), x[::4] + 9)


@pytest.mark.slow
def test_more_workgroups_than_an_axis_has(device: Device) -> None:
    size = 65535 * 64 * 2 + 5
    y = device.buffer(f32, size)
    SHIFTED(device.buffer_from_array(np.arange(size, dtype=np.float32)), y, 1.0, False)
    np.testing.assert_array_equal(y.read(), np.arange(size, dtype=np.float32) + 1)


def test_a_graph_replays_it(device: Device) -> None:
    x, y = device.buffer_from_array(np.arange(9, dtype=np.float32)), device.buffer(f32, 9)
    SHIFTED(x, y, 1.0, False)
    with device.capture() as graph:
        SHIFTED(x, y, 1.0, False)
    x.write(np.full(9, 4, np.float32))
    y.write(np.zeros(9, np.float32))
    graph.replay()
    np.testing.assert_array_equal(y.read(), 5)


def test_it_is_among_the_rendered_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(template, "_rendered", {})
    device = Device.null()
    x, y = device.buffer(i32, 9), device.buffer(i32, 9)
    SHIFTED(x, y, 1, True)
    ((label, text),) = template.rendered_kernels()
    assert label == "gpustd/shifted i32 twice1"
    assert "fn shifted(" in text
    assert SHIFTED.kernel_on(device, SHIFTED._plan((), (x, y, 1, True)).variant).label == label


def test_show_prints_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(template, "_rendered", {})
    (text,) = [t for t in show_kernels("linalg.cond", ["3x4"], Device.null()) if "svd_ratio" in t]
    assert text.startswith("// linalg/svd_ratio\n")
    assert "/ least" in text


def test_integers_are_divided_without_checks() -> None:
    from gpustd.linalg.decompositions.reflectors import diagonal

    assert isinstance(diagonal, PlainKernel)
    assert "quotient" not in diagonal.source()
    assert "select(b, 1u" not in diagonal.source()


def test_arguments_that_are_missing(device: Device) -> None:
    x = device.buffer(f32, 3)
    with pytest.raises(ArgumentError, match="shifted: twice is missing"):
        SHIFTED(x, x, by=1.0)


def test_an_import_compiles_nothing() -> None:
    """And reads no function's text: both wait for the first launch."""
    code = (
        "import inspect, gpucore.compiler.compilation as c, gpucore.compiler.source as s\n"
        "def fail(*_): raise SystemExit('compiled')\n"
        "c.compile_kernel = inspect.getsource = inspect.getsourcelines = fail\n"
        "import gpustd, gpustd.linalg, gpustd.image, gpustd.nn\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environment(),
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
