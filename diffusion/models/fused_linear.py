"""Linear layers of the same input, computed as one matrix product."""

from __future__ import annotations

from collections.abc import Sequence

from diffusion.models.layers import Activations, Linear
from diffusion.models.low_rank import update_of_rows
from diffusion.models.module import Parameter
from gpustd import concat, gemm

__all__ = ["FusedLinear"]


class FusedLinear:
    """Linear layers of the same input as one matrix product: results lie side by side.

    ``layers``: in the order of their results. ``offsets``: the first channel of each layer's
    result, and their number. The layers' own weights are released. ``few_rows``: as in `Linear`.
    """

    def __init__(self, layers: Sequence[Linear], *, few_rows: bool = False) -> None:
        weights = [layer.weight.buffer for layer in layers]
        biases = [layer.bias.buffer for layer in layers if layer.bias]
        self._few_rows = few_rows
        self.layers = tuple(layers)
        self.offsets = [0]
        for weight in weights:
            self.offsets.append(self.offsets[-1] + weight.shape[1])
        self._weight = concat(weights, axis=1)
        self._bias = concat(biases, axis=0) if biases else None
        for parameter in self.read_parameters(layers):
            parameter.release()

    @property
    def weight(self) -> Activations:
        """The weights on the device, side by side."""
        return self._weight

    def replace_weight(self, weight: Activations) -> None:
        """Take other weights, of the same shape."""
        self._weight = weight

    @staticmethod
    def read_parameters(layers: Sequence[Linear]) -> list[Parameter]:
        """Return the parameters of layers that are fused."""
        both = [each for layer in layers for each in (layer.weight, layer.bias)]
        return [each for each in both if each]

    def __call__(self, x: Activations) -> Activations:
        """Map (..., inputs) to (..., all outputs)."""
        addend = update_of_rows(self, x)
        return gemm(x, self._weight, bias=self._bias, addend=addend, few_rows=self._few_rows)
