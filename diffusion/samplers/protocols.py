"""The array operations, denoiser and noise source that samplers are written against.

The same sampler runs on float64 NumPy arrays in a test and on GPU buffers in a pipeline.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, Protocol, TypeAlias, TypeVar, runtime_checkable

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "Algebra",
    "Calls",
    "Denoiser",
    "Estimate",
    "NetworkCall",
    "NoiseSource",
    "NumpyAlgebra",
    "Sigmas",
    "SplitDenoiser",
    "Step",
    "StepsAndCalls",
    "answer",
]

A = TypeVar("A")
R = TypeVar("R")

Sigmas: TypeAlias = Sequence[float] | NDArray[np.float64]
"""Noise levels in the order of sampling, falling."""

Denoiser: TypeAlias = Callable[[A, float], A]
"""``denoise(x, sigma)``: the estimate of x₀ in x = x₀ + sigma·noise."""

NoiseSource: TypeAlias = Callable[[int], A]
"""``noise(k)``: unit normal noise of x's shape, the same at every call with the same number k.

k is the number of the step. A ``BrownianPath`` asks for its own numbers instead, below 2¹⁷.
"""


class Algebra(Protocol[A]):
    """The operations on arrays that samplers need."""

    def combine(self, terms: Sequence[tuple[float, A]]) -> A:
        """Return a new array: the sum of factor × array over 1 to 5 ``terms`` of one shape."""
        ...

    def distance(self, x: A, y: A, before: A, absolute: float, relative: float) -> float:
        """Return the RMS of (x - y) / max(absolute, relative·max(|x|, |before|)).

        Waits for the device. Samplers that choose their steps by their error need it (Lu et al.
        2022, appendix C).
        """
        ...


@runtime_checkable
class SplitDenoiser(Protocol[A]):
    """A denoiser with guidance that also gives the estimate without the prompt."""

    def __call__(self, x: A, sigma: float) -> A:
        """Return the guided estimate of x₀."""
        ...

    def split(self, x: A, sigma: float) -> tuple[A, A]:
        """Return the guided estimate of x₀, and the one without the prompt."""
        ...


@dataclass(frozen=True)
class Step(Generic[A]):
    """The result of one step.

    ``index``: the step's number, from 0. ``sigma``: the noise level of ``x`` after the step; 0 or
    nearly so after the last one. ``denoised``: the estimate of x₀ from the step's first network
    call.
    """

    index: int
    sigma: float
    x: A
    denoised: A


@dataclass(frozen=True, slots=True, eq=False)
class NetworkCall(Generic[A]):
    """A call of the network that a sampler waits for: the estimate of x₀ in ``x`` at ``sigma``.

    ``both``: the estimate without the prompt is needed, too.
    """

    x: A
    sigma: float
    both: bool = False


class Estimate(NamedTuple, Generic[A]):
    """The answer to a `NetworkCall`: the guided estimate of x₀, and the one without the prompt.

    ``unguided`` is None where it was not asked for.
    """

    guided: A
    unguided: A | None = None


Calls: TypeAlias = Generator[NetworkCall[A], Estimate[A] | None, R]
"""A part of a sampler: it yields the calls that it needs, is sent their answers, and returns R."""

StepsAndCalls: TypeAlias = Generator[Step[A] | NetworkCall[A], Estimate[A] | None, None]
"""A sampler at work: it is sent the answer after each call, and None after a step."""


def answer(sampling: StepsAndCalls[A], denoise: Denoiser[A]) -> Iterator[Step[A]]:
    """Yield the steps of a sampler whose calls ``denoise`` answers, one after another."""
    with closing(sampling):
        reply: Estimate[A] | None = None
        while True:
            try:
                found = sampling.send(reply)
            except StopIteration:
                return
            reply = None
            if isinstance(found, Step):
                yield found
            elif found.both and isinstance(denoise, SplitDenoiser):
                reply = Estimate(*denoise.split(found.x, found.sigma))
            else:
                reply = Estimate(denoise(found.x, found.sigma))


class NumpyAlgebra:
    """Linear combinations of NumPy arrays, in the arrays' own dtype."""

    def combine(self, terms: Sequence[tuple[float, NDArray[Any]]]) -> NDArray[Any]:
        """Return a new array: the sum of factor × array, added from left to right."""
        (factor, array), *rest = terms
        total: NDArray[Any] = array * factor
        for factor, array in rest:
            total += array * factor
        return total

    def distance(
        self,
        x: NDArray[Any],
        y: NDArray[Any],
        before: NDArray[Any],
        absolute: float,
        relative: float,
    ) -> float:
        """Return the distance of ``x`` and ``y``, computed in float64."""
        scale = np.maximum(np.abs(x), np.abs(before)).astype(np.float64)
        with np.errstate(invalid="ignore"):  # infinity less infinity: the caller sees NaN
            difference = (x.astype(np.float64) - y) / np.maximum(absolute, relative * scale)
        return float(np.sqrt(np.mean(difference * difference)))
