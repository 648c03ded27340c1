"""Merging of similar tokens (Bolya and Hoffman 2023, arXiv 2303.17604).

One token of each square of 2 x 2, the upper left one, is a destination. Each other token goes to
the destination that is most similar. The most similar pairs are merged into their mean; afterwards
each place takes what its token became. All of it stays on the device.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from diffusion.models.layers import Activations
from gpucore import Buffer, Device, i32
from gpustd import arrays, concat, embedding, linalg, nn, slice_axis

__all__ = ["MergePlan", "Merging"]

Places = NDArray[np.int32]
Indices = Buffer[i32]


class Merging(NamedTuple):
    """Merged tokens (B, M, C), and for each place (B, N) the row that it takes, of all B M."""

    tokens: Activations
    places: Indices

    def split(self, attended: Activations) -> Activations:
        """Return what attention made of the merged tokens at each place: (B, N, C)."""
        batch, count, width = attended.shape
        return embedding(self.places, attended.view((batch * count, width)))


@dataclass(frozen=True)
class MergePlan:
    """The numbers that merging of images of one size needs on the device; made before a capture.

    ``kept``, ``others``: rows (B, K) and (B, N - K) of destinations and of all other tokens among
    those of all images. ``gone``: how many of the others are merged. ``others_alone``: their places
    in one image; ``fixed`` (B, K): the destinations' places after all that stays; ``back`` (N):
    where each token stands behind the others and the destinations.
    """

    gone: int
    kept: Indices
    others: Indices
    others_alone: Indices
    fixed: Indices
    back: Indices
    token_offsets: Indices
    kept_offsets: Indices
    merged_offsets: Indices

    @classmethod
    def make(
        cls, device: Device, batch: int, size: tuple[int, int], ratio: float
    ) -> MergePlan | None:
        """Return the plan for images of ``size`` (height, width); None where none can be merged."""
        height, width = size
        count = height * width
        grid = np.arange(count, dtype=np.int32).reshape(height, width)
        kept = grid[: height // 2 * 2 : 2, : width // 2 * 2 : 2].reshape(-1)
        others = np.setdiff1d(grid, kept).astype(np.int32)
        gone = min(len(others), int(count * ratio))
        if gone == 0 or not len(kept):
            return None
        left = len(others) - gone

        def upload(numbers: NDArray[np.integer]) -> Indices:
            return device.buffer_from_array(np.ascontiguousarray(numbers, np.int32), i32)

        def offsets(step: int) -> Places:
            return (step * np.arange(batch, dtype=np.int32))[:, None]

        return cls(
            gone,
            upload(kept + offsets(count)),
            upload(others + offsets(count)),
            upload(others),
            upload(left + np.arange(len(kept)) + offsets(0)),
            upload(np.argsort(np.concatenate([others, kept]))),
            upload(offsets(count)),
            upload(offsets(len(kept))),
            upload(offsets(left + len(kept))),
        )

    def merge(self, similar: Activations, tokens: Activations) -> Merging:
        """Merge tokens (B, N, C), which are compared by ``similar`` (B, N, C)."""
        batch, count, width = tokens.shape
        left, gone = self.others.shape[1] - self.gone, self.gone
        metric = nn.normalize(similar).view((batch * count, width))
        sources, targets = (embedding(each, metric) for each in (self.others, self.kept))
        scores = linalg.matmul(sources, arrays.transpose(targets, (0, 2, 1)))
        nearest = arrays.argmax(scores, axis=2)
        order = arrays.argsort(arrays.max(scores, axis=2), axis=1, descending=True)
        rank = arrays.argsort(order, axis=1)
        rows = tokens.view((batch * count, width))
        order_rows = arrays.add(arrays.take(self.others_alone, order), self.token_offsets)
        goes = embedding(slice_axis(order_rows, 1, 0, gone), rows)
        first = slice_axis(order, 1, 0, gone)
        chosen = arrays.add(arrays.take_along_axis(nearest, first, 1), self.kept_offsets)
        merged = _mean_into(embedding(self.kept, rows), goes, chosen)
        parts = [merged]
        if left:
            parts.insert(0, embedding(slice_axis(order_rows, 1, gone, gone + left), rows))
        place = arrays.where(
            arrays.less(rank, gone), arrays.add(nearest, left), arrays.subtract(rank, gone)
        )
        places = arrays.take(concat([place, self.fixed], 1), self.back, axis=1)
        return Merging(concat(parts, 1), arrays.add(places, self.merged_offsets))


def _mean_into(targets: Activations, goes: Activations, chosen: Indices) -> Activations:
    """Return targets (B, D, C), each the mean of itself and of what goes there (B, G, C)."""
    batch, kept, width = targets.shape
    flat, index = targets.view((batch * kept, width)), chosen.view((chosen.size,))
    total = arrays.scatter_add(flat, index, goes.view((index.size, width)), 0)
    device, dtype = targets.device, targets.dtype
    ones = [arrays.ones(device, (rows, 1), dtype) for rows in (batch * kept, index.size)]
    number = arrays.scatter_add(ones[0], index, ones[1], 0)
    return arrays.divide(total, number).view(targets.shape)
