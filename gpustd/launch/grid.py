"""Grids for flat kernels, past the limit of 65 535 workgroups a dimension, and strips."""

from __future__ import annotations

__all__ = ["MOST_GROUPS", "flat_grid", "strip_rows"]

MOST_GROUPS = 65535
# Invocations that keep the largest GPUs full to the end.
_PLENTY = 2**18


def flat_grid(count: int, workgroup: int) -> tuple[int, int, int]:
    """Workgroups for ``count`` invocations of workgroups of ``workgroup``.

    The kernel computes ``index = gid.x + gid.y * (65535 * workgroup)`` and checks it against the
    count.
    """
    groups = (count + workgroup - 1) // workgroup
    return min(groups, MOST_GROUPS), (groups + MOST_GROUPS - 1) // MOST_GROUPS, 1


def strip_rows(height: int, lanes: int, step: int, shared: int) -> int:
    """Rows of an invocation that walks down a strip, ``step`` at a time.

    ``lanes`` invocations make one strip of all images; they should be many. A walk begins
    ``shared`` rows early, for what its results have in common with those above; its last step is
    full.
    """
    strips = min(-(-_PLENTY // lanes), -(-height // step))
    steps = -(-(-(-height // strips) + shared) // step)
    return max(steps * step - shared, 1)
