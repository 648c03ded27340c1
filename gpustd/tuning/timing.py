"""Timing the tiles of a matrix product on a device, each checked before it is timed.

Every tile runs on the same random numbers. Its result must agree with the naive variant's within
the rounding of sums, and must have the same bits as those of the tiles before it.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpucore import ArgumentError, Device, DeviceLostError, GpuError, Graph
from gpustd.matmul.tiles import Tile, fits
from gpustd.matmul.tuned_tiles import SeenMatmul
from gpustd.tuning.check import TrialOperands

__all__ = ["Outcome", "Standing", "refusals", "tune_matmul"]

_TURNS = 10
_LEAST_TURNS = 3
_SAMPLE_S = 0.005
_WARM_UP_S = 0.1
_MOST_CALLS = 500
_BUDGET_S = 10.0
# A tile so many times as slow as the best drops out, and one so near to it counts as equal.
_HOPELESS = 1.3
_NEARLY_EQUAL = 1.02


@dataclass(frozen=True)
class Standing:
    """The quickest tile so far and the seconds of a call; None before any is timed."""

    tile: Tile | None = None
    seconds: float | None = None


@dataclass(frozen=True)
class Outcome:
    """The result of tuning a matrix product.

    ``tile`` is the one to take, None where every tile was refused. ``seconds`` are those of a call
    with each timed tile, the likely quickest first. ``refused`` tells why a tile was not timed.
    """

    seen: SeenMatmul
    tile: Tile | None
    seconds: dict[Tile, float]
    refused: dict[Tile, str]

    @property
    def gain(self) -> float:
        """Speed relative to the tile that is taken without a table."""
        default = self.seconds.get(self.seen.tiles[0])
        return default / self.seconds[self.tile] if default and self.tile else 1.0


def tune_matmul(
    device: Device, seen: SeenMatmul, budget: float = _BUDGET_S
) -> Generator[Standing, None, Outcome]:
    """Check and time every tile that fits the device, and yield often, so that it can be stopped.

    A tile's time is the median of ten captured runs of calls, of at least some 5 ms each. The tiles
    take turns. After three turns tiles that are 1.3 times as slow as the best drop out, and after
    ``budget`` seconds no turn begins. Among tiles within 2 % of the best, the likely quickest wins.
    Raises `OutOfMemoryError` where the operands have no room, and `DeviceLostError`.
    """
    trials = [_Trial(tile) for tile in seen.tiles if fits(device, seen.variant, tile)]
    try:
        operands = TrialOperands(device, seen)
        yield from _check(operands, trials)
        accepted = [trial for trial in trials if not trial.refused]
        yield from _lengthen(operands, accepted)
        accepted = [trial for trial in accepted if not trial.refused]
        if accepted:
            yield from _time(device, accepted, budget)
    finally:
        for trial in trials:
            trial.release()
    seconds = {trial.tile: trial.seconds for trial in accepted}
    limit = _NEARLY_EQUAL * min(seconds.values(), default=0.0)
    chosen = next((tile for tile, taken in seconds.items() if taken <= limit), None)
    return Outcome(seen, chosen, seconds, {t.tile: t.refused for t in trials if t.refused})


def refusals(device: Device, seen: SeenMatmul, tiles: Sequence[Tile]) -> dict[Tile, str]:
    """Return why some tiles must not be taken, as `tune_matmul` checks them.

    Their bits must be those of the first one that is right.
    """
    trials = [_Trial(tile) for tile in tiles]
    try:
        for _ in _check(TrialOperands(device, seen), trials):
            pass
    finally:
        for trial in trials:
            trial.release()
    return {trial.tile: trial.refused for trial in trials if trial.refused}


@dataclass(eq=False)
class _Trial:
    """A tile, its captured run, the seconds of a call in each sample, and why it is refused."""

    tile: Tile
    graph: Graph | None = None
    calls: int = 1
    samples: list[float] = field(default_factory=list)
    refused: str = ""

    @property
    def seconds(self) -> float:
        return statistics.median(self.samples)

    def capture(self, operands: TrialOperands, calls: int) -> None:
        self.release()
        self.graph, self.calls = operands.captured_calls(self.tile, calls), calls

    def result(self, operands: TrialOperands) -> NDArray[Any]:
        assert self.graph is not None
        return operands.result(self.graph)

    def sample(self, device: Device) -> float:
        """Return the seconds of one call, from a run of calls."""
        assert self.graph is not None
        start = time.perf_counter()
        self.graph.replay()
        device.synchronize()
        return (time.perf_counter() - start) / self.calls

    def lengthen(self, operands: TrialOperands) -> None:
        """Capture as many calls as fill a sample. A short run's time is mostly that of waiting."""
        for _ in range(2):
            taken = self.calls * min(self.sample(operands.device) for _ in range(2))
            calls = min(_MOST_CALLS, math.ceil(self.calls * _SAMPLE_S / taken))
            if calls > self.calls:
                self.capture(operands, calls)

    def release(self) -> None:
        if self.graph is not None:
            self.graph.release()
            self.graph = None


@contextmanager
def _refusing(trial: _Trial) -> Iterator[None]:
    """Refuse the tile for an error of the device, but not for a mistake in the call."""
    try:
        yield
    except (ArgumentError, DeviceLostError):
        raise
    except GpuError as error:
        trial.refused = f"{type(error).__name__}: {error}"


def _check(operands: TrialOperands, trials: Sequence[_Trial]) -> Generator[Standing, None, None]:
    """Refuse tiles that do not compile or are wrong. Capture runs of the others, to be timed."""
    for trial in trials:  # all begin to compile before the first is waited for
        with _refusing(trial):
            trial.capture(operands, 1)
    expected = operands.expected_result()
    first: NDArray[Any] | None = None
    for trial in (each for each in trials if not each.refused):
        yield Standing()
        with _refusing(trial):
            result = trial.result(operands)
            if not operands.agrees(result, expected):
                trial.refused = "its result is wrong"
            elif first is not None and not np.array_equal(result, first):
                trial.refused = "its result has other bits than those of the tiles before it"
            else:
                first = result


def _lengthen(operands: TrialOperands, trials: Sequence[_Trial]) -> Generator[Standing, None, None]:
    """Make the captured runs long enough. All kernels are compiled by now, so runs are quick."""
    for trial in trials:
        yield Standing()
        with _refusing(trial):
            trial.lengthen(operands)


def _time(
    device: Device, trials: Sequence[_Trial], budget: float
) -> Generator[Standing, None, None]:
    """Take samples in turns, after the device was busy for a while."""
    start = time.perf_counter()
    while time.perf_counter() < start + _WARM_UP_S:
        trials[0].sample(device)
    running = trials
    for turn in range(_TURNS):
        if turn >= _LEAST_TURNS and time.perf_counter() > start + budget:
            break
        for trial in running:
            trial.samples.append(trial.sample(device))
        best = min(running, key=lambda trial: trial.seconds)
        if turn + 1 == _LEAST_TURNS:
            running = [trial for trial in running if trial.seconds <= _HOPELESS * best.seconds]
        yield Standing(best.tile, best.seconds)
