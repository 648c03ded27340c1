"""An exponential moving average of weights, which is exported and judged."""

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn


class WeightAverage:
    """Follows the weights with a time constant of up to 1 / (1 - 0.999) steps."""

    def __init__(self, parameters: Iterable[nn.Parameter], decay: float = 0.999) -> None:
        self._live = list(parameters)
        self._decay = decay
        self.values = [p.detach().clone() for p in self._live]

    def restore(self, values: Sequence[Tensor]) -> None:
        """Restore the averages of an earlier call."""
        for own, old in zip(self.values, values, strict=True):
            own.copy_(old)

    @torch.no_grad()
    def follow(self, step: int) -> None:
        """Take one step; early steps follow faster, so that the start is forgotten."""
        decay = min(self._decay, (step + 1) / (step + 10))
        torch._foreach_lerp_(self.values, [p.detach() for p in self._live], 1 - decay)

    @torch.no_grad()
    def apply(self) -> None:
        """Write the averages into the weights."""
        for live, value in zip(self._live, self.values, strict=True):
            live.copy_(value)
