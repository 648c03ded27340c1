"""Group normalisation of images, with SiLU and a second source fused."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from gpucore import Buffer, ShapeError, T, f32
from gpustd.flat import float_scalar, launch_flat, width_of
from gpustd.grid import flat_grid
from gpustd.layer_norm import check_affine
from gpustd.rungs import wanted_rung
from gpustd.template import Value, kernel

__all__ = ["group_norm"]

_UNITS_OF_A_GROUP = 16
_LANES = 16
_CPU_RUNS = 16
# The last step takes up to 8 pixels an invocation where as many invocations as these are left.
_MOST_PIXELS = 8
_WORDS_AT_ONCE = {True: 2**10, False: 2**17}


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
    """
    sources = (x,) if second is None else (x, second)
    norm = Norm.of(sources, groups)
    check_affine("group_norm", norm.channels, gamma, beta)
    scalar = float_scalar("group_norm", *sources)
    y = x.device.buffer(x.dtype, (*x.shape[:-1], norm.channels))
    if not y.size:
        return y
    rung = wanted_rung("group_norm") or ("channels_cpu" if x.device.is_cpu else "channels")
    if rung == "naive":
        statistics = norm.plain_statistics(sources, scalar, eps)
    else:
        statistics = norm.merged_statistics(sources, scalar, eps, rung)
    norm.normalise((*sources, statistics, gamma, beta, y), scalar, silu)
    return y


@dataclass(frozen=True)
class Norm:
    """Sizes of one group norm: ``widths`` are the channels of each source."""

    images: int
    pixels: int
    widths: tuple[int, ...]
    groups: int

    @classmethod
    def of(cls, sources: tuple[Buffer[Any], ...], groups: int) -> Norm:
        """Sizes of these sources. Raises `ShapeError`."""
        shape = sources[0].shape
        if len(shape) < 2 or any(s.shape[:-1] != shape[:-1] for s in sources):
            shapes = " and ".join(str(s.shape) for s in sources)
            raise ShapeError(f"group_norm: {shapes}: wants (N, ..., C), alike but for C")
        widths = tuple(s.shape[-1] for s in sources)
        if groups < 1 or sum(widths) % groups:
            raise ShapeError(f"group_norm: {groups} groups do not divide {sum(widths)} channels")
        return cls(shape[0], math.prod(shape[1:-1]), widths, groups)

    @property
    def channels(self) -> int:
        """Of all sources."""
        return sum(self.widths)

    @property
    def size(self) -> int:
        """Channels of a group."""
        return self.channels // self.groups

    def run(self, rung: str) -> int:
        """Pixels of a run: some 64 runs an image, and at most 32 pixels a lane.

        It depends on one image only, so that a batch does not change the order of the sums.
        """
        if rung == "channels_cpu":
            return -(-self.pixels // _CPU_RUNS)
        return _LANES * min(max(self.pixels // (64 * _LANES), 1), 32)

    def plain_statistics(
        self, sources: tuple[Buffer[Any], ...], scalar: str, eps: float
    ) -> Buffer[f32]:
        """Mean and factor (images, groups, 2) by the naive rung."""
        device = sources[0].device
        count = self.images * self.groups
        statistics = device.buffer(f32, (self.images, self.groups, 2))
        sizes = {
            "groups": self.groups,
            "size": self.size,
            "pixels": self.pixels,
            "c1": self.widths[0],
            "c2": sum(self.widths[1:]),
            "eps": eps,
        }
        spec: dict[str, Value] = {"scalar": scalar, "two": len(sources) > 1}
        launch_flat("group_norm/naive.wgsl", spec, (*sources, statistics), count, sizes)
        return statistics

    def merged_statistics(
        self, sources: tuple[Buffer[Any], ...], scalar: str, eps: float, rung: str
    ) -> Buffer[f32]:
        """Mean and factor (images, groups, 2) from moments of channels over runs of pixels."""
        device = sources[0].device
        run = self.run(rung)
        runs = -(-self.pixels // run)
        partials = device.buffer(f32, (self.images, runs, self.channels, 2))
        first = 0
        for source in sources:
            self._partials(source, partials, scalar, rung, (first, runs, run))
            first += source.shape[-1]
        statistics = device.buffer(f32, (self.images, self.groups, 2))
        count = self.images * self.groups
        sizes = {
            "count": count,
            "groups": self.groups,
            "size": self.size,
            "pixels": self.pixels,
            "runs": runs,
            "run": run,
            "eps": eps,
        }
        cpu = rung == "channels_cpu"
        launch = kernel(device, "group_norm/groups.wgsl", cpu=cpu)
        launch(partials, statistics, sizes, grid=flat_grid(count, 8 if cpu else 1))
        return statistics

    def _partials(
        self,
        source: Buffer[Any],
        partials: Buffer[f32],
        scalar: str,
        rung: str,
        place: tuple[int, int, int],
    ) -> None:
        """Moments of one source's channels; ``place``: its first channel, runs, pixels of a run."""
        first, runs, run = place
        width = width_of(source.shape[-1])
        units = source.shape[-1] // width
        if rung == "channels_cpu":
            grid = flat_grid(self.images * runs * units, 16)
        else:
            grid = (runs, -(-units // _UNITS_OF_A_GROUP), self.images)
        sizes = {
            "images": self.images,
            "pixels": self.pixels,
            "units": units,
            "channels": self.channels,
            "first": first,
            "runs": runs,
            "run": run,
        }
        launch = kernel(source.device, f"group_norm/{rung}.wgsl", scalar=scalar, width=width)
        launch(source, partials, sizes, grid=grid)

    def normalise(self, buffers: tuple[Buffer[Any], ...], scalar: str, silu: bool) -> None:
        """Record the last step; ``buffers`` are its sources, statistics, gamma, beta, result."""
        width = width_of(*self.widths)
        spec: dict[str, Value] = {
            "scalar": scalar,
            "width": width,
            "two": len(self.widths) > 1,
            "silu": silu,
            "whole": self.size % width == 0,
        }
        units = self.channels // width
        enough = _WORDS_AT_ONCE[buffers[0].device.is_cpu]
        run = min(max(self.pixels * units // enough, 1), _MOST_PIXELS)
        runs = -(-self.pixels // run)
        sizes = {
            "pixels": self.pixels,
            "units": units,
            "units1": self.widths[0] // width,
            "groups": self.groups,
            "size": self.size,
            "runs": runs,
            "run": run,
        }
        count = self.images * runs * units
        launch_flat("group_norm/normalise.wgsl", spec, buffers, count, sizes)
