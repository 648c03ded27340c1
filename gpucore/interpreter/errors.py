"""The errors of the interpreter, in one tree.

::

    GpuError
    └── InterpreterError            the interpreter cannot run the WGSL
        ├── UnsupportedWgslError    WGSL that the interpreter does not know
        └── EndlessLoopError        a loop that does not end
"""

from __future__ import annotations

from gpucore.errors import GpuError

__all__ = ["EndlessLoopError", "InterpreterError", "UnsupportedWgslError"]


class InterpreterError(GpuError):
    """The interpreter cannot run the WGSL."""


class UnsupportedWgslError(InterpreterError):
    """The WGSL uses something that the interpreter does not know."""


class EndlessLoopError(InterpreterError):
    """A loop runs more often than any loop should."""
