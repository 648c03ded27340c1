"""Runs WGSL on the CPU, invocation by invocation, and finds faults that GPUs do not report.

Law: text, NumPy arrays and Python alone: no GPU, no device, no buffer.

`run_workgroups` finds data races, barriers that some invocations miss, accesses past the end of
memory, and reads of workgroup memory that nobody wrote. It also runs matrix units, which no
software renderer has. It is thousands of times slower than a GPU: give it few, small workgroups.
"""

from gpucore.interpreter.errors import (
    Access,
    BarrierError,
    InterpreterError,
    OutOfBoundsError,
    RaceError,
    ResultError,
    SubgroupError,
    UninitializedError,
    UnsupportedWgslError,
    WorkgroupError,
)
from gpucore.interpreter.workgroups import run_workgroups

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
    "run_workgroups",
]
