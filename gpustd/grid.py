"""Grids for flat kernels, past the limit of 65 535 workgroups a dimension."""

from __future__ import annotations

__all__ = ["MOST_GROUPS", "flat_grid"]

MOST_GROUPS = 65535


def flat_grid(count: int, workgroup: int) -> tuple[int, int, int]:
    """Workgroups for ``count`` invocations of workgroups of ``workgroup``.

    The kernel computes ``index = gid.x + gid.y * (65535 * workgroup)`` and checks it against the
    count.
    """
    groups = (count + workgroup - 1) // workgroup
    return min(groups, MOST_GROUPS), (groups + MOST_GROUPS - 1) // MOST_GROUPS, 1
