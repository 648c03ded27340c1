"""The operations behind the operators of buffers, which another package registers by name.

`operation` looks a name up in what `register` was given. Where nothing is registered yet, it loads
the entry points of the group ``gpucore.operations``. An installed package such as gpustd names its
table there, so that operators work before anybody has imported it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from gpucore.errors import OperationsNotFoundError

__all__ = ["Operations", "operation", "register"]

Operations = Mapping[str, Callable[..., Any]]
"""What a package offers: functions by the names that the operators and methods of buffers use."""

_GROUP = "gpucore.operations"

_registered: list[Operations] = []


def register(operations: Operations) -> None:
    """Let buffers take their operations from this table, in place of any before."""
    _registered[:] = [operations]


def operation(name: str) -> Callable[..., Any]:
    """Return the function behind an operator or method.

    Raises `OperationsNotFoundError` where no installed package offers it.
    """
    if not _registered:
        _load_installed()
    found = _registered[0].get(name) if _registered else None
    if found is None:
        raise OperationsNotFoundError(
            f"{name} of a Buffer: operators and methods must come from a package of operations, "
            "and none that is installed or imported offers this one; install avila-diffusion, or "
            "import gpustd first"
        )
    return found


def _load_installed() -> None:
    """Load the tables that installed packages name; the first one counts."""
    from importlib.metadata import entry_points  # takes time to load, and is seldom needed

    for point in entry_points(group=_GROUP):
        table: Operations = point.load()
        if not _registered:
            register(table)
