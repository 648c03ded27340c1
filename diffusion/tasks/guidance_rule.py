"""From the rows of a UNet's output to one estimate of x0: guidance and what improves it.

All of it is computed for each image by itself, so that a picture does not depend on its batch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from diffusion.schedules import Scalings
from diffusion.tasks.guidance import GuidanceOptions, Thresholding
from gpucore import Buffer, f32
from gpustd import arrays, cast, concat, guidance, linear_combination, slice_axis

__all__ = ["GuidanceRule", "Latents", "apply_guidance", "first_estimate"]

Latents = Buffer[f32]

_LEAST_RANGE: Final = 1e-12


@dataclass(frozen=True)
class GuidanceRule:
    """The rule that makes one estimate from the rows of a network's output.

    The rows are those of the negative prompt (unless ``scale`` is None), of each part of the
    prompt, and of the perturbed prompt where ``options`` say so: B of each.
    """

    scale: float | None
    weights: tuple[float, ...]
    options: GuidanceOptions

    @property
    def parts(self) -> int:
        """The rows for each image."""
        return (self.scale is not None) + len(self.weights) + self.perturbed

    @property
    def perturbed(self) -> bool:
        """Tell whether a row is that of the perturbed prompt."""
        return self.options.perturbed > 0

    def output(self, rows: Buffer[Any]) -> Latents:
        """Return the guided output (B, h, w, C) of the rows, in f32."""
        guided = rows
        if self.perturbed:
            guided = self._push_from_perturbed(rows)
        elif self.scale is not None:
            guided = apply_guidance(rows, self.scale, self.weights)
        result: Latents = cast(guided, f32)
        if self.options.rescale and self.scale is not None:
            result = _rescale(result, self._part(rows, 1), self.options.rescale)
        return result

    def estimate(
        self, x: Latents, scalings: Scalings, rows: Buffer[Any], output: Latents
    ) -> Latents:
        """Return the estimate of x0; ``output``: what `output` made of the rows."""
        _, skip, out = scalings
        thresholding = self.options.thresholding
        estimate = linear_combination([(skip, x), (out, output)])
        if thresholding is None or self.scale is None:
            return estimate
        mimic = GuidanceRule(
            thresholding.mimic_scale,
            self.weights,
            GuidanceOptions(perturbed=self.options.perturbed),
        ).output(rows)
        other = linear_combination([(skip, x), (out, mimic)])
        return _threshold(estimate, other, thresholding)

    def _part(self, rows: Buffer[Any], part: int) -> Latents:
        """Return the rows of one part in f32."""
        count = rows.shape[0] // self.parts
        result: Latents = cast(slice_axis(rows, 0, part * count, (part + 1) * count), f32)
        return result

    def _push_from_perturbed(self, rows: Buffer[Any]) -> Latents:
        """Return U + scale (C - U) + perturbed (C - P), or C + perturbed (C - P)."""
        strength = self.options.perturbed
        if self.scale is None:
            return linear_combination(
                [(1 + strength, self._part(rows, 0)), (-strength, self._part(rows, 1))]
            )
        return linear_combination(
            [
                (1 - self.scale, self._part(rows, 0)),
                (self.scale + strength, self._part(rows, 1)),
                (-strength, self._part(rows, 2)),
            ]
        )


def first_estimate(x: Latents, scalings: Scalings, rows: Buffer[Any]) -> Latents:
    """Return the estimate of x0 by the first B rows of a network's output."""
    batch = x.shape[0]
    first = rows if rows.shape[0] == batch else slice_axis(rows, 0, 0, batch)
    return linear_combination([(scalings.skip, x), (scalings.out, cast(first, f32))])


def apply_guidance(output: Buffer[Any], scale: float, weights: Sequence[float]) -> Buffer[Any]:
    """Return U + scale · Σ wᵢ·(Cᵢ - U); ``output`` has the rows of U, then of each part's Cᵢ."""
    if tuple(weights) == (1.0,):
        return guidance(output, scale)
    count = output.shape[0] // (1 + len(weights))
    factors = [1.0 - scale * sum(weights), *(scale * weight for weight in weights)]
    total: Buffer[Any] | None = None
    for part, factor in enumerate(factors):
        rows = cast(slice_axis(output, 0, part * count, (part + 1) * count), f32)
        sum_so_far = [] if total is None else [(1.0, total)]
        total = linear_combination([*sum_so_far, (factor, rows)])
    assert total is not None
    return total


def _for_each_image(change: Callable[..., Latents], *images: Latents) -> Latents:
    """Return what ``change`` makes of each image (1, h, w, C) of the batches."""
    count = images[0].shape[0]
    if count == 1:
        return change(*images)
    changed = [change(*(slice_axis(each, 0, i, i + 1) for each in images)) for i in range(count)]
    return concat(changed, 0)


def _rescale(guided: Latents, prompted: Latents, share: float) -> Latents:
    """Return the guided output with a share of the other's deviation."""

    def change(one: Latents, other: Latents) -> Latents:
        ratio = arrays.std(other, ddof=1) / _above_zero(arrays.std(one, ddof=1))
        return one * (ratio * share + (1.0 - share))

    return _for_each_image(change, guided, prompted)


def _threshold(estimate: Latents, mimic: Latents, rule: Thresholding) -> Latents:
    """Return an estimate with the range of another one. See `Thresholding`."""
    axes = (1, 2) if rule.separate_channels else (1, 2, 3)

    def change(high: Latents, low: Latents) -> Latents:
        mean = arrays.mean(high, axis=(1, 2), keepdims=True)
        centred = high - mean
        low_centred = low - arrays.mean(low, axis=(1, 2), keepdims=True)
        if rule.measure == "STD":
            low_range = arrays.std(low_centred, axis=axes, ddof=1, keepdims=True)
            high_range = arrays.std(centred, axis=axes, ddof=1, keepdims=True)
        else:
            low_range = arrays.max(arrays.absolute(low_centred), axis=axes, keepdims=True)
            high_range = _quantile(centred, rule)
        high_range = _above_zero(high_range)
        if rule.startpoint == "zero":
            changed = high * (low_range / high_range)
        elif rule.measure == "STD":
            changed = centred / high_range * low_range + mean
        else:
            largest = arrays.maximum(low_range, high_range)
            clipped = arrays.minimum(arrays.maximum(centred, arrays.negative(largest)), largest)
            changed = clipped / largest * low_range + mean
        if rule.share == 1.0:
            return changed
        return linear_combination([(rule.share, changed), (1.0 - rule.share, high)])

    return _for_each_image(change, estimate, mimic)


def _above_zero(range_of: Latents) -> Latents:
    """Return a range that can be divided by, also where all numbers are equal."""
    return arrays.maximum(range_of, _LEAST_RANGE)


def _quantile(centred: Latents, rule: Thresholding) -> Latents:
    """Return a percentile of the absolute values (1, h, w, C), of each channel or of all.

    Between two values it is interpolated, as NumPy does.
    """
    _, height, width, channels = centred.shape
    distances = arrays.absolute(centred).view((height * width, channels))
    if not rule.separate_channels:
        distances = distances.view((height * width * channels, 1))
    count = distances.shape[0]
    place = rule.percentile * (count - 1)
    below = int(np.floor(place))
    ordered = arrays.sort(distances, axis=0)
    first, last = below, min(below + 1, count - 1)
    values = slice_axis(ordered, 0, first, first + 1), slice_axis(ordered, 0, last, last + 1)
    found = linear_combination([(1.0 - (place - below), values[0]), (place - below, values[1])])
    return found.view((1, 1, 1, distances.shape[1]))
