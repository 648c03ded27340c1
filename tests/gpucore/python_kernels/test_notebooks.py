"""Kernels in cells that run again: the new text counts, and what was compiled before is freed."""

from __future__ import annotations

import gc
import itertools
import linecache
import weakref
from typing import Any

import numpy as np
import pytest

from gpucore import Device
from gpustd.forms import gpu_reduce

HEAD = """
from dataclasses import dataclass
from gpucore import Array, Const, f32, global_id, gpu_function, gpu_kernel
"""
_CELLS = itertools.count()


class Notebook:
    """Runs cells as IPython does: their texts stand in `linecache` under names of their own."""

    def __init__(self) -> None:
        self.names: dict[str, Any] = {"__name__": "__main__"}
        self.run(HEAD)

    def run(self, text: str) -> str:
        file = f"/tmp/cell_{next(_CELLS)}.py"
        linecache.cache[file] = (len(text), None, text.splitlines(keepends=True), file)
        exec(compile(text, file, "exec", dont_inherit=True), self.names)
        return file


def floats(device: Device, *numbers: float) -> Any:
    return device.buffer_from_array(np.array(numbers, np.float32))


KERNEL = """
@gpu_kernel
def shift(x: Array[f32]) -> Array[f32]:
    return inner(x) + {number}
"""
FUNCTIONS = """
@gpu_function
def inner(x: f32) -> f32:
    return deepest(x) * {number}
"""
DEEPEST = """
@gpu_function
def deepest(x: f32) -> f32:
    return x - {number}
"""


def test_cells_that_run_again(device: Device) -> None:
    notebook, x = Notebook(), floats(device, 1, 2)
    notebook.run(DEEPEST.format(number=0))
    notebook.run(FUNCTIONS.format(number=1))
    notebook.run(KERNEL.format(number=10))
    first = notebook.names["shift"]
    assert first(x).read().tolist() == [11, 12]
    notebook.run(KERNEL.format(number=20))
    assert notebook.names["shift"](x).read().tolist() == [21, 22]
    notebook.run(FUNCTIONS.format(number=2))
    assert notebook.names["shift"](x).read().tolist() == [22, 24]
    notebook.run(DEEPEST.format(number=1))
    assert notebook.names["shift"](x).read().tolist() == [20, 22]
    assert first(x).read().tolist() == [10, 12]  # the kernel before sees the new functions, too


def test_a_dataclass_that_changes(device: Device) -> None:
    notebook, x = Notebook(), floats(device, 1, 2)
    notebook.run("@dataclass\nclass Settings:\n    gain: f32\n")
    notebook.run(
        "@gpu_kernel\ndef scale(x: Array[f32], settings: Settings) -> Array[f32]:\n"
        "    return x * settings.gain\n"
    )
    scale = notebook.names["scale"]
    assert scale(x, notebook.names["Settings"](3)).read().tolist() == [3, 6]
    notebook.run("@dataclass\nclass Settings:\n    other: f32\n    gain: f32\n")
    assert scale(x, notebook.names["Settings"](3, 4)).read().tolist() == [4, 8]


def test_what_was_compiled_before_is_freed(device: Device) -> None:
    notebook, x = Notebook(), floats(device, 1, 2)
    notebook.run(DEEPEST.format(number=0))
    notebook.run(FUNCTIONS.format(number=1))
    notebook.run(KERNEL.format(number=10))
    shift = notebook.names["shift"]
    variant = shift._default_variant()
    shift(x).read()
    inner = weakref.ref(notebook.names["inner"])
    compiled = weakref.ref(shift.kernel_on(device, variant))
    notebook.run(FUNCTIONS.format(number=2))
    assert shift(x).read().tolist() == [12, 14]
    gc.collect()
    assert compiled() is None
    assert inner() is None
    before = weakref.ref(shift)
    kernel = weakref.ref(shift.kernel_on(device, variant))
    del shift
    notebook.run(KERNEL.format(number=30))
    notebook.names["shift"](x).read()
    gc.collect()
    assert before() is None
    assert kernel() is None


def test_forms_keep_no_kernels_of_functions_before(device: Device) -> None:
    notebook, x = Notebook(), floats(device, 1, 2)
    notebook.run(
        "from gpucore import vec2f\nfactor = 1.0\n"
        "def pair(x: f32):\n    return vec2f(x, factor)\n"
        "def both(a: vec2f, b: vec2f):\n    return a + b\n"
        "def ratio(a: vec2f) -> f32:\n    return a.x / a.y\n"
    )
    names = notebook.names
    form = gpu_reduce(identity=(0.0, 0.0), map=names["pair"], finish=names["ratio"])
    mean = form(names["both"])
    for factor in (1.0, 2.0, 4.0):
        names["factor"] = factor
        assert float(mean(x).read()) == pytest.approx(1.5 / factor)
        assert len(mean._kernels) == 1


def test_rows_of_a_profile(device: Device) -> None:
    if "timestamps" not in device.features:
        pytest.skip(f"{device!r} has no timestamps")
    notebook, x = Notebook(), floats(device, 1, 2)
    notebook.run(DEEPEST.format(number=0) + FUNCTIONS.format(number=1))
    one = notebook.run(KERNEL.format(number=10))
    first = notebook.names["shift"]
    two = notebook.run("\n\n" + KERNEL.format(number=10))
    with device.profile() as profile:
        first(x)
        notebook.names["shift"](x)
    labels = [record.label for record in profile.records]
    assert labels == [f"shift {one[5:]}:3", f"shift {two[5:]}:5"]
    assert f"shift {one[5:]}:3" in profile.table()
