"""Group normalisation of images, with SiLU and a second source fused."""

from __future__ import annotations

from typing import Any

from gpucore import Buffer, T, f32
from gpucore.integers import ceil_div
from gpustd.launch.checks import as_float
from gpustd.launch.elements import float_scalar, launch_flat, width_of
from gpustd.launch.grid import flat_grid
from gpustd.launch.template import Value, kernel
from gpustd.launch.variants import forced_variant
from gpustd.nn.norm.group_plan import Norm, Plan, most_lanes
from gpustd.nn.norm.layer import check_affine

__all__ = ["group_norm"]

_Buffers = tuple[Buffer[Any], ...]

# Bytes of an image from which a GPU takes two launches: in one, few workgroups read it.
_TWO_LAUNCHES_FROM = 2**21
_CPU_RUNS = 16
# The last step on a software renderer takes up to 8 pixels an invocation where as many invocations
# as these are left.
_MOST_PIXELS = 8
_WORDS_AT_ONCE = 2**10


def group_norm(
    x: Buffer[T],
    gamma: Buffer[f32],
    beta: Buffer[f32],
    *,
    groups: int,
    eps: float,
    silu: bool = False,
    second: Buffer[T] | None = None,
) -> Buffer[T]:
    """Normalise each image over its pixels and the channels of each group, then SiLU if asked.

    Wu and He 2018 (arXiv 1803.08494). Statistics are in f32 around the mean, never as a mean of
    squares.

    Args:
        x: (N, ..., C1), f16 or f32.
        gamma: f32 (C1 + C2), multiplied.
        beta: f32 (C1 + C2), added.
        groups: divides C1 + C2; a group may lie in both sources.
        eps: added to the variance.
        silu: apply SiLU to the result.
        second: (N, ..., C2), whose channels follow those of ``x``.

    Returns (N, ..., C1 + C2). Raises `ShapeError`, `DTypeError`.

    >>> import numpy as np
    >>> import gpustd
    >>> from gpucore import Device
    >>> device = Device.auto()
    >>> one, nothing = (device.buffer_from_array(np.full(2, v, np.float32)) for v in (1, 0))
    >>> x = device.buffer_from_array(np.array([[[1, 2], [3, 6]]], np.float32))
    >>> gpustd.group_norm(x, one, nothing, groups=2, eps=0.0).read().round(4).tolist()
    [[[-1.0, -1.0], [1.0, 1.0]]]
    """
    sources = (x,) if second is None else (x, second)
    norm, eps = Norm.of(sources, groups), as_float("group_norm", "eps", eps)
    check_affine("group_norm", norm.channels, gamma, beta)
    float_scalar("group_norm", *sources)
    y = x.device.buffer(x.dtype, (*x.shape[:-1], norm.channels))
    if not y.size:
        return y
    variant = forced_variant("group_norm") or _best_variant(norm, x)
    plan = _plan_of(variant, norm, x)
    if plan:
        launch = _in_one_launch if variant == "group" else _in_two_launches
        launch(norm, plan, (*sources, gamma, beta, y), eps, silu)
    else:
        plain = variant == "naive"
        statistics = (_plain_statistics if plain else _merged_statistics)(norm, sources, eps)
        _normalise(norm, (*sources, statistics, gamma, beta, y), silu)
    return y


def _best_variant(norm: Norm, x: Buffer[Any]) -> str:
    """Name of the variant for a device and the sizes of one image."""
    if x.device.is_cpu:
        return "channels_cpu"
    large = norm.pixels * norm.channels * x.dtype.itemsize >= _TWO_LAUNCHES_FROM
    order = ("runs", "group") if large else ("group", "runs")
    return next((variant for variant in order if _plan_of(variant, norm, x)), "channels_cpu")


def _plan_of(variant: str, norm: Norm, x: Buffer[Any]) -> Plan | None:
    """The plan of a variant for GPUs; None where a group is too wide, and for others."""
    itemsize, most = x.dtype.itemsize, most_lanes(x.device)
    if variant == "group":
        return Plan.one_launch(norm, itemsize, most)
    memory = x.device.limits.get("max_compute_workgroup_storage_size", 2**14)
    return Plan.two_launches(norm, itemsize, most, memory) if variant == "runs" else None


def _spec(norm: Norm, plan: Plan, x: Buffer[Any]) -> dict[str, Value]:
    """Template variables of the kernels over lanes."""
    return {
        "scalar": x.dtype.name,
        "two": len(norm.widths) > 1,
        "width": plan.width,
        "lanes": plan.lanes,
        "depth": plan.depth,
    }


