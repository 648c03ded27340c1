"""Linear layers of the same input, computed as one matrix product."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from diffusion.models.layers import Activations, Linear
from diffusion.models.low_rank import update_of_rows
from diffusion.models.quantized.factor import Operand
from diffusion.models.weights import Parameter, Weight, WeightGroup
from gpucore import Buffer
from gpustd import QuantizedWeight, concat, gemm, slice_axis

__all__ = ["FusedLinear"]


class FusedLinear(WeightGroup):
    """Linear layers of the same input as one matrix product: results lie side by side.

    ``layers``: in the order of their results. ``offsets``: the first channel of each layer's
    result, and their number. The layers' own weights are released. ``few_rows``: as in `Linear`.
    """

    def __init__(self, layers: Sequence[Linear], *, few_rows: bool = False) -> None:
        weights = [layer.weight.factor for layer in layers]
        biases = [layer.bias.buffer for layer in layers if layer.bias]
        self._few_rows = few_rows
        self.layers = tuple(layers)
        self.offsets = [0]
        for weight in weights:
            self.offsets.append(self.offsets[-1] + weight.shape[1])
        self.weight = Operand.of(_side_by_side(weights))
        self.bias = Weight(concat(biases, axis=0)) if biases else None
        for parameter in self.read_parameters(layers):
            parameter.release()

    @property
    def weights(self) -> list[Weight]:
        """Its weights, made of those of the layers."""
        return [self.weight] if self.bias is None else [self.weight, self.bias]

    @staticmethod
    def read_parameters(layers: Sequence[Linear]) -> list[Parameter]:
        """Return the parameters of layers that are fused."""
        both = [each for layer in layers for each in (layer.weight, layer.bias)]
        return [each for each in both if each]

    def __call__(self, x: Activations) -> Activations:
        """Map (..., inputs) to (..., all outputs)."""
        update = update_of_rows(self)
        weight, bias = self.weight.factor, self.bias.buffer if self.bias else None
        return gemm(x, weight, bias=bias, update=update, few_rows=self._few_rows)

    def of_each(self, inputs: Sequence[Activations]) -> Activations:
        """Map an input (..., inputs) for each layer to all outputs, side by side.

        Layers whose inputs are the same buffer are computed together.
        """
        weight = self.weight.factor
        found: list[Activations] = []
        first = 0
        while first < len(inputs):
            last = first + 1
            while last < len(inputs) and inputs[last] is inputs[first]:
                last += 1
            found.append(self._some(inputs[first], weight, self.offsets[first], self.offsets[last]))
            first = last
        return concat(found, len(found[0].shape) - 1)

    def _some(
        self, x: Activations, weight: Buffer[Any] | QuantizedWeight, first: int, end: int
    ) -> Activations:
        """Return the outputs ``first`` to ``end`` alone; ``weight``: its whole weight."""
        axis = len(x.shape) - 1
        if update_of_rows(self) is not None or isinstance(weight, QuantizedWeight):
            return slice_axis(self(x), axis, first, end)
        bias = slice_axis(self.bias.buffer, 0, first, end) if self.bias else None
        part = slice_axis(weight, 1, first, end)
        return gemm(x, part, bias=bias, few_rows=self._few_rows)


def _side_by_side(
    weights: Sequence[Buffer[Any] | QuantizedWeight],
) -> Buffer[Any] | QuantizedWeight:
    """Return matrices as one; one that is not quantised has all of them expanded."""
    quantized = [weight for weight in weights if isinstance(weight, QuantizedWeight)]
    plain = [weight for weight in weights if isinstance(weight, Buffer)]
    if not plain:
        return QuantizedWeight.join(quantized)
    dtype = plain[0].dtype
    expanded = (w if isinstance(w, Buffer) else w.expand(dtype) for w in weights)
    return concat(list(expanded), axis=1)
