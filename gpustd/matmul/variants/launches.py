"""A launch as the variants describe it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from gpucore import Work
from gpustd.launch.template import Value

__all__ = ["Launch"]


class Launch(NamedTuple):
    """One kernel to record: its shader, template variables, arguments, grid and work.

    ``region`` is the region of profiles in which it is recorded, if any.
    """

    shader: str
    spec: dict[str, Value]
    arguments: Sequence[Any]
    grid: tuple[int, int, int]
    work: Work | None = None
    region: str = ""