def _in_one_launch(norm: Norm, plan: Plan, buffers: _Buffers, eps: float, silu: bool) -> None:
    """Record ``group``; ``buffers`` are the sources, gamma, beta and the result."""
    spec = _spec(norm, plan, buffers[0]) | {"held": plan.held, "silu": silu}
    launch = kernel(buffers[0].device, "nn/group_norm/group.wgsl", **spec)
    launch(*buffers, plan.sizes(norm, eps), grid=plan.grid(norm))


def _in_two_launches(norm: Norm, plan: Plan, buffers: _Buffers, eps: float, silu: bool) -> None:
    """Record ``runs`` and ``merge``; ``buffers`` are the sources, gamma, beta and the result."""
    device, sources, rest = buffers[0].device, buffers[:-3], buffers[-3:]
    partials = device.buffer(f32, (norm.images, norm.groups, plan.runs, 2))
    spec, sizes, grid = _spec(norm, plan, buffers[0]), plan.sizes(norm, eps), plan.grid(norm)
    kernel(device, "nn/group_norm/runs.wgsl", **spec)(*sources, partials, sizes, grid=grid)
    launch = kernel(device, "nn/group_norm/merge.wgsl", **spec, silu=silu)
    launch(*sources, partials, *rest, sizes, grid=grid)


def _plain_statistics(norm: Norm, sources: _Buffers, eps: float) -> Buffer[f32]:
    """Mean and factor (images, groups, 2) by the naive variant."""
    statistics = sources[0].device.buffer(f32, (norm.images, norm.groups, 2))
    sizes = {
        "groups": norm.groups,
        "size": norm.size,
        "pixels": norm.pixels,
        "c1": norm.widths[0],
        "c2": sum(norm.widths[1:]),
        "eps": eps,
    }
    spec: dict[str, Value] = {"scalar": sources[0].dtype.name, "two": len(sources) > 1}
    count = norm.images * norm.groups
    launch_flat("nn/group_norm/naive.wgsl", spec, (*sources, statistics), count, sizes)
    return statistics


def _merged_statistics(norm: Norm, sources: _Buffers, eps: float) -> Buffer[f32]:
    """Mean and factor (images, groups, 2) from moments of channels over runs of pixels."""
    device = sources[0].device
    # It depends on one image only, so that a batch does not change the order of the sums.
    run = ceil_div(norm.pixels, _CPU_RUNS)
    runs = ceil_div(norm.pixels, run)
    partials = device.buffer(f32, (norm.images, runs, norm.channels, 2))
    first = 0
    for source in sources:
        _partials(norm, source, partials, first, run)
        first += source.shape[-1]
    statistics = device.buffer(f32, (norm.images, norm.groups, 2))
    count = norm.images * norm.groups
    sizes = {
        "count": count,
        "groups": norm.groups,
        "size": norm.size,
        "pixels": norm.pixels,
        "runs": runs,
        "run": run,
        "eps": eps,
    }
    launch = kernel(device, "nn/group_norm/groups.wgsl")
    launch(partials, statistics, sizes, grid=flat_grid(count, 8))
    return statistics


def _partials(norm: Norm, source: Buffer[Any], partials: Buffer[f32], first: int, run: int) -> None:
    """Moments of one source's channels, which begin at ``first``, over runs of ``run`` pixels."""
    width = width_of(source.shape[-1])
    units = source.shape[-1] // width
    runs = partials.shape[1]
    sizes = {
        "images": norm.images,
        "pixels": norm.pixels,
        "units": units,
        "channels": norm.channels,
        "first": first,
        "runs": runs,
        "run": run,
    }
    spec: dict[str, Value] = {"scalar": source.dtype.name, "width": width}
    launch = kernel(source.device, "nn/group_norm/channels_cpu.wgsl", **spec)
    launch(source, partials, sizes, grid=flat_grid(norm.images * runs * units, 16))


def _normalise(norm: Norm, buffers: _Buffers, silu: bool) -> None:
    """Record the last step; ``buffers`` are its sources, statistics, gamma, beta, result."""
    width = width_of(*norm.widths)
    spec: dict[str, Value] = {
        "scalar": buffers[0].dtype.name,
        "width": width,
        "two": len(norm.widths) > 1,
        "silu": silu,
        "whole": norm.size % width == 0,
    }
    units = norm.channels // width
    run = min(max(norm.pixels * units // _WORDS_AT_ONCE, 1), _MOST_PIXELS)
    runs = ceil_div(norm.pixels, run)
    sizes = {
        "pixels": norm.pixels,
        "units": units,
        "units1": norm.widths[0] // width,
        "groups": norm.groups,
        "size": norm.size,
        "runs": runs,
        "run": run,
    }
    count = norm.images * runs * units
    launch_flat("nn/group_norm/normalise.wgsl", spec, buffers, count, sizes)
