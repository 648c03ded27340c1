"""The errors of the interpreter, in one tree.

::

    GpuError
    └── InterpreterError            the interpreter cannot run the WGSL, or found a fault in it
        ├── UnsupportedWgslError    WGSL that the interpreter does not know
        └── WorkgroupError          a fault of the kernel
            ├── BarrierError        some invocations come to a barrier and others to the end
            ├── OutOfBoundsError    an access past the end of an array
            ├── RaceError           two accesses to one element, one a write, without a barrier
            ├── ResultError         an element of a result that is written twice, or never
            ├── SubgroupError       invocations of a subgroup that make different matrix calls
            └── UninitializedError  a read of workgroup memory that nobody wrote
"""

from __future__ import annotations

from dataclasses import dataclass

from gpucore.errors import GpuError

__all__ = [
    "Access",
    "BarrierError",
    "InterpreterError",
    "OutOfBoundsError",
    "RaceError",
    "ResultError",
    "SubgroupError",
    "UninitializedError",
    "UnsupportedWgslError",
    "WorkgroupError",
]


@dataclass(frozen=True, slots=True)
class Access:
    """An access to ``variable[index]`` by ``actor``, such as "invocation 3" or "subgroup 0".

    ``barriers`` is the number of barriers that the workgroup had passed.
    """

    variable: str
    index: int
    actor: str
    barriers: int

    def __str__(self) -> str:
        return f"{self.variable}[{self.index}], {self.actor} after {self.barriers} barriers"


class InterpreterError(GpuError):
    """The interpreter cannot run the WGSL, or it found a fault in it."""


class UnsupportedWgslError(InterpreterError):
    """The WGSL uses something that the interpreter does not know."""


class WorkgroupError(InterpreterError):
    """The kernel has a fault: its results are wrong, or not the same on every device.

    Attributes:
        access: the access that showed the fault; None where it is no access.
    """

    def __init__(self, message: str, access: Access | None = None) -> None:
        self.message = message
        self.access = access
        super().__init__(message if access is None else f"{message}: {access}")


class BarrierError(WorkgroupError):
    """Some invocations of a workgroup come to a barrier, and others to the end."""


class OutOfBoundsError(WorkgroupError):
    """An access past the end of an array."""


class RaceError(WorkgroupError):
    """Two invocations access one element of workgroup memory without a barrier; one writes."""


class ResultError(WorkgroupError):
    """An element of a ``read_write`` storage array is written twice, or never."""


class SubgroupError(WorkgroupError):
    """Invocations of a subgroup make different calls of matrix functions."""


class UninitializedError(WorkgroupError):
    """A read of workgroup memory that no invocation wrote (WGSL has zeros there)."""
