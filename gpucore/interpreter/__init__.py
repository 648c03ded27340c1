"""Runs WGSL on the CPU, all invocations at once, and finds defects that GPUs do not report.

Law: text, NumPy arrays and Python alone: no GPU, no device, no buffer.

A `Program` is an entry point that runs on NumPy's arrays: each operation is done for all
invocations of many workgroups. `Findings` collects accesses outside of arrays, data races, reads of
what nobody wrote, barriers that some invocations miss, integers that overflow, divisions by zero,
and NaN made from finite numbers. Matrix units, which no software renderer has, run, too.
"""

from gpucore.interpreter.errors import EndlessLoopError, InterpreterError, UnsupportedWgslError
from gpucore.interpreter.findings import KINDS, Finding, Findings, SourceLine, SourceMap
from gpucore.interpreter.program import Bound, Program

__all__ = [
    "KINDS",
    "Bound",
    "EndlessLoopError",
    "Finding",
    "Findings",
    "InterpreterError",
    "Program",
    "SourceLine",
    "SourceMap",
    "UnsupportedWgslError",
]
