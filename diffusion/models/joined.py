"""`Joined`: linear layers of one input as one product, the norm before them folded in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from diffusion.models.layers import Activations, LayerNorm, Linear
from gpucore import Buffer, f16, f32
from gpustd import arrays, cast, concat, gemm, multiply, normalised_gemm

__all__ = ["Joined"]


class Joined:
    """Linear layers of one input as one product: their results stand side by side.

    ``norm``: the input is normalised first. On matrix units the product itself does that: gain and
    offset go into weight and bias. The layers' own weights are given back, and then the norm's.
    """

    def __init__(self, layers: Sequence[Linear], norm: LayerNorm | None = None) -> None:
        weights = [layer.weight.buffer for layer in layers]
        biases = [layer.bias.buffer for layer in layers if layer.bias]
        self.firsts = [0]
        for weight in weights:
            self.firsts.append(self.firsts[-1] + weight.shape[1])
        self._weight = weights[0] if len(weights) == 1 else concat(weights, axis=1)
        self._bias = concat(biases, axis=0) if biases else None
        for layer in layers:
            for parameter in (layer.weight, layer.bias):
                if parameter:
                    parameter.release()
        self._norm = norm
        self._sums: Buffer[f32] | None = None
        if norm and _normalises(self._weight):
            self._fold(norm)

    def __call__(self, x: Activations, *, activation: str | None = None) -> Activations:
        """(..., inputs) to (..., all outputs)."""
        if self._norm and self._sums is not None:
            return normalised_gemm(
                x,
                self._weight,
                self._sums,
                eps=self._norm.eps,
                bias=self._bias,
                activation=activation,
            )
        if self._norm:
            x = self._norm(x)
        return gemm(x, self._weight, bias=self._bias, activation=activation)

    def _fold(self, norm: LayerNorm) -> None:
        """Gain into the weight's rows, and offset, times the weight, into the bias; all in f32."""
        rows = (self._weight.shape[0], 1)
        weight = cast(self._weight, f32)
        shift = arrays.sum(multiply(weight, norm.bias.buffer.view(rows)), axis=0)
        self._bias = shift if self._bias is None else arrays.add(self._bias, shift)
        self._weight = cast(multiply(weight, norm.weight.buffer.view(rows)), self._weight.dtype)
        self._sums = arrays.sum(cast(self._weight, f32), axis=0)
        norm.weight.release()
        norm.bias.release()


def _normalises(weight: Buffer[Any]) -> bool:
    """Whether products with a weight normalise rows without a launch of their own."""
    return weight.dtype is f16 and weight.device.has_matrix_units
