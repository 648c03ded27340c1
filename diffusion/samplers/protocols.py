"""What a sampler is written against: an array type and its linear combinations, a denoiser, noise.

The same sampler runs on float64 arrays in a test and on GPU buffers in a pipeline.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from diffusion.samplers.options import SamplerOptions

__all__ = [
    "Algebra",
    "Denoiser",
    "NoiseSource",
    "NumpyAlgebra",
    "SamplerFunction",
    "Step",
]

A = TypeVar("A")


class Algebra(Protocol[A]):
    """The one operation that samplers need of arrays."""

    def combine(self, terms: Sequence[tuple[float, A]]) -> A:
        """A new array: the sum of factor × array over ``terms`` (1 to 5, all of one shape)."""
        ...


Denoiser: TypeAlias = Callable[[A, float], A]
"""``denoise(x, sigma)``: the estimate of x₀ in x = x₀ + sigma·noise."""

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
