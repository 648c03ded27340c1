"""Kernels from files, compiled again while they are written."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import numpy as np
import pytest

from gpucore import ArgumentError, Device, KernelCompileError
from gpucore.kernel import ReloadingKernel
from tests.gpucore.kernels import INCREMENT


def write(path: Path, source: str) -> None:
    """Write a file, with a time that differs from the last one on every file system."""
    before = path.stat().st_mtime_ns if path.exists() else 0
    path.write_text(source, encoding="utf-8")
    os.utime(path, ns=(before + 10**9, before + 10**9))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "increment.wgsl"
    write(file, INCREMENT)
    return file


def test_a_file_is_compiled(device: Device, path: Path) -> None:
    x = device.buffer_from_array(np.zeros(4, np.float32))
    kernel = device.compile_file(path)
    assert not isinstance(kernel, ReloadingKernel)
    assert kernel.label == "increment"
    kernel(x, grid=1)
    write(path, INCREMENT.replace("1.0", "10.0"))
    kernel(x, grid=1)
    assert x.read().tolist() == [2] * 4


def test_edits_are_followed(device: Device, path: Path) -> None:
    x = device.buffer_from_array(np.zeros(4, np.float32))
    kernel = device.compile_file(path, reload=True)
    kernel(x, grid=1)
    write(path, INCREMENT.replace("1.0", "10.0"))
    kernel(x, grid=1)
    assert x.read().tolist() == [11] * 4
    write(
        path,
        INCREMENT.replace("> x:", "> renamed:").replace("x[", "renamed[").replace("&x", "&renamed"),
    )
    kernel(x, grid=1)
    assert x.read().tolist() == [12] * 4
    assert "renamed" in kernel.signature


def test_a_bad_edit_is_reported_once_and_the_kernel_stays(
    device: Device, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    x = device.buffer_from_array(np.zeros(4, np.float32))
    kernel = device.compile_file(path, reload=True)
    assert isinstance(kernel, ReloadingKernel)
    write(path, INCREMENT.replace("+ 1.0", "+ true"))
    with caplog.at_level(logging.ERROR, "gpucore.reload"):
        kernel(x, grid=1)
        kernel(x, grid=1)
    assert x.read().tolist() == [2] * 4
    (record,) = caplog.records
    message = record.getMessage()
    assert "the kernel before stays" in message
    assert f"{path}: WGSL does not compile" in message
    assert "    6 |" in message, "the line is shown"
    assert isinstance(kernel.fault, KernelCompileError)
    write(path, INCREMENT.replace("1.0", "5.0"))
    kernel(x, grid=1)
    assert x.read().tolist() == [7] * 4
    assert kernel.fault is None


def test_a_file_that_is_away_for_a_moment(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    device = Device.null()
    kernel = device.compile_file(path, reload=True)
    assert isinstance(kernel, ReloadingKernel)
    path.unlink()
    assert not kernel.refresh()
    assert isinstance(kernel.fault, ArgumentError)
    assert "increment.wgsl" in str(kernel.fault)
    write(path, INCREMENT)
    assert not kernel.refresh()
    assert kernel.fault is None


def test_the_folder_of_the_process_may_change(
    device: Device, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(path.parent)
    kernel = device.compile_file(path.name, reload=True)
    assert isinstance(kernel, ReloadingKernel)
    monkeypatch.chdir("/")
    path.write_text(path.read_text() + "// edited\n")
    assert kernel.refresh()


def test_a_byte_order_mark_is_no_character(device: Device, path: Path) -> None:
    path.write_text(path.read_text(), encoding="utf-8-sig")
    device.compile_file(path).wait()


def test_a_touched_file_is_not_compiled_again(path: Path) -> None:
    device = Device.null()
    kernel = device.compile_file(path, reload=True)
    assert isinstance(kernel, ReloadingKernel)
    write(path, INCREMENT)
    assert not kernel.refresh()
    write(path, INCREMENT + "\n")
    assert kernel.refresh()


def test_the_environment_decides(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    device = Device.null()
    for value, expected in (
        ("1", True),
        ("0", False),
        ("", False),
        (" Off ", False),
        ("yes", True),
    ):
        monkeypatch.setenv("GPUCORE_HOT_RELOAD", value)
        assert isinstance(device.compile_file(path), ReloadingKernel) is expected
        assert isinstance(device.compile_file(path, reload=True), ReloadingKernel)
    monkeypatch.setenv("GPUCORE_HOT_RELOAD", "1")
    assert not isinstance(device.compile_file(path, reload=False), ReloadingKernel)


def test_errors_name_the_file(device: Device, tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match=r"nowhere\.wgsl cannot be read as a WGSL file"):
        device.compile_file(tmp_path / "nowhere.wgsl")
    broken = tmp_path / "broken.wgsl"
    broken.write_text(INCREMENT.replace("+ 1.0", "+ "), encoding="utf-8")
    with pytest.raises(KernelCompileError, match=r"broken\.wgsl: WGSL does not parse") as caught:
        device.compile_file(broken)
    assert caught.value.line == 6


def test_a_bad_text_that_comes_back_is_told_again(path: Path) -> None:
    """Once the file is back, the fault is that of its text again."""
    kernel = Device.null().compile_file(path, reload=True)
    assert isinstance(kernel, ReloadingKernel)
    bad = INCREMENT.replace("1.0", "1.0 +")
    for _ in range(2):
        write(path, bad)
        kernel.refresh()
        assert isinstance(kernel.fault, KernelCompileError)
        path.unlink()
        kernel.refresh()
        assert isinstance(kernel.fault, ArgumentError)
    write(path, INCREMENT)
    kernel.refresh()
    assert kernel.fault is None


def test_a_last_line_that_names_a_file(path: Path) -> None:
    write(path, INCREMENT + "// from increment.wgsl")
    assert Device.null().compile_file(path).entry == "main"
