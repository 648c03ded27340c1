"""The number of workgroups of a launch, from a grid or from a number of elements."""

from __future__ import annotations

from operator import index

from gpucore.errors import ArgumentError, LimitError
from gpucore.integers import ceil_div

__all__ = ["Grid", "Groups", "groups_of_elements", "groups_of_grid", "require_groups"]

Grid = int | tuple[int, ...]
Groups = tuple[int, int, int]


def groups_of_grid(kernel: str, grid: Grid | None) -> Groups:
    """Return the workgroups along x, y and z. Raises `ArgumentError`."""
    sizes = _sizes(grid)
    if sizes is None:
        raise ArgumentError(
            f"kernel {kernel}: grid must be 1 to 3 sizes >= 0, got {grid!r}; it is the number of "
            "workgroups as whole numbers, such as (count + 63) // 64 for @workgroup_size(64); or "
            "give elements=count"
        )
    return sizes


def groups_of_elements(kernel: str, elements: Grid, workgroup: Groups) -> Groups:
    """Return the fewest workgroups that have an invocation for each element along x, y and z.

    Raises `ArgumentError` where a workgroup has more axes than ``elements``.
    """
    sizes = _sizes(elements)
    if sizes is None:
        raise ArgumentError(
            f"kernel {kernel}: elements must be 1 to 3 sizes >= 0, got {elements!r}; it is the "
            "number of invocations along x, y and z as whole numbers, such as (columns, rows)"
        )
    given = len(elements) if isinstance(elements, tuple | list) else 1
    if any(size > 1 for size in workgroup[given:]):
        raise ArgumentError(
            f"kernel {kernel}: elements must have a size for each axis of @workgroup_size"
            f"{workgroup}, got {elements!r}; give (columns, rows)"
        )
    x, y, z = (ceil_div(n, size) for n, size in zip(sizes, workgroup, strict=True))
    return x, y, z


def require_groups(kernel: str, groups: Groups, most: int, given: str) -> None:
    """Raise `LimitError` for more workgroups along an axis than the device runs."""
    if max(groups) > most:
        raise LimitError(
            f"kernel {kernel}: {given} has more than {most} workgroups in one dimension; spread "
            "it over two (x, y) or use larger workgroups, or let each invocation do several "
            "elements"
        )


def _sizes(given: Grid | None) -> Groups | None:
    """Return 1 to 3 sizes, filled up with 1; None for anything else."""
    if given is None:
        return None
    try:
        sizes = tuple(map(index, given)) if isinstance(given, tuple | list) else (index(given),)
    except TypeError:
        return None
    if not 1 <= len(sizes) <= 3 or min(sizes) < 0:
        return None
    x, y, z = (*sizes, 1, 1)[:3]
    return x, y, z
