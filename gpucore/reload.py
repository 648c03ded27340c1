"""Kernel sources in files, compiled again while a shader is written."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

from gpucore.environment import is_on
from gpucore.errors import ArgumentError, GpuError, KernelCompileError

__all__ = ["RELOAD_VARIABLE", "SourceFile", "is_reload_on"]

RELOAD_VARIABLE = "GPUCORE_HOT_RELOAD"

K = TypeVar("K")

_log = logging.getLogger("gpucore.reload")


def is_reload_on(reload: bool | None) -> bool:
    """Return ``reload``; where it is None, what ``GPUCORE_HOT_RELOAD`` says (1 or 0; unset: 0)."""
    return is_on(RELOAD_VARIABLE, False) if reload is None else reload


class SourceFile(Generic[K]):
    """A WGSL file, of whose text ``build`` makes a kernel; errors name the file.

    Attributes:
        path: the file. fault: why its present text is not the one that was compiled; else None.
    """

    def __init__(self, path: Path, build: Callable[[str], K]) -> None:
        self.path = path.absolute()  # the process may change its folder
        self.fault: GpuError | None = None
        self._given_path = path
        self._build = build
        self._running = self._seen = ""  # the text that was compiled, the last one that was read
        self._stamp: tuple[int, int] | None = None

    def compile(self) -> K:
        """Compile the file. Raises `ArgumentError` if it cannot be read, `KernelCompileError`."""
        self._running = self._seen = self._read()
        return self._compile(self._running)

    def compile_if_changed(self) -> K | None:
        """Compile the file if its text has changed; None where it has not, or does not compile.

        A fault is logged once (log ``gpucore.reload``).
        """
        try:
            status = self.path.stat()
            stamp = status.st_mtime_ns, status.st_size
            if stamp == self._stamp:
                return None
            source = self._read()
        except (OSError, ArgumentError) as error:
            self._stamp, self._seen = None, self._running
            self._report(ArgumentError(str(error)))
            return None
        self._stamp = stamp
        if source == self._running:
            self._seen, self.fault = source, None
            return None
        if source == self._seen:
            return None
        self._seen = source
        try:
            kernel = self._compile(source)
        except (KernelCompileError, ArgumentError) as error:
            self._report(error)
            return None
        self._running, self.fault = source, None
        _log.info("%s compiled again", self.path)
        return kernel

    def _read(self) -> str:
        try:
            return self.path.read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            raise ArgumentError(
                f"{self._given_path} cannot be read as a WGSL file: {error}"
            ) from None

    def _compile(self, source: str) -> K:
        try:
            return self._build(source)
        except KernelCompileError as error:
            message = f"{self._given_path}: {error.message}"
            raise KernelCompileError(message, error.source, error.line, error.column) from None

    def _report(self, error: GpuError) -> None:
        """Keep a fault, and log it if it is not the one before."""
        if str(error) != str(self.fault):
            _log.error("%s: the kernel before stays. %s", self.path, error)
        self.fault = error
