"""Compiled kernels are used again: in the process, by another one, and not after a change."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gpucore import Array, Device, f32, gpu_function, gpu_kernel
from gpucore.compiler import compilation

FACTOR = 2.0


@gpu_function
def add_factor(x: f32) -> f32:
    return x + FACTOR


def first(x: Array[f32]) -> Array[f32]:
    return FACTOR * add_factor(x)


def test_a_number_that_changes(device: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    kernel = gpu_kernel(first)
    x = device.buffer_from_array(np.arange(4, dtype=np.float32))
    np.testing.assert_array_equal(kernel(x).read(), 2 * (np.arange(4) + 2))
    monkeypatch.setitem(globals(), "FACTOR", 3.0)
    np.testing.assert_array_equal(kernel(x).read(), 3 * (np.arange(4) + 3))


def test_a_second_process_compiles_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GPUCORE_KERNEL_CACHE", str(tmp_path))
    made = gpu_kernel(first).compile()
    assert len(list(tmp_path.iterdir())) == 1

    def refuse(*arguments: object) -> None:
        raise AssertionError("compiled again")

    monkeypatch.setattr(compilation, "compile_kernel", refuse)
    assert gpu_kernel(first).compile() == made
    monkeypatch.setitem(globals(), "FACTOR", 4.0)
    with pytest.raises(AssertionError, match="compiled again"):
        gpu_kernel(first).compile()


def test_a_damaged_file_is_compiled_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GPUCORE_KERNEL_CACHE", str(tmp_path))
    made = gpu_kernel(first).compile()
    (file,) = tmp_path.iterdir()
    for content in ("", "[]", '{"name": 1}', file.read_text()[:-20]):
        file.write_text(content)
        assert gpu_kernel(first).compile() == made


def test_the_places_in_python() -> None:
    """Each node of the WGSL's tree tells its line and column."""
    compiled = gpu_kernel(first).compile()
    place = compiled.place_of(compiled.wgsl.index("2.0f * add_factor"))
    assert place is not None
    assert place.text.strip() == "return FACTOR * add_factor(x)"
    assert Path(place.file) == Path(__file__)
    line = compiled.wgsl[: compiled.wgsl.index("+ 2.0f")].count("\n") + 1
    inner = compiled.place_at(line, 12)
    assert inner is not None
    assert inner.text.strip() == "return x + FACTOR"
