"""Group norm on a GPU: one launch for small images, two for large ones."""

from __future__ import annotations

from typing import Any

from gpucore import Buffer, f32
from gpustd.launch.template import Value, kernel
from gpustd.nn.norm.group_plan import NormSizes, Plan
from gpustd.nn.norm.group_steps import Operands

__all__ = ["launch_once", "launch_twice"]


def launch_once(
    sizes: NormSizes, plan: Plan, operands: Operands, eps: float, *, silu: bool
) -> None:
    """Record ``group.wgsl``: a workgroup takes a group of one image."""
    sources, weight, bias, y = operands
    spec = _spec(sizes, plan, y) | {"held": plan.held, "silu": silu}
    launch = kernel(y.device, "nn/group_norm/group.wgsl", **spec)
    launch(*sources, weight, bias, y, plan.params(sizes, eps), grid=plan.grid(sizes))


def launch_twice(
    sizes: NormSizes, plan: Plan, operands: Operands, eps: float, *, silu: bool
) -> None:
    """Record ``runs.wgsl`` (moments of runs of pixels) and ``merge.wgsl`` (their union)."""
    sources, weight, bias, y = operands
    partials = y.device.buffer(f32, (sizes.images, sizes.groups, plan.runs, 2))
    spec, params, grid = _spec(sizes, plan, y), plan.params(sizes, eps), plan.grid(sizes)
    kernel(y.device, "nn/group_norm/runs.wgsl", **spec)(*sources, partials, params, grid=grid)
    launch = kernel(y.device, "nn/group_norm/merge.wgsl", **spec, silu=silu)
    launch(*sources, partials, weight, bias, y, params, grid=grid)


def _spec(sizes: NormSizes, plan: Plan, y: Buffer[Any]) -> dict[str, Value]:
    """Return the template variables of the kernels over lanes."""
    return {
        "scalar": y.dtype.name,
        "two": len(sizes.widths) > 1,
        "width": plan.width,
        "lanes": plan.lanes,
        "depth": plan.depth,
    }
