"""A request's choices about guidance, and about what spares the UNet work."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from diffusion.server.jobs.fields import Finite, Part
from diffusion.tasks import (
    DeepCache,
    FreeU,
    GuidanceOptions,
    HyperTile,
    SelfAttentionGuidance,
    Thresholding,
    TokenMerging,
)

__all__ = [
    "DeepCacheRequest",
    "FreeURequest",
    "GuidanceRequest",
    "HyperTileRequest",
    "SelfAttentionRequest",
    "ThresholdingRequest",
    "TokenMergingRequest",
]


class ThresholdingRequest(Part):
    """The range of a lower guidance scale; fields as in `diffusion.tasks.Thresholding`."""

    mimic_scale: Finite = 7.0
    percentile: Finite = 1.0
    separate_channels: bool = True
    startpoint: Literal["mean", "zero"] = "mean"
    measure: Literal["AD", "STD"] = "AD"
    share: Finite = 1.0


class FreeURequest(Part):
    """Factors of features on the UNet's way up; fields as in `diffusion.tasks.FreeU`."""

    b1: Finite = 1.3
    b2: Finite = 1.4
    s1: Finite = 0.9
    s2: Finite = 0.2
    version: Literal[1, 2] = 2


class SelfAttentionRequest(Part):
    """Self-attention guidance; fields as in `diffusion.tasks.SelfAttentionGuidance`."""

    scale: Finite = 0.5
    blur: Finite = 2.0
    threshold: Finite = 1.0


class TokenMergingRequest(Part):
    """Merging of similar tokens; fields as in `diffusion.tasks.TokenMerging`."""

    ratio: Finite = 0.5
    hires: Finite = 0.0
    downsample: int = 1


class HyperTileRequest(Part):
    """Self-attention within tiles; fields as in `diffusion.tasks.HyperTile`."""

    tile: int = 256
    swap: int = 2
    depth: int = 0


class DeepCacheRequest(Part):
    """Features that are kept for some calls; fields as in `diffusion.tasks.DeepCache`."""

    interval: int = 3
    branch: int = 0


class GuidanceRequest(Part):
    """Choices about guidance; fields as in `diffusion.tasks.GuidanceOptions`."""

    rescale: Finite = 0.0
    thresholding: ThresholdingRequest | None = None
    skip_below: Finite = 0.0
    skip_all: bool = False
    skip_early: Finite = 0.0
    perturbed: Finite = 0.0
    freeu: FreeURequest | None = None
    self_attention: SelfAttentionRequest | None = None
    merging: TokenMergingRequest | None = None
    tiles: HyperTileRequest | None = None
    cache: DeepCacheRequest | None = None

    def task(self) -> GuidanceOptions:
        """Return it as the pipeline knows it."""
        kinds: dict[str, Callable[..., object]] = {
            "thresholding": Thresholding,
            "freeu": FreeU,
            "self_attention": SelfAttentionGuidance,
            "merging": TokenMerging,
            "tiles": HyperTile,
            "cache": DeepCache,
        }
        given = self.model_dump()
        parts = {name: given[name] and kind(**given[name]) for name, kind in kinds.items()}
        return GuidanceOptions(**{**given, **parts})
