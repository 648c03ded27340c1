"""``print(...)`` in kernels: lines of each invocation, a bounded buffer, and no code without it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import gpucore
from gpucore import (
    ArgumentError,
    Array,
    Array2,
    Device,
    KernelSyntaxError,
    atomic_add,
    f16,
    f32,
    global_id,
    gpu_function,
    gpu_kernel,
    i32,
    show_prints,
    stencil,
    u32,
    vec3f,
)
from gpustd.forms import gpu_reduce
from tests.conftest import skip_without_f16


@gpu_function
def halve(x: f32) -> f32:
    print("halve", x)
    return x / 2


@gpu_kernel
def kinds(x: Array2[f32], a: i32) -> None:
    j, i = global_id.y, global_id.x
    if j >= x.shape[0] or i >= x.shape[1]:
        return
    print("x =", x[j, i], x[j, i] > 1, (a, i), end_of(x))
    if i == 0:
        x[j, i] = halve(x[j, i])
        n = 0
        print(f"v {vec3f(x[j, i], 0.5, -1):.2f}|{n}|{a - 1:4d}")
    print()


@gpu_function
def end_of(x: Array2[f32]) -> u32:
    return u32(x.shape[0] * x.shape[1] - 1)


def test_lines(device: Device, capsys: pytest.CaptureFixture[str]) -> None:
    x = device.buffer_from_array(np.array([[1, 2.5]], np.float32))
    with show_prints():
        kinds(x, -3)
    assert capsys.readouterr().out.splitlines() == [
        "[kinds 0, 0] x = 1.0 False (-3, 0) 1",
        "[kinds 0, 0] halve 1.0",
        "[kinds 0, 0] v (0.50, 0.50, -1.00)|0|  -4",
        "[kinds 0, 0] ",
        "[kinds 1, 0] x = 2.5 True (-3, 1) 1",
        "[kinds 1, 0] ",
    ]
    assert x.read().tolist() == [[0.5, 2.5]]
    kinds(x, -3)
    assert capsys.readouterr().out == ""
    assert x.read().tolist() == [[0.25, 2.5]]


def test_no_code_without_the_option(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AVILA_KERNEL_PRINT", raising=False)
    quiet = kinds.source()
    assert "print" not in quiet
    assert "end_of" not in quiet
    monkeypatch.setenv("AVILA_KERNEL_PRINT", "1")
    assert "print_line(" in kinds.source()


@gpu_kernel
def many(x: Array[u32]) -> None:
    i = global_id.x
    if i < len(x):
        print(i, x[i])


def test_lines_without_room(device: Device, capsys: pytest.CaptureFixture[str]) -> None:
    x = device.buffer_from_array(np.arange(1000, dtype=np.uint32) * 7)
    room = 10
    with show_prints(nbytes=4 * (2 + room * 6)):
        many(x)
    *lines, last = capsys.readouterr().out.splitlines()
    assert len(set(lines)) == room
    numbers = [line.split("] ")[1].split() for line in lines]
    assert all(int(value) == 7 * int(i) for i, value in numbers)
    assert last.startswith(f"[many] {1000 - room} lines more had no room in 248 bytes: ")
    with pytest.raises(ArgumentError, match="nbytes must be at least 64"):
        show_prints(nbytes=10).__enter__()


@gpu_kernel
def halves(x: Array[f16]) -> Array[f16]:
    print("half", x)
    return x + 1


@stencil(boundary="wrap")
def neighbours(x: Array[f32]) -> f32:
    print(x[1])
    return x[-1]


def test_forms(device: Device, capsys: pytest.CaptureFixture[str]) -> None:
    x = np.array([1.5, 2], np.float32)
    with show_prints():
        neighbours(device.buffer_from_array(x))
    assert capsys.readouterr().out == "[neighbours 0] 2.0\n[neighbours 1] 1.5\n"
    skip_without_f16(device, "f16")
    with show_prints(), gpucore.sanitize():
        found = halves(device.buffer_from_array(x, f16))
    assert capsys.readouterr().out == "[halves 0] half 1.5\n[halves 1] half 2.0\n"
    assert found.read().tolist() == [2.5, 3]


def test_kept_on_disk(
    device: Device,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("GPUCORE_KERNEL_CACHE", str(tmp_path))
    x = device.buffer_from_array(np.array([4], np.uint32))
    with show_prints():
        for _ in range(2):
            gpu_kernel(many.__wrapped__)(x)
    assert capsys.readouterr().out == "[many 0] 0 4\n" * 2


@gpu_kernel
def counts(x: Array[u32]) -> None:
    print(atomic_add(x[0], 1))


@gpu_kernel
def names(x: Array[u32]) -> None:
    print(n := x[0])  # noqa: F841


@gpu_kernel
def separated(x: Array[u32]) -> None:
    print(x[0], 1, sep="-")


@gpu_kernel
def whole(x: Array[u32]) -> None:
    print(x)


@pytest.mark.parametrize("shown", [False, True])
@pytest.mark.parametrize(
    ("kernel", "message"),
    [
        (counts, "print cannot change anything"),
        (names, "print cannot assign: assign before it"),
        (separated, "print in a kernel takes no sep, end, file or flush"),
        (whole, "print shows texts, numbers and vectors, got the array x: print its parts"),
    ],
)
def test_wrong_use(
    kernel: gpucore.GpuKernel,  # type: ignore[type-arg]
    message: str,
    shown: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AVILA_KERNEL_PRINT", "1" if shown else "")
    with pytest.raises(KernelSyntaxError, match=message):
        kernel.compile()


def test_an_operator_has_no_print() -> None:
    @gpu_reduce(identity=0.0)
    def total(a: f32, b: f32) -> f32:
        print(a)
        return a + b

    with pytest.raises(KernelSyntaxError, match="an operator has no print"):
        total.source()
