"""`autotune`: times a kernel for several values of its ``Const`` parameters, and keeps the best.

A candidate that does not compile, or whose results differ from those of the first that does, is
refused. Every candidate runs on copies of the call's arrays. A choice counts for one device and
driver, one set of shapes, and one text of the kernel: in memory, and beside compiled kernels on
disk.
"""

from __future__ import annotations

import functools
import hashlib
import itertools
import math
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpucore.arguments.grids import Grid
from gpucore.buffer import Buffer
from gpucore.device import Device
from gpucore.errors import ArgumentError, DeviceLostError, GpuError, KernelCompileError
from gpucore.kernels.disk_cache import compiler_stamp, load_choice, store_choice
from gpucore.kernels.python_kernel import GpuKernel
from gpucore.recording.graph import Graph

__all__ = ["TunedKernel", "autotune"]

_Values = dict[str, int | float | bool]
_TURNS = 7
_SAMPLE_S = 0.003
_MOST_CALLS = 200


@dataclass
class _Trial:
    """A candidate, the seconds of a call in each sample, and why it is refused."""

    values: _Values
    graph: Graph | None = None
    calls: int = 1
    samples: list[float] = field(default_factory=list)
    error: GpuError | None = None
    refused: str = ""

    def capture(self, device: Device, call: Callable[[], object], calls: int) -> None:
        """Record a run of calls, in place of an earlier one."""
        if self.graph is not None:
            self.graph.release()
        with device.capture() as self.graph:
            for _ in range(calls):
                call()
        self.calls = calls

    def sample(self, device: Device) -> float:
        """Return the seconds of one call, from a run of calls."""
        assert self.graph is not None
        start = time.perf_counter()
        self.graph.replay()
        device.synchronize()
        return (time.perf_counter() - start) / self.calls


