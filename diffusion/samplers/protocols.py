"""What a sampler is written against: an array type and its linear combinations, a denoiser, noise.

The same sampler runs on float64 arrays in a test and on GPU buffers in a pipeline.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeAlias, TypeVar, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from diffusion.samplers.options import SamplerOptions

__all__ = [
    "Algebra",
    "Denoiser",
    "NoiseSource",
    "NumpyAlgebra",
    "SamplerFunction",
    "SplitDenoiser",
    "Step",
]

A = TypeVar("A")


class Algebra(Protocol[A]):
    """What samplers need of arrays."""

    def combine(self, terms: Sequence[tuple[float, A]]) -> A:
        """A new array: the sum of factor × array over ``terms`` (1 to 5, all of one shape)."""
        ...

    def distance(self, x: A, y: A, before: A, absolute: float, relative: float) -> float:
        """Root mean square of (x - y) / max(absolute, relative·max(|x|, |before|)); waits for it.

        What a sampler that chooses its steps by their error asks (Lu et al. 2022, appendix C).
        """
        ...


Denoiser: TypeAlias = Callable[[A, float], A]
"""``denoise(x, sigma)``: the estimate of x₀ in x = x₀ + sigma·noise."""


@runtime_checkable
class SplitDenoiser(Protocol[A]):
    """A denoiser with guidance that can be asked for both of its parts."""

    def __call__(self, x: A, sigma: float) -> A:
        """The guided estimate of x₀."""
        ...

    def split(self, x: A, sigma: float) -> tuple[A, A]:
        """The guided estimate of x₀, and the one without the prompt."""
        ...


NoiseSource: TypeAlias = Callable[[int], A]
"""``noise(k)``: unit normal noise of x's shape, the same at every call; k is the step's number, or
where a ``BrownianPath`` draws, that of one of its tents (below 2¹⁷)."""


@dataclass(frozen=True)
class Step(Generic[A]):
    """What is known after one step.

    ``index``: of the step, from 0. ``sigma``: the noise level that ``x`` has now, 0 or nearly so
    after the last step. ``denoised``: the picture as the step's first network call saw it.
    """

    index: int
    sigma: float
    x: A
    denoised: A


class SamplerFunction(Protocol):
    """A sampler: walks ``x`` down the falling levels ``sigmas``, one step for each pair."""

    def __call__(
        self,
        denoise: Denoiser[A],
        x: A,
        sigmas: Sequence[float] | NDArray[np.float64],
        algebra: Algebra[A],
        noise: NoiseSource[A],
        options: SamplerOptions,
    ) -> Iterator[Step[A]]: ...


class NumpyAlgebra:
    """Linear combinations of NumPy arrays, in the arrays' own dtype."""

    def combine(self, terms: Sequence[tuple[float, NDArray[Any]]]) -> NDArray[Any]:
        """A new array: the sum of factor × array, from left to right."""
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
        """The distance in float64."""
        wide = np.maximum(np.abs(x), np.abs(before)).astype(np.float64)
        with np.errstate(invalid="ignore"):  # infinity less infinity: the caller sees NaN
            apart = (x.astype(np.float64) - y) / np.maximum(absolute, relative * wide)
        return float(np.sqrt(np.mean(apart * apart)))
