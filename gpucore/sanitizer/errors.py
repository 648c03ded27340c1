"""The error of kernels in which the sanitizer found defects.

::

    GpuError
    └── SanitizerError    defects of kernels
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from gpucore.errors import GpuError

if TYPE_CHECKING:
    from gpucore.interpreter import Finding

__all__ = ["SanitizerError"]

_MOST_SHOWN = 10


class SanitizerError(GpuError):
    """Kernels have defects.

    Attributes:
        findings: the defects, one for each kind, line and variable.
    """

    def __init__(self, findings: Sequence[Finding]) -> None:
        self.findings = tuple(findings)
        shown = [str(each) for each in self.findings[:_MOST_SHOWN]]
        rest = len(self.findings) - len(shown)
        count = f"{len(self.findings)} defect" + ("s" if len(self.findings) > 1 else "")
        super().__init__(
            "\n".join(
                [f"the sanitizer found {count}:", *shown, *([f"... and {rest}"] * bool(rest))]
            )
        )