class TunedKernel:
    """A kernel made by `autotune`; a call gives all parameters but those that are tuned.

    ``tuned[grid](...)`` gives the number of workgroups; a function of the tuned values may give it.
    ``refused`` tells of the last tuning why candidates were left out, ``seconds`` what the others
    took; both by the candidate's values.

    >>> from gpucore import Array, Const, TunedKernel, autotune, f32, gpu_kernel
    >>> @autotune(factor=[1, 2])
    ... @gpu_kernel
    ... def multiply(x: Array[f32], factor: Const[int]) -> Array[f32]:
    ...     return x * f32(factor)
    >>> isinstance(multiply, TunedKernel)
    True
    """

    def __init__(
        self, kernel: GpuKernel[Any, Any], candidates: Mapping[str, Sequence[Any]], rtol: float
    ) -> None:
        self._kernel = kernel
        self._rtol = rtol
        self._candidates: list[_Values] = [
            dict(zip(candidates, values, strict=True))
            for values in itertools.product(*candidates.values())
        ]
        self._chosen: dict[object, _Values] = {}
        self.refused: dict[tuple[Any, ...], str] = {}
        self.seconds: dict[tuple[Any, ...], float] = {}
        functools.update_wrapper(self, kernel.__wrapped__)

    def __repr__(self) -> str:
        return f"TunedKernel({self._kernel.__name__})"

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        """Record a launch with the best values, which the first call finds.

        Raises what the kernel raises, and `KernelCompileError` where every candidate is refused.
        """
        return self._launch(None, arguments, named)

    def __getitem__(self, grid: Grid | Callable[..., Grid]) -> Callable[..., Any]:
        """Return the kernel with a grid, or a function that gives it for the tuned values."""
        return lambda *arguments, **named: self._launch(grid, arguments, named)

    def values(self, *arguments: Any, **named: Any) -> _Values:
        """Return the best values for a call. Raises as a call does."""
        return dict(self._values(None, arguments, named))

    def _launch(self, grid: Any, arguments: Sequence[Any], named: Mapping[str, Any]) -> Any:
        return self._run(self._values(grid, arguments, named), grid, arguments, named)

    def _run(
        self, values: _Values, grid: Any, arguments: Sequence[Any], named: Mapping[str, Any]
    ) -> Any:
        if grid is None:
            return self._kernel(*arguments, **named, **values)
        groups = grid(**values) if callable(grid) else grid
        return self._kernel[groups](*arguments, **named, **values)

    def _values(self, grid: Any, arguments: Sequence[Any], named: Mapping[str, Any]) -> _Values:
        name = self._kernel.__name__
        given = {**{str(i): each for i, each in enumerate(arguments)}, **named}
        if fixed := sorted(set(named) & set(self._candidates[0])):
            raise ArgumentError(f"kernel {name}: {', '.join(fixed)} is tuned: leave it out")
        buffers = {key: each for key, each in given.items() if isinstance(each, Buffer)}
        if not buffers:
            raise ArgumentError(f"kernel {name} has no arrays, so nothing tells its device")
        device = next(iter(buffers.values())).device
        shapes = tuple((key, b.dtype.name, b.shape) for key, b in sorted(buffers.items()))
        key = (device, self._kernel.version, shapes)
        if key not in self._chosen:
            self._chosen[key] = self._choose(device, repr(shapes), grid, arguments, named)
        return self._chosen[key]

    def _choose(
        self,
        device: Device,
        shapes: str,
        grid: Any,
        arguments: Sequence[Any],
        named: Mapping[str, Any],
    ) -> _Values:
        """Return the values that an earlier process chose, or time all."""
        digest = hashlib.sha256()
        about = (device.name, device.backend, device.driver, shapes, repr(self._candidates))
        for each in (*about, str(self._rtol), compiler_stamp(), self._kernel.key()):
            digest.update(f"{each}\0".encode())
        earlier = load_choice(digest.hexdigest())
        known = next((each for each in self._candidates if each == earlier), None)
        if known is not None:
            return known
        trials = [_Trial(values) for values in self._candidates]
        try:
            self._tune(device, trials, grid, arguments, named)
        finally:
            for trial in trials:
                if trial.graph is not None:
                    trial.graph.release()
        self.refused = {tuple(t.values.values()): t.refused for t in trials if t.refused}
        accepted = [each for each in trials if not each.refused]
        if not accepted:
            raise KernelCompileError(
                f"kernel {self._kernel.__name__}: every candidate is refused: "
                + "; ".join(f"{each.values}: {each.refused}" for each in trials)
            ) from trials[0].error
        taken = {tuple(t.values.values()): statistics.median(t.samples) for t in accepted}
        self.seconds = taken
        best = min(accepted, key=lambda each: taken[tuple(each.values.values())])
        store_choice(digest.hexdigest(), best.values)
        return best.values

    def _tune(
        self,
        device: Device,
        trials: Sequence[_Trial],
        grid: Any,
        arguments: Sequence[Any],
        named: Mapping[str, Any],
    ) -> None:
        """Check every candidate, then time those that are right, in turns."""
        expected: list[NDArray[Any]] | None = None
        for trial in trials:
            run = functools.partial(self._on_copies, trial.values, grid, arguments, named)
            try:
                found = run(device, trial)
            except (ArgumentError, DeviceLostError):
                raise
            except GpuError as error:
                trial.error, trial.refused = error, f"{type(error).__name__}: {error}"
                continue
            if expected is None:
                expected = found
            elif not all(map(self._agree, found, expected)):
                trial.refused = "its results are not those of the first candidate"
        accepted = [each for each in trials if not each.refused]
        for _ in range(_TURNS):
            for trial in accepted:
                trial.samples.append(trial.sample(device))

    def _on_copies(
        self,
        values: _Values,
        grid: Any,
        arguments: Sequence[Any],
        named: Mapping[str, Any],
        device: Device,
        trial: _Trial,
    ) -> list[NDArray[Any]]:
        """Return what a call leaves in copies of its arrays, and capture a run of calls."""
        copies = [_copy(each) for each in arguments]
        by_name = {name: _copy(each) for name, each in named.items()}
        made = self._run(values, grid, copies, by_name)
        arrays = [each for each in (*copies, *by_name.values(), made) if isinstance(each, Buffer)]
        found = [each.read() for each in arrays]
        again = functools.partial(self._run, values, grid, copies, by_name)
        trial.capture(device, again, 1)
        calls = math.ceil(_SAMPLE_S / trial.sample(device))
        trial.capture(device, again, max(1, min(_MOST_CALLS, calls)))
        return found

    def _agree(self, found: NDArray[Any], expected: NDArray[Any]) -> bool:
        """Tell whether results are the same: of floats, within ``rtol`` of the largest."""
        if found.dtype.kind not in "fc":
            return bool(np.array_equal(found, expected))
        size = float(np.max(np.abs(expected), initial=0.0, where=np.isfinite(expected)))
        return bool(np.allclose(found, expected, rtol=0, atol=self._rtol * size, equal_nan=True))


def _copy(value: Any) -> Any:
    if not isinstance(value, Buffer):
        return value
    copy: Buffer[Any] = value.device.buffer(value.dtype, value.shape)
    copy.copy_from(value)
    return copy


def autotune(
    *, rtol: float = 1e-5, **candidates: Sequence[int | float | bool]
) -> Callable[[GpuKernel[Any, Any]], TunedKernel]:
    """Let the first call of a kernel time values of its ``Const`` parameters, and keep the best.

    All combinations of the ``candidates`` are tried. One is refused where it does not compile, or
    where its results differ from the first one's: of floats, by more than ``rtol`` of the largest.
    The choice is kept for the device, the shapes and the kernel's text, on disk too. Raises
    `ArgumentError`.

    >>> from gpucore import Array, Const, f32, autotune, gpu_kernel, static_range
    >>> @autotune(steps=[1, 2, 4])
    ... @gpu_kernel
    ... def power(x: Array[f32], steps: Const[int]) -> Array[f32]:
    ...     for _ in static_range(steps):
    ...         x = x * 1.0
    ...     return x
    """
    for name, values in candidates.items():
        if not values or not all(isinstance(each, (int, float)) for each in values):
            raise ArgumentError(f"autotune: {name} must be a list of numbers, got {values!r}")
    if not candidates:
        raise ArgumentError("autotune: give values of Const parameters, as block=[64, 128, 256]")

    def decorate(kernel: GpuKernel[Any, Any]) -> TunedKernel:
        if not isinstance(kernel, GpuKernel):
            raise ArgumentError(
                f"autotune takes a kernel, got {kernel!r}: put @gpu_kernel below it"
            )
        return TunedKernel(kernel, candidates, rtol)

    return decorate
