"""An autoencoder's two ways, captured for each size of picture."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from diffusion.models.layers import Activations, wrapped_axes
from gpucore import Graph
from gpustd.matmul.conv import Wrap

__all__ = ["VaeGraphs", "Way"]

MOST_KEPT: Final = 4
"""Of an autoencoder, those used last."""
LARGEST_KEPT: Final = 1024 * 1024
"""Pixels of a batch, beyond which a graph's memory is given back at once."""

Way = Callable[[Activations], Activations]
Key = tuple[str, tuple[int, ...], Wrap]


class VaeGraphs:
    """What is kept: graphs share their memory with the denoisers', so that it costs little."""

    def __init__(self) -> None:
        self._kept: dict[Key, _VaeGraph] = {}

    def run(self, name: str, way: Way, x: Activations) -> Activations:
        """``way(x)``; ``name`` tells it from others. It holds until the next call.

        What is recorded for it runs before, what is read of it is read before the next.
        """
        key = name, x.shape, wrapped_axes()
        graph = self._kept.pop(key, None) or _VaeGraph(way, x)
        result = graph(x)
        if max(_pixels(x), _pixels(result)) > LARGEST_KEPT:
            graph.release()
            return result
        self._kept[key] = graph
        while len(self._kept) > MOST_KEPT:
            self._kept.pop(next(iter(self._kept))).release()
        return result

    def release(self) -> None:
        """Give all memory back: call it after the weights change, too."""
        while self._kept:
            self._kept.popitem()[1].release()


class _VaeGraph:
    """One way for images of one shape."""

    def __init__(self, way: Way, x: Activations) -> None:
        self._input: Activations = x.device.buffer(x.dtype, x.shape)
        with x.device.capture() as graph:
            self._output = way(self._input)
        self._graph: Graph = graph

    def __call__(self, x: Activations) -> Activations:
        self._input.copy_from(x)
        self._graph.replay()
        return self._output

    def release(self) -> None:
        self._graph.release()


def _pixels(x: Activations) -> int:
    """Of a batch (B, H, W, C)."""
    return x.shape[0] * x.shape[1] * x.shape[2]
