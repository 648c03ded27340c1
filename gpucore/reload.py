"""Kernels from files, and their reloading while a shader is written."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

from gpucore.environment import is_on
from gpucore.errors import ArgumentError, GpuError, KernelCompileError
from gpucore.kernel import Argument, Grid, Kernel
from gpucore.recording.work import Work

__all__ = ["RELOAD_VARIABLE", "ReloadingKernel", "kernel_of"]

RELOAD_VARIABLE = "GPUCORE_HOT_RELOAD"

_log = logging.getLogger("gpucore.reload")


def kernel_of(path: Path, build: Callable[[str], Kernel], *, reload: bool | None) -> Kernel:
    """The kernel that ``build`` makes of a file's text, reloading or not.

    Where ``reload`` is None, ``GPUCORE_HOT_RELOAD`` decides (1 or 0; unset: 0). Errors name the
    file. Raises `ArgumentError` where it cannot be read, `KernelCompileError`.
    """

    def named(source: str) -> Kernel:
        try:
            return build(source)
        except KernelCompileError as error:
            where = f"{path}: {error.message}"
            raise KernelCompileError(where, error.source, error.line, error.column) from None

    if reload is None:
        reload = is_on(RELOAD_VARIABLE, False)
    source = _text(path)
    return ReloadingKernel(path, source, named) if reload else named(source)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ArgumentError(f"{path} cannot be read as a WGSL file: {error}") from None


class ReloadingKernel(Kernel):
    """A kernel that looks at its file before each call, and compiles it again if it has changed.

    A text that does not compile is reported once (log ``gpucore.reload``, and `fault`); the last
    kernel that did compile goes on running. Graphs keep the kernel that they captured. A look costs
    microseconds: this is for development.

    Attributes:
        path: the file. fault: why its present text is not what runs; None where it is.
    """

    def __init__(self, path: Path, source: str, build: Callable[[str], Kernel]) -> None:
        kernel = build(source)
        super().__init__(kernel.device, kernel._program, kernel.bindings, kernel.entry)
        self.path = path.absolute()
        self.fault: GpuError | None = None
        self._build = build
        self._running = self._seen = source
        self._stamp: tuple[int, int] | None = None

    def __call__(self, *arguments: Argument, grid: Grid, work: Work | None = None) -> None:
        """As `Kernel`'s, with the file's present text."""
        self.refresh()
        super().__call__(*arguments, grid=grid, work=work)

    def refresh(self) -> bool:
        """Compile the file if its text has changed; returns True where a new kernel runs now."""
        try:
            status = self.path.stat()
            stamp = status.st_mtime_ns, status.st_size
            if stamp == self._stamp:
                return False
            source = _text(self.path)
        except (OSError, ArgumentError) as error:
            self._stamp, self._seen = None, self._running
            return self._report(ArgumentError(str(error)))
        self._stamp = stamp
        if source == self._running:
            self._seen, self.fault = source, None
            return False
        if source == self._seen:
            return False
        self._seen = source
        try:
            kernel = self._build(source)
        except (KernelCompileError, ArgumentError) as error:
            return self._report(error)
        super().__init__(kernel.device, kernel._program, kernel.bindings, kernel.entry)
        self._running, self.fault = source, None
        _log.info("%s compiled again", self.path)
        return True

    def _report(self, error: GpuError) -> bool:
        """Log a fault that was not logged before; always False."""
        if str(error) != str(self.fault):
            _log.error("%s: the kernel before stays. %s", self.path, error)
        self.fault = error
        return False
