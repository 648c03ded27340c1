"""The calls of the UNet that runs make, and who answers them."""

from __future__ import annotations

from collections.abc import Callable, Generator, Hashable
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from diffusion.adapters.rank_slots import ChosenSet
from diffusion.models.graph_cache import GraphCache
from diffusion.pipeline.networks import Networks
from diffusion.samplers import Estimate
from diffusion.tasks.guidance_rule import Latents
from diffusion.text.conditioning import Conditioning
from gpucore import GpuError

__all__ = [
    "Calls",
    "LatentsEstimate",
    "Reading",
    "UNetCall",
    "WithCalls",
    "answer_alone",
    "ask_driver",
]

E = TypeVar("E")
R = TypeVar("R")
Y = TypeVar("Y")

LatentsEstimate: TypeAlias = Estimate[Latents]


@dataclass(frozen=True, eq=False)
class UNetCall:
    """A call of the UNet that a run waits for: the estimate of x0 in ``x`` at ``sigma``.

    ``x``: latents (B, h, w, C) in f32. ``conditioning``: of one image, with the negative prompt's
    row first unless ``scale`` is None; ``weights`` of its other rows, as in `GuidedDenoiser`. It is
    the same object for as long as the texts are the same. ``mask_channels`` (B, h, w, channels): of
    an inpainting network. ``both``: the estimate without the prompt is needed, too.

    Whoever drives the run makes it by `answer`, or together with those of other runs, and sends the
    estimate. ``shared``: the cache for the networks that do so, released when weights change.
    ``traits``: what else these depend on; calls with other traits are never made together.
    ``alone``: it is made by `answer` only, since other networks or rules of guidance count in it.
    ``number``: of the pass's calls, from 0. ``loras``: the adapters beside the layers, of a run
    that has any.
    """

    networks: Networks
    x: Latents
    sigma: float
    both: bool
    conditioning: Conditioning
    scale: float | None
    weights: tuple[float, ...]
    mask_channels: NDArray[np.float32] | None
    traits: Hashable
    shared: GraphCache[Any]
    alone: bool
    number: int
    loras: ChosenSet | None
    _make: Callable[[UNetCall], LatentsEstimate] = field(repr=False)

    def answer(self) -> LatentsEstimate:
        """Make the call alone, with the run's own captured network."""
        return self._make(self)


class Reading:
    """A moment at which a run would wait for the device; it may have other work first."""


Driven: TypeAlias = Generator[Y, LatentsEstimate | None, None]
"""A run, by all that it yields: `WithCalls` with its calls."""

WithCalls: TypeAlias = Generator[E | UNetCall, LatentsEstimate | None, None]
"""A run whose driver makes the calls: it is sent the estimate after each, and None otherwise."""

Calls: TypeAlias = Generator[UNetCall, LatentsEstimate | None, R]
"""A part of a driver that yields calls to a driver of its own, and returns R."""


def ask_driver(call: UNetCall, run: Driven[Y]) -> Calls[Callable[[], Y]]:
    """Yield a call of a run to one's own driver; return what lets the run go on with the answer.

    Where the driver throws an error, the run gets it, to say what to do or to begin once more.
    """
    try:
        estimate = yield call
    except GpuError as error:
        return partial(run.throw, error)
    assert estimate is not None
    return partial(run.send, estimate)


def answer_alone(run: WithCalls[E | Reading]) -> Generator[E]:
    """Yield what a run yields, and make its calls alone."""
    with closing(run):
        go_on: Callable[[], E | Reading | UNetCall] = partial(next, run)
        while True:
            try:
                found = go_on()
            except StopIteration:
                return
            go_on = partial(next, run)
            if isinstance(found, UNetCall):
                go_on = _answer_call(found, run)
            elif not isinstance(found, Reading):
                yield found


def _answer_call(call: UNetCall, run: Driven[Y]) -> Callable[[], Y]:
    """Make a call; return what lets its run go on, with the estimate or the error."""
    try:
        return partial(run.send, call.answer())
    except GpuError as error:
        return partial(run.throw, error)
