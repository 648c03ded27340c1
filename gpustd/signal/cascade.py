"""Linear filters as cascades of sections, run in blocks side by side.

The states at a block's end depend linearly on those at its start. So blocks first run from zeros,
which gives the share of their input. The states at all starts follow from those shares and the
matrix of a step over a block, which the host computes in float64. Then blocks run again from there.

Memory sets the least time: x is read twice, and y written. Where a filter grows, steps are short
enough for f32 to hold their matrices. So nothing overflows before the result does.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpucore import Buffer, Device, T, f32
from gpucore.integers import ceil_div
from gpustd.launch.grid import flat_grid
from gpustd.launch.tables import table
from gpustd.launch.template import Value, kernel
from gpustd.launch.variants import forced_tile, forced_variant
from gpustd.signal.arguments import element_type, inner_size, outer_size

__all__ = ["MAX_STATES", "Cascade"]

MAX_STATES = 32
"""States of a cascade that an invocation holds."""

_WORKGROUP = 64
# Samples of a block where a workgroup holds 64 blocks. Long blocks are for many states of f32.
_BLOCK, _LONG_BLOCK, _CPU_BLOCK = 32, 64, 256
# Blocks that one invocation walks in `_step`.
_RUN, _CPU_RUN = 16, 64
# States of a cascade, at most, whose blocks a workgroup adds up (by measurement).
_MAX_TILE_STATES = 4
# A step's matrix has elements of this size at most: then states stay in f32 while results do.
_MAX_GROWTH = 1e26
# Signals that are enough to keep a device busy without blocks.
_MANY, _CPU_MANY = 2**16, 64

Array = NDArray[np.float64]


class Cascade:
    """Filters one behind the other, each of the same order.

    Args:
        numerators: b of each section, (sections, order + 1).
        denominators: a of each section, where a[:, 0] is 1.
    """

    def __init__(self, numerators: Array, denominators: Array) -> None:
        self.b, self.a = numerators, denominators
        self.sections, self.order = len(numerators), numerators.shape[1] - 1
        self._key = (numerators.shape, numerators.tobytes(), denominators.tobytes())

    def run(
        self,
        x: Buffer[T],
        axis: int,
        starts: Buffer[T] | None = None,
        *,
        backward: bool = False,
        return_states: bool = False,
    ) -> tuple[Buffer[T], Buffer[T] | None]:
        """Filter ``x`` along ``axis``; with ``return_states``, also return the states at the end.

        ``starts`` are states (sections, outer, order, inner), zeros if None.
        """
        device, length = x.device, x.shape[axis]
        outer, inner = outer_size(x.shape, axis), inner_size(x.shape, axis)
        block = self._block(x, length, outer * inner, inner)
        blocks = max(1, ceil_div(length, block))
        sizes: dict[str, int | float] = {
            "inner": inner,
            "outer": outer,
            "length": length,
            "block": block,
            "blocks": blocks,
            "backward": int(backward),
        }
        shares: list[Buffer[Any]] = []
        if blocks > 1 and x.size:
            starts, shares = self._starts(x, sizes, starts)
        y = device.buffer(x.dtype, x.shape)
        ends = device.buffer(x.dtype, (self.sections, outer, self.order, inner))
        spec = self._spec(x) | {
            "started": starts is not None,
            "filtered": True,
            "ended": return_states,
        }
        buffers: list[Buffer[Any]] = [x, self._coefficients(x)]
        buffers += [starts] if starts is not None else []
        buffers += shares
        buffers += [y, ends] if return_states else [y]
        self._launch(spec, buffers, sizes)
        return y, ends if return_states else None

    def _launch(
        self, spec: dict[str, Value], buffers: list[Buffer[Any]], sizes: dict[str, int | float]
    ) -> None:
        """Record the run over all blocks, or over all but the last where only states are needed."""
        device, block = buffers[0].device, int(sizes["block"])
        outer, inner, blocks = (int(sizes[name]) for name in ("outer", "inner", "blocks"))
        if self._fits_tiles(buffers[0], sizes):
            groups = outer * ceil_div(blocks, _WORKGROUP)
            spec = spec | {"block": block, "local": self._adds_states(buffers[0], sizes)}
            launch = kernel(device, "signal/filter_tiles.wgsl", **spec)
            launch(*buffers, sizes | {"count": groups}, grid=flat_grid(groups, 1))
            return
        count = outer * (blocks if spec["filtered"] else blocks - 1) * inner
        launch = kernel(device, "signal/filter.wgsl", **spec)
        launch(*buffers, sizes | {"count": count}, grid=flat_grid(count, _WORKGROUP))

    def _fits_tiles(self, x: Buffer[Any], sizes: dict[str, int | float]) -> bool:
        """Tell whether a workgroup takes 64 blocks of a signal."""
        tiled = not x.device.is_cpu and sizes["blocks"] >= _WORKGROUP
        forced = forced_variant("filter") or ("filter_tiles" if tiled else "filter")
        tile_block = self._tile_block(x)
        return forced == "filter_tiles" and sizes["inner"] == 1 and sizes["block"] == tile_block

    def _adds_states(self, x: Buffer[Any], sizes: dict[str, int | float]) -> bool:
        """Tell whether a workgroup adds up the states of its blocks itself."""
        fits = self._has_few_states and self._holds(_BLOCK * _WORKGROUP)
        return self._fits_tiles(x, sizes) and fits and sizes["blocks"] > 1

    def _holds(self, samples: int) -> bool:
        """Tell whether f32 holds the matrix of a step over ``samples``."""
        return _growth(*self._key, samples) < _MAX_GROWTH

    @property
    def _has_few_states(self) -> bool:
        """True if a workgroup can add up its blocks' states."""
        return bool(self.sections * self.order <= _MAX_TILE_STATES)

    def _tile_block(self, x: Buffer[Any]) -> int:
        """Return the samples of a block where a workgroup takes 64 of them."""
        return _BLOCK if self._has_few_states or x.dtype is not f32 else _LONG_BLOCK

    def steady(self) -> Array:
        """Return the states (sections, order) that an input of ones keeps. Raises `LinAlgError`."""
        step, gain = self._system()
        states = np.linalg.solve(np.eye(len(step)) - step, gain)
        return np.asarray(states.reshape(self.sections, self.order))

    def _block(self, x: Buffer[Any], length: int, signals: int, inner: int) -> int:
        """Return the samples of a block for signals of this length and number."""
        forced = forced_tile("filter")
        if isinstance(forced, int):
            return forced
        tile_block = self._tile_block(x)
        many, block = (_CPU_MANY, _CPU_BLOCK) if x.device.is_cpu else (_MANY, _LONG_BLOCK)
        # On a GPU, lanes read neighbouring samples: of other signals, or of one signal through
        # workgroup memory.
        if not x.device.is_cpu and inner == 1 and length >= _WORKGROUP * tile_block:
            block = tile_block
        elif signals >= many:
            return max(length, 1)
        while block > 1 and not self._holds(block):
            block //= 2
        return block

    def _spec(self, x: Buffer[Any]) -> dict[str, Value]:
        """Return the template's variables of the cascade."""
        return {"sections": self.sections, "order": self.order, "scalar": element_type(x)}

    def _coefficients(self, x: Buffer[Any]) -> Buffer[f32]:
        """Return the coefficients on the device."""

        def make() -> Array:
            return np.concatenate([self.b, self.a[:, 1:]], axis=1)

        return table(x.device, f32, ("filter", self._key), make)

    def _starts(
        self, x: Buffer[T], sizes: dict[str, int | float], starts: Buffer[T] | None
    ) -> tuple[Buffer[T], list[Buffer[Any]]]:
        """Return the states at the starts of all blocks, from those at the start of the signals.

        Or return those of all workgroups, and the shares that blocks add to them (see
        ``filter_tiles.wgsl``).
        """
        blocks, outer, inner = (int(sizes[name]) for name in ("blocks", "outer", "inner"))
        samples, local = int(sizes["block"]), self._adds_states(x, sizes)
        shape = (self.sections, blocks, outer, self.order, inner)
        spec = self._spec(x) | {"started": False, "filtered": False, "ended": True}
        if not local:
            ends = x.device.buffer(x.dtype, shape)
            self._launch(spec, [x, self._coefficients(x), ends], sizes)
            return self._scan(ends, starts, samples), []
        shares = x.device.buffer(x.dtype, shape)
        chunks = ceil_div(blocks, _WORKGROUP)
        ends = x.device.buffer(x.dtype, (self.sections, chunks, outer, self.order, inner))
        doubled = self._powers(x, [samples << j for j in range(6)])
        self._launch(spec, [x, self._coefficients(x), doubled, shares, ends], sizes)
        starts = self._scan(ends, starts, samples * _WORKGROUP)
        return starts, [self._powers(x, [samples * k for k in range(_WORKGROUP)]), shares]

    def _powers(self, x: Buffer[Any], counts: list[int]) -> Buffer[f32]:
        """Return the matrices of steps over ``counts`` samples, one behind the other."""

        def make() -> Array:
            return np.stack([self._power(n) for n in counts])

        return table(x.device, f32, ("powers", *counts, self._key), make)

    def _scan(self, ends: Buffer[T], starts: Buffer[T] | None, samples: int) -> Buffer[T]:
        """Return the states at the starts of blocks of ``samples``, from shares at their ends."""
        blocks, run = ends.shape[1], _run(ends.device)
        if blocks <= run or not self._holds(samples * run):
            return self._step(ends, starts, samples, blocks, prefixes=True)
        shares = self._step(ends, None, samples, run, prefixes=False)
        starts = self._scan(shares, starts, samples * run)
        return self._step(ends, starts, samples, run, prefixes=True)

    def _step(
        self, ends: Buffer[T], starts: Buffer[T] | None, samples: int, run: int, *, prefixes: bool
    ) -> Buffer[T]:
        """Return the states at the starts of blocks of ``samples``, from shares at the ends."""
        device = ends.device
        sections, blocks, outer, order, inner = ends.shape
        runs = ceil_div(blocks, run)
        shape = (sections, blocks if prefixes else runs, outer, order, inner)
        y = device.buffer(ends.dtype, shape)
        spec = self._spec(ends) | {"started": starts is not None, "prefixes": prefixes}
        step = table(device, f32, ("step", samples, self._key), lambda: self._power(samples))
        operands = () if starts is None else (starts,)
        count = outer * runs * inner
        sizes: dict[str, int | float] = {
            "count": count,
            "inner": inner,
            "outer": outer,
            "blocks": blocks,
            "run": run,
            "runs": runs,
        }
        launch = kernel(device, "signal/states.wgsl", **spec)
        launch(ends, step, *operands, y, sizes, grid=flat_grid(count, _WORKGROUP))
        return y

    def _power(self, samples: int) -> Array:
        """Return the matrix of a step over ``samples``."""
        return np.linalg.matrix_power(self._system()[0], samples)

    def _system(self) -> tuple[Array, Array]:
        """Return matrix A and vector B of the states' recurrence s' = A s + B x."""
        size = self.sections * self.order
        step = np.stack([self._after(e, 0.0) for e in np.eye(size)], axis=1)
        return step, self._after(np.zeros(size), 1.0)

    def _after(self, states: Array, sample: float) -> Array:
        """Return all states after one sample."""
        after = []
        for s, b, a in zip(states.reshape(self.sections, -1), self.b, self.a, strict=True):
            result = b[0] * sample + s[0]
            after.append(np.append(s[1:], 0.0) + b[1:] * sample - a[1:] * result)
            sample = result
        return np.concatenate(after)


@functools.lru_cache(maxsize=512)
def _growth(shape: tuple[int, ...], numerators: bytes, denominators: bytes, samples: int) -> float:
    """Return the largest element of a step's matrix, infinite or NaN beyond float64.

    It is 0 for coefficients that are not finite. The largest pole would not suffice: n-fold ones
    grow by samples^(n - 1) in addition.
    """
    coefficients = [np.frombuffer(each).reshape(shape) for each in (numerators, denominators)]
    if not np.isfinite(coefficients).all():
        return 0.0
    cascade = Cascade(*coefficients)
    with np.errstate(over="ignore", invalid="ignore"):
        return float(np.abs(cascade._power(samples)).max())


def _run(device: Device) -> int:
    """Return the blocks of a run, which one invocation walks.

    A GPU has many invocations, and each step costs it latency.
    """
    return _CPU_RUN if device.is_cpu else _RUN
