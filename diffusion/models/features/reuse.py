"""A feature of the UNet's depth that later calls reuse (DeepCache: Ma et al. 2023, 2312.00858)."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass

from diffusion.ambient import Ambient
from diffusion.models.layers import Activations
from gpustd import combine_into

__all__ = ["DeepFeature", "current_deep_feature", "deep_feature"]


@dataclass
class DeepFeature:
    """A feature of the way up, read by the layers from ``branch`` on; 0 is the outermost.

    A call of the whole network writes it; one that ``reuses`` it computes those layers alone.
    """

    branch: int
    reuses: bool = False
    value: Activations | None = None

    def pass_on(self, x: Activations) -> Activations:
        """Return the feature: ``x``, which is kept, or the one that was kept before."""
        if self.reuses:
            assert self.value is not None
            return self.value
        if self.value is None:
            self.value = x
        else:
            combine_into(self.value, [(1.0, x)])
        return x


_deep: Ambient[DeepFeature | None] = Ambient("deep_feature", None)


def deep_feature(deep: DeepFeature | None) -> AbstractContextManager[None]:
    """Keep or reuse a feature in UNets that are called inside the context."""
    return _deep.around(deep)


def current_deep_feature() -> DeepFeature | None:
    """Return the `deep_feature` around."""
    return _deep.get()
