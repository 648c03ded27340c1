"""Captured networks that wait for the next input of their kind."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from typing import Generic, Protocol, TypeVar

from diffusion.models.layers import Activations, Part
from gpucore import Graph

__all__ = ["CapturedFunction", "CapturedNetwork", "GraphCache"]


class CapturedNetwork(Protocol):
    """A network that is captured as a graph for inputs of one shape."""

    @property
    def size(self) -> int:
        """Pixels or tokens of a batch: what the graph's memory grows with."""
        ...

    def release(self) -> None:
        """Give the graph's memory back."""
        ...


class CapturedFunction:
    """A function of images (B, H, W, C), captured for inputs of one shape."""

    def __init__(self, function: Part, x: Activations) -> None:
        self._input: Activations = x.device.buffer(x.dtype, x.shape)
        with x.device.capture() as graph:
            self._output = function(self._input)
        self._graph: Graph = graph

    @property
    def size(self) -> int:
        """Pixels of a batch of images: the larger of input and output."""
        shapes = self._input.shape, self._output.shape
        return max(batch * height * width for batch, height, width, _ in shapes)

    def __call__(self, x: Activations) -> Activations:
        """Return the function's result; it holds until the next call."""
        self._input.copy_from(x)
        self._graph.replay()
        return self._output

    def release(self) -> None:
        """Give the graph's memory back."""
        self._graph.release()


G = TypeVar("G", bound=CapturedNetwork)


class GraphCache(Generic[G]):
    """Captured networks by key, and the one rule by which they are released.

    ``most``: idle ones that are kept; beyond it, the one used longest ago is released.
    ``largest``: the size beyond which one is released as soon as it is idle.

    A network is taken out while it is lent, so that two runs whose steps alternate never share one.
    The cache refers to it meanwhile. A forgotten run may be garbage in a cycle: then the collector
    ends the run's buffers before the run gives its network back, but none that the cache refers to.
    """

    def __init__(self, most: int, largest: float = math.inf) -> None:
        self.most = most
        self.largest = largest
        self._idle: dict[Hashable, G] = {}
        self._lent: set[G] = set()

    @contextmanager
    def lend(self, key: Hashable, capture: Callable[[], G]) -> Iterator[G]:
        """Lend the network of ``key``, captured now if none is idle; take it back at the end."""
        network = self._idle.pop(key, None) or capture()
        self._lent.add(network)
        try:
            yield network
        finally:
            self._lent.discard(network)
            self._keep(key, network)

    def _keep(self, key: Hashable, network: G) -> None:
        """Keep a network as the one used last, if the rule allows."""
        if key in self._idle or network.size > self.largest:
            network.release()
            return
        self._idle[key] = network
        while len(self._idle) > self.most:
            self._idle.pop(next(iter(self._idle))).release()

    def release(self) -> None:
        """Release all idle networks. Call it after weights change: graphs may hold results."""
        while self._idle:
            self._idle.popitem()[1].release()
