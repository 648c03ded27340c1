"""The errors that gpucore and gpustd raise, in one tree.

The interpreter adds its own below the root, see `gpucore.interpreter.errors`.

::

    GpuError
    ├── DeviceNotFoundError     no adapter, or none that was asked for
    ├── DeviceLostError         the driver took the device away, or it was closed
    ├── OutOfMemoryError        the device, or the limit set, has no room for an allocation
    ├── LimitError              a size is over a limit of the device
    ├── FeatureError            the device lacks a feature that was asked for
    ├── KernelCompileError      WGSL that does not compile (knows line and column)
    ├── ArgumentError           a kernel's arguments do not fit its declaration
    ├── CaptureError            host access or a second capture while a graph is captured
    ├── ShapeError              an operation's shapes do not fit
    ├── DTypeError              an operation or a buffer has the wrong dtype
    ├── ReleasedBufferError     a buffer was used after its release
    └── OperationsNotFoundError no installed package has the operators of buffers (an ImportError)
"""

from __future__ import annotations

__all__ = [
    "ArgumentError",
    "CaptureError",
    "DTypeError",
    "DeviceLostError",
    "DeviceNotFoundError",
    "FeatureError",
    "GpuError",
    "KernelCompileError",
    "LimitError",
    "OperationsNotFoundError",
    "OutOfMemoryError",
    "ReleasedBufferError",
    "ShapeError",
]


class GpuError(Exception):
    """Root of all errors of gpucore and gpustd."""


class DeviceNotFoundError(GpuError):
    """No adapter is present that was asked for; the message says what to install."""


class DeviceLostError(GpuError):
    """The device was lost or closed; make a new one (`Device.reopen`) and upload the data again."""


class OutOfMemoryError(GpuError):
    """The device could not allocate a buffer."""


class LimitError(GpuError):
    """A size is over a limit of the device."""


class FeatureError(GpuError):
    """The device, or its engine, lacks a feature that was asked for."""


class ArgumentError(GpuError):
    """A kernel was called with arguments that do not fit its WGSL declarations."""


class CaptureError(GpuError):
    """Something cannot be captured in a graph, or a graph was used after its release."""


class ShapeError(GpuError):
    """The shapes of an operation's arguments do not fit together."""


class DTypeError(GpuError):
    """An operation or a buffer does not take the dtype."""


class ReleasedBufferError(GpuError):
    """A buffer was used after ``release()``."""


class KernelCompileError(GpuError):
    """WGSL does not parse or compile; the message shows the place in the source.

    Attributes:
        message: what is wrong, without the place.
        line, column: one-based place in the WGSL, or 0 where the engine names none.
        source: the WGSL text.
    """

    def __init__(self, message: str, source: str = "", line: int = 0, column: int = 0) -> None:
        self.message, self.line, self.column, self.source = message, line, column, source
        super().__init__(self._with_place(message))

    def _with_place(self, message: str) -> str:
        lines = self.source.splitlines()
        if not 1 <= self.line <= len(lines):
            return message
        text = lines[self.line - 1]
        caret = " " * (max(self.column, 1) - 1) + "^"
        number = f"{self.line:5d} | "
        return f"{message}\n{number}{text}\n{' ' * len(number)}{caret}"


class OperationsNotFoundError(GpuError, ImportError):
    """No package offers the operators and methods of buffers; the message says what to install."""
