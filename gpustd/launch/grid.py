"""Grids of workgroups for flat kernels and for strips, beyond 65 535 workgroups."""

from __future__ import annotations

from gpucore.integers import ceil_div

__all__ = ["CORES", "MOST_GROUPS", "flat_grid", "strip_rows"]

MOST_GROUPS = 65535
CORES = 132
"""Multiprocessors of the card (an H200) whose times the cost models of tiles predict."""
# Invocations that keep the largest GPUs full to the end.
_FULL_GPU = 2**18


def flat_grid(count: int, workgroup: int) -> tuple[int, int, int]:
    """Return the grid for ``count`` invocations in workgroups of ``workgroup``.

    The kernel computes ``index = gid.x + gid.y * (65535 * workgroup)`` and compares it with the
    count.
    """
    groups = ceil_div(count, workgroup)
    return min(groups, MOST_GROUPS), ceil_div(groups, MOST_GROUPS), 1


def strip_rows(height: int, lanes: int, step: int, shared: int) -> int:
    """Return the rows that an invocation makes on its way down a strip, ``step`` at a time.

    ``lanes`` invocations make one strip of all images, so that short strips keep a GPU full. Each
    begins ``shared`` rows early: its first results share those rows with the strip above. The last
    step is full.
    """
    strips = min(ceil_div(_FULL_GPU, lanes), ceil_div(height, step))
    steps = ceil_div(ceil_div(height, strips) + shared, step)
    return max(steps * step - shared, 1)
