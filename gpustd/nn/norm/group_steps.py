"""Group norm in separate steps: statistics, then the normalisation. For software renderers."""

from __future__ import annotations

from typing import Any, NamedTuple

from gpucore import Buffer, f32
from gpucore.integers import ceil_div
from gpustd.launch.elements import launch_flat, width_of
from gpustd.launch.grid import flat_grid
from gpustd.launch.template import Value, kernel
from gpustd.nn.norm.group_plan import NormSizes

__all__ = ["Operands", "merge_statistics", "naive_statistics", "normalise"]

_CPU_RUNS = 16
# The last step on a software renderer takes up to 8 pixels an invocation where as many invocations
# as these are left.
_MOST_PIXELS = 8
_WORDS_AT_ONCE = 2**10


class Operands(NamedTuple):
    """The one or two sources of a group norm, its weight and bias, and its result."""

    sources: tuple[Buffer[Any], ...]
    weight: Buffer[f32]
    bias: Buffer[f32]
    y: Buffer[Any]


def naive_statistics(sizes: NormSizes, sources: tuple[Buffer[Any], ...], eps: float) -> Buffer[f32]:
    """Return mean and factor (images, groups, 2) by the naive variant."""
    statistics = sources[0].device.buffer(f32, (sizes.images, sizes.groups, 2))
    params = {
        "groups": sizes.groups,
        "size": sizes.group_size,
        "pixels": sizes.pixels,
        "c1": sizes.widths[0],
        "c2": sum(sizes.widths[1:]),
        "eps": eps,
    }
    spec: dict[str, Value] = {"scalar": sources[0].dtype.name, "two": len(sources) > 1}
    count = sizes.images * sizes.groups
    launch_flat("nn/group_norm/naive.wgsl", spec, (*sources, statistics), count, params)
    return statistics


def merge_statistics(sizes: NormSizes, sources: tuple[Buffer[Any], ...], eps: float) -> Buffer[f32]:
    """Return mean and factor (images, groups, 2) from channels' moments over runs of pixels."""
    device = sources[0].device
    # It depends on one image only, so that a batch does not change the order of the sums.
    run = ceil_div(sizes.pixels, _CPU_RUNS)
    runs = ceil_div(sizes.pixels, run)
    partials = device.buffer(f32, (sizes.images, runs, sizes.channels, 2))
    first = 0
    for source in sources:
        _launch_moments(sizes, source, partials, first, run)
        first += source.shape[-1]
    statistics = device.buffer(f32, (sizes.images, sizes.groups, 2))
    count = sizes.images * sizes.groups
    params = {
        "count": count,
        "groups": sizes.groups,
        "size": sizes.group_size,
        "pixels": sizes.pixels,
        "runs": runs,
        "run": run,
        "eps": eps,
    }
    launch = kernel(device, "nn/group_norm/groups.wgsl")
    launch(partials, statistics, params, grid=flat_grid(count, 8))
    return statistics


def _launch_moments(
    sizes: NormSizes, source: Buffer[Any], partials: Buffer[f32], first: int, run: int
) -> None:
    """Record the moments of one source, from channel ``first`` on, over runs of ``run`` pixels."""
    width = width_of(source.shape[-1])
    units = source.shape[-1] // width
    runs = partials.shape[1]
    params = {
        "images": sizes.images,
        "pixels": sizes.pixels,
        "units": units,
        "channels": sizes.channels,
        "first": first,
        "runs": runs,
        "run": run,
    }
    spec: dict[str, Value] = {"scalar": source.dtype.name, "width": width}
    launch = kernel(source.device, "nn/group_norm/channels_cpu.wgsl", **spec)
    launch(source, partials, params, grid=flat_grid(sizes.images * runs * units, 16))


def normalise(sizes: NormSizes, operands: Operands, statistics: Buffer[f32], *, silu: bool) -> None:
    """Record the last step: the sources with their groups' statistics applied."""
    sources, weight, bias, y = operands
    width = width_of(*sizes.widths)
    spec: dict[str, Value] = {
        "scalar": y.dtype.name,
        "width": width,
        "two": len(sizes.widths) > 1,
        "silu": silu,
        "whole": sizes.group_size % width == 0,
    }
    units = sizes.channels // width
    run = min(max(sizes.pixels * units // _WORDS_AT_ONCE, 1), _MOST_PIXELS)
    runs = ceil_div(sizes.pixels, run)
    params = {
        "pixels": sizes.pixels,
        "units": units,
        "units1": sizes.widths[0] // width,
        "groups": sizes.groups,
        "size": sizes.group_size,
        "runs": runs,
        "run": run,
    }
    count = sizes.images * runs * units
    buffers = (*sources, statistics, weight, bias, y)
    launch_flat("nn/group_norm/normalise.wgsl", spec, buffers, count, params)
