"""The map of the middle's self-attention: how much each place is looked at."""

from __future__ import annotations

import math
from contextlib import AbstractContextManager
from dataclasses import dataclass

from diffusion.ambient import Ambient
from diffusion.models.layers import Activations
from gpucore import Buffer, f32
from gpustd import arrays, cast, linalg, nn, slice_axis

__all__ = ["AttentionProbe", "attention_probe", "column_sums", "current_probe"]


@dataclass
class AttentionProbe:
    """The place for the map of the first ``images`` rows of a UNet call: ``sums`` (B, H, W, 1)."""

    images: int
    sums: Buffer[f32] | None = None


_probe: Ambient[AttentionProbe | None] = Ambient("probe", None)


def attention_probe(probe: AttentionProbe | None) -> AbstractContextManager[None]:
    """Let UNets that are called inside the context write their map to ``probe``."""
    return _probe.around(probe)


def current_probe() -> AttentionProbe | None:
    """Return the `attention_probe` around."""
    return _probe.get()


def column_sums(projected: Activations, heads: int, images: int) -> Buffer[f32]:
    """Return how much each token of the first images is looked at: (images, S), in f32.

    ``projected`` (B, S, 3 C): queries, keys and values. The sum over all queries is the mean of the
    heads', so that the mean over tokens is 1.
    """
    _, count, width = projected.shape
    width //= 3
    first = cast(slice_axis(projected, 0, 0, images), f32)
    queries, keys = (
        arrays.transpose(
            slice_axis(first, 2, at * width, (at + 1) * width).view(
                (images, count, heads, width // heads)
            ),
            (0, 2, 1, 3),
        )
        for at in (0, 1)
    )
    scores = linalg.matmul(queries, arrays.transpose(keys, (0, 1, 3, 2)))
    shares = nn.softmax(arrays.multiply(scores, 1 / math.sqrt(width // heads)))
    return arrays.mean(arrays.sum(shares, axis=2), axis=1)
