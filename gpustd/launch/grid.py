"""Grids for flat kernels, past the limit of 65 535 workgroups a dimension, and strips."""

from __future__ import annotations

from gpucore.integers import ceil_div

__all__ = ["MOST_GROUPS", "flat_grid", "strip_rows"]

MOST_GROUPS = 65535
# Invocations that keep the largest GPUs full to the end.
_PLENTY = 2**18


def flat_grid(count: int, workgroup: int) -> tuple[int, int, int]:
    """Workgroups for ``count`` invocations of workgroups of ``workgroup``.

    The kernel computes ``index = gid.x + gid.y * (65535 * workgroup)`` and checks it against the
    count.
    """
    groups = ceil_div(count, workgroup)
    return min(groups, MOST_GROUPS), ceil_div(groups, MOST_GROUPS), 1


def strip_rows(height: int, lanes: int, step: int, shared: int) -> int:
    """Rows of an invocation that walks down a strip, ``step`` at a time.

    ``lanes`` invocations make one strip of all images; they should be many. A walk begins
    ``shared`` rows early, for what its results have in common with those above; its last step is
    full.
    """
    strips = min(ceil_div(_PLENTY, lanes), ceil_div(height, step))
    steps = ceil_div(ceil_div(height, strips) + shared, step)
    return max(steps * step - shared, 1)
