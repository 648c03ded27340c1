"""Kernels that are tuned: the choice is right, checked, and kept."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gpucore import (
    ArgumentError,
    Array,
    Const,
    Device,
    KernelCompileError,
    TunedKernel,
    autotune,
    barrier,
    f32,
    gpu_kernel,
    local_id,
    shared,
    static_range,
)
from gpucore.kernels.disk_cache import CACHE_VARIABLE


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path))
    return tmp_path


@gpu_kernel
def add_in_steps(x: Array[f32], y: Array[f32], steps: Const[int], wrong: Const[int]) -> None:
    """Add 12, in steps; another number where it is wrong; not at all in more than 6 steps."""
    i = local_id.x
    own = shared(f32, 256 if steps <= 6 else 1000000)
    own[i] = x[i]
    barrier()
    for _ in static_range(steps):
        own[i] += f32(12 // steps + wrong)
    y[i] += own[i]


def tuned() -> TunedKernel:
    return autotune(steps=[2, 3, 6, 12], wrong=[0, 1])(add_in_steps)


def test_wrong_candidates_are_refused_and_arrays_kept(device: Device) -> None:
    x = device.buffer_from_array(np.arange(256, dtype=np.float32))
    y = device.buffer_from_array(np.ones(256, np.float32))
    kernel = tuned()
    kernel[1](x, y)
    np.testing.assert_array_equal(y.read(), np.arange(256) + 13)
    assert set(kernel.seconds) == {(2, 0), (3, 0), (6, 0)}
    assert set(kernel.refused) == {(2, 1), (3, 1), (6, 1), (12, 0), (12, 1)}
    assert kernel.refused[2, 1] == "its results are not those of the first candidate"
    assert all("Error" in kernel.refused[12, wrong] for wrong in (0, 1))


def test_a_choice_is_kept(device: Device, own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    x = device.buffer_from_array(np.arange(256, dtype=np.float32))
    y = device.buffer_from_array(np.zeros(256, np.float32))
    kernel = tuned()
    chosen = kernel._values(1, (x, y), {})
    assert len(list(own_cache.glob("tuned-*"))) == 1

    def refuse(*arguments: object) -> None:
        raise AssertionError("tuned again")

    monkeypatch.setattr(TunedKernel, "_tune", refuse)
    assert kernel._values(1, (x, y), {}) == chosen
    again = tuned()
    assert again._values(1, (x, y), {}) == chosen
    for file in own_cache.glob("tuned-*"):
        file.write_text('{"steps": 5, "wrong": 0}')
    with pytest.raises(AssertionError, match="tuned again"):
        tuned()._values(1, (x, y), {})


@autotune(times=[1, 2, 4])
@gpu_kernel
def halves(x: Array[f32], times: Const[int]) -> Array[f32]:
    """Return x, after work that changes nothing."""
    total = x / f32(times)
    for _ in static_range(times - 1):
        total = total + x / f32(times)
    return total


def test_a_kernel_with_a_result(device: Device) -> None:
    x = device.buffer_from_array(np.arange(1000, dtype=np.float32))
    np.testing.assert_array_equal(halves(x).read(), np.arange(1000))
    assert halves.values(x)["times"] in (1, 2, 4)


def test_wrong_use(device: Device) -> None:
    x = device.buffer_from_array(np.zeros(4, np.float32))
    with pytest.raises(ArgumentError, match="times is tuned: leave it out"):
        halves(x, times=2)
    with pytest.raises(ArgumentError, match="has no arrays"):
        halves(1.0)
    with pytest.raises(ArgumentError, match=r"give values of Const parameters"):
        autotune()
    with pytest.raises(ArgumentError, match="times must be a list of numbers"):
        autotune(times=[])
    with pytest.raises(ArgumentError, match="put @gpu_kernel below it"):
        autotune(times=[1])(len)  # type: ignore[arg-type]
    with pytest.raises(KernelCompileError, match="every candidate is refused"):
        autotune(steps=[12], wrong=[0])(add_in_steps)[1](x, x)
