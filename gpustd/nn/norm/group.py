"""Normalisation of images by groups of channels, with SiLU and a second source fused."""

from __future__ import annotations

from typing import Any

from gpucore import Buffer, ShapeError, T, f32
from gpustd.launch.checks import as_float
from gpustd.launch.elements import float_scalar
from gpustd.launch.variants import forced_variant
from gpustd.nn.norm.affine import fill_affine
from gpustd.nn.norm.group_fused import launch_once, launch_twice
from gpustd.nn.norm.group_plan import NormSizes, Plan, most_lanes
from gpustd.nn.norm.group_steps import Operands, merge_statistics, naive_statistics, normalise

__all__ = ["group_norm", "instance_norm"]

# Bytes of an image from which a GPU takes two launches: in one, few workgroups read it.
_TWO_LAUNCHES_FROM = 2**21


def group_norm(
    x: Buffer[T],
    num_groups: int,
    weight: Buffer[f32] | None = None,
    bias: Buffer[f32] | None = None,
    eps: float = 1e-5,
    *,
    silu: bool = False,
    second: Buffer[T] | None = None,
) -> Buffer[T]:
    """Normalise each image over its pixels and the channels of each group.

    Wu and He 2018 (arXiv 1803.08494). Statistics are in f32 around the mean, never as a mean of
    squares.

    Args:
        x: (N, ..., C1), f16 or f32.
        num_groups: divides C1 + C2; a group may lie in both sources.
        weight: f32 (C1 + C2), multiplied; ones by default.
        bias: f32 (C1 + C2), added; zeros by default.
        eps: added to the variance.
        silu: apply SiLU to the result.
        second: (N, ..., C2), whose channels follow those of ``x``.

    Returns (N, ..., C1 + C2). Raises `ShapeError`, `DTypeError`.

        >>> x = device.buffer_from_array(np.array([[[1, 5], [3, 5]]], np.float32))
        >>> nn.group_norm(x, 2).read().round(3).tolist()
        [[[-1.0, 0.0], [1.0, 0.0]]]
    """
    sources = (x,) if second is None else (x, second)
    sizes, eps = NormSizes.of(sources, num_groups), as_float("group_norm", "eps", eps)
    float_scalar("group_norm", *sources)
    weight, bias = fill_affine("group_norm", x.device, sizes.channels, weight, bias)
    y = x.device.buffer(x.dtype, (*x.shape[:-1], sizes.channels))
    if not y.size:
        return y
    operands = Operands(sources, weight, bias, y)
    variant = forced_variant("group_norm") or _best_variant(sizes, x)
    plan = _plan(variant, sizes, x)
    if plan:
        launch = launch_once if variant == "group" else launch_twice
        launch(sizes, plan, operands, eps, silu=silu)
    else:
        compute = naive_statistics if variant == "naive" else merge_statistics
        normalise(sizes, operands, compute(sizes, sources, eps), silu=silu)
    return y


def instance_norm(
    x: Buffer[T],
    weight: Buffer[f32] | None = None,
    bias: Buffer[f32] | None = None,
    eps: float = 1e-5,
) -> Buffer[T]:
    """Normalise each channel of each image over its pixels: `group_norm` of C groups.

    Ulyanov, Vedaldi and Lempitsky 2016 (arXiv 1607.08022). ``x`` (N, ..., C) is f16 or f32,
    ``weight`` and ``bias`` f32 (C,). Raises `ShapeError`, `DTypeError`.

        >>> x = device.buffer_from_array(np.array([[[1, 5], [3, 9]]], np.float32))
        >>> nn.instance_norm(x).read().round(3).tolist()
        [[[-1.0, -1.0], [1.0, 1.0]]]
    """
    float_scalar("instance_norm", x)
    if len(x.shape) < 3:
        raise ShapeError(f"instance_norm: x must be (N, ..., C) with pixels, got {x.shape}")
    if not x.size:
        fill_affine("instance_norm", x.device, x.shape[-1], weight, bias)
        return x.device.buffer(x.dtype, x.shape)
    return group_norm(x, x.shape[-1], weight, bias, eps)


def _best_variant(sizes: NormSizes, x: Buffer[Any]) -> str:
    """Return the fastest variant for a device and the sizes of one image."""
    if x.device.is_cpu:
        return "channels_cpu"
    large = sizes.pixels * sizes.channels * x.dtype.itemsize >= _TWO_LAUNCHES_FROM
    order = ("runs", "group") if large else ("group", "runs")
    return next((variant for variant in order if _plan(variant, sizes, x)), "channels_cpu")


def _plan(variant: str, sizes: NormSizes, x: Buffer[Any]) -> Plan | None:
    """Return the plan of a variant for GPUs; None where a group is too wide, and for others."""
    itemsize, most = x.dtype.itemsize, most_lanes(x.device)
    if variant == "group":
        return Plan.one_launch(sizes, itemsize, most)
    memory = x.device.limits.get("max_compute_workgroup_storage_size", 2**14)
    return Plan.two_launches(sizes, itemsize, most, memory) if variant == "runs" else None
