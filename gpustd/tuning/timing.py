"""Timing the tiles of a product on a device, each checked before it is timed.

Every tile runs on the same random numbers. Its result must agree with the naive variant within the
rounding of sums, and with the tiles before it bit for bit.
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
from gpustd.matmul.tiles import Tile
from gpustd.tuning.check import TrialOperands
from gpustd.tuning.lookup import SeenProduct, fits

__all__ = ["Outcome", "Standing", "refusals", "tune_product"]

_TURNS = 10
_LEAST_TURNS = 3
_SAMPLE_S = 0.005
_BUSY_S = 0.1
_MOST_CALLS = 500
_BUDGET_S = 10.0
_HOPELESS = 1.3
_NEAR = 1.02


@dataclass(frozen=True)
class Standing:
    """The quickest tile so far and the seconds of a call; None before any is timed."""

    tile: Tile | None = None
    seconds: float | None = None


@dataclass(frozen=True)
class Outcome:
    """What tuning a product came to.

    ``tile``: the one to take, None where no tile is sound; ``seconds``: of a call with each timed
    tile, likeliest first; ``refused``: why a tile was not timed.
    """

    seen: SeenProduct
    tile: Tile | None
    seconds: dict[Tile, float]
    refused: dict[Tile, str]

    @property
    def gain(self) -> float:
        """How many times as fast as the tile that is taken where no table is."""
        first = self.seconds.get(self.seen.tiles[0])
        return first / self.seconds[self.tile] if first and self.tile else 1.0


def tune_product(
    device: Device, seen: SeenProduct, budget: float = _BUDGET_S
) -> Generator[Standing, None, Outcome]:
    """Check and time every tile that fits the device; yields often, so that a caller may stop it.

    A tile's time is the median of ten captured runs of calls, of some 5 ms or more each; the tiles
    take turns. After three turns those that are 1.3 times as slow as the best drop out, and after
    ``budget`` seconds no turn begins. Among tiles within 2 % of the best the likeliest wins.
    Raises `OutOfMemoryError` where the operands have no room, and `DeviceLostError`.
    """
    trials = [_Trial(tile) for tile in seen.tiles if fits(device, seen.variant, tile)]
    try:
        operands = TrialOperands(device, seen)
        yield from _check(operands, trials)
        sound = [trial for trial in trials if not trial.refused]
        yield from _lengthen(operands, sound)
        sound = [trial for trial in sound if not trial.refused]
        if sound:
            yield from _time(device, sound, budget)
    finally:
        for trial in trials:
            trial.release()
    seconds = {trial.tile: trial.seconds for trial in sound}
    limit = _NEAR * min(seconds.values(), default=0.0)
    chosen = next((tile for tile, taken in seconds.items() if taken <= limit), None)
    return Outcome(seen, chosen, seconds, {t.tile: t.refused for t in trials if t.refused})


def refusals(device: Device, seen: SeenProduct, tiles: Sequence[Tile]) -> dict[Tile, str]:
    """Why tiles are not to be taken, as `tune_product` finds it, the first likeliest; no others."""
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
        self.graph, self.calls = operands.captured(self.tile, calls), calls

    def result(self, operands: TrialOperands) -> NDArray[Any]:
        assert self.graph is not None
        return operands.result(self.graph)

    def sample(self, device: Device) -> float:
        """Seconds of one call, from a run of them."""
        assert self.graph is not None
        start = time.perf_counter()
        self.graph.replay()
        device.synchronize()
        return (time.perf_counter() - start) / self.calls

    def lengthen(self, operands: TrialOperands) -> None:
        """Capture as many calls as fill a sample; a short run's time is mostly that of waiting."""
        for _ in range(2):
            taken = self.calls * min(self.sample(operands.device) for _ in range(2))
            wanted = min(_MOST_CALLS, math.ceil(self.calls * _SAMPLE_S / taken))
            if wanted > self.calls:
                self.capture(operands, wanted)

    def release(self) -> None:
        if self.graph is not None:
            self.graph.release()
            self.graph = None


@contextmanager
def _refusing(trial: _Trial) -> Iterator[None]:
    """What the device refuses inside is the tile's fault; a mistake in the call is not."""
    try:
        yield
    except (ArgumentError, DeviceLostError):
        raise
    except GpuError as error:
        trial.refused = f"{type(error).__name__}: {error}"


def _check(operands: TrialOperands, trials: Sequence[_Trial]) -> Generator[Standing, None, None]:
    """Refuse tiles that do not compile or are wrong; leave runs of the others, to be timed."""
    for trial in trials:  # all begin to compile
        with _refusing(trial):
            trial.capture(operands, 1)
    truth = operands.truth()
    accepted: NDArray[Any] | None = None
    for trial in (each for each in trials if not each.refused):
        yield Standing()
        with _refusing(trial):
            result = trial.result(operands)
            if not operands.agrees(result, truth):
                trial.refused = "its result is wrong"
            elif accepted is not None and not np.array_equal(result, accepted):
                trial.refused = "its result has other bits than those of the tiles before it"
            else:
                accepted = result


def _lengthen(operands: TrialOperands, trials: Sequence[_Trial]) -> Generator[Standing, None, None]:
    """Leave runs that are long enough. All kernels are compiled: meanwhile runs would seem long."""
    for trial in trials:
        yield Standing()
        with _refusing(trial):
            trial.lengthen(operands)


def _time(
    device: Device, trials: Sequence[_Trial], budget: float
) -> Generator[Standing, None, None]:
    """Take samples in turns, from a device that is busy."""
    start = time.perf_counter()
    while time.perf_counter() < start + _BUSY_S:
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
