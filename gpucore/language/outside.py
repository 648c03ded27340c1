"""What the words of kernels do outside of a kernel: they raise."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from gpucore.errors import GpuError

__all__ = ["outside_error", "word"]

F = TypeVar("F", bound=Callable[..., object])


def word(function: F) -> F:
    """Give a function the name by which the compiler knows it."""
    function.gpu_name = function.__name__  # type: ignore[attr-defined]
    return function


def outside_error(name: str) -> GpuError:
    """Return the error of a word that is used outside of a kernel."""
    return GpuError(
        f"{name} has a meaning only inside of a kernel: call it in a function that @gpu_kernel "
        "decorates"
    )
