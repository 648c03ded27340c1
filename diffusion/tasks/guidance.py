"""What improves guidance without another network: choices beside the guidance scale."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final, Literal

from diffusion.checks import check_number
from diffusion.errors import SettingsError
from diffusion.tasks.shortcuts import DeepCache, HyperTile, TokenMerging

__all__ = ["FreeU", "GuidanceOptions", "SelfAttentionGuidance", "Thresholding"]

_MOST_SCALE: Final = 100
_MOST_FACTOR: Final = 10
_MOST_SIGMA: Final = 1e6


@dataclass(frozen=True)
class Thresholding:
    """Dynamic thresholding: the range of a high guidance scale becomes that of a lower one.

    The estimate of x0 is made with both scales. Around its mean, that of the high scale is clipped
    and shrunk to the largest distance of the other. (mcmonkeyprojects/sd-dynamic-thresholding; the
    idea is from Saharia et al. 2022, arXiv 2205.11487.)

    Args:
        mimic_scale: the lower scale.
        percentile: 0 to 1, the share of values that are not clipped.
        separate_channels: each channel has a range of its own.
        startpoint: ``mean`` or ``zero``, which the values are scaled around.
        measure: of the range: ``AD``, the largest absolute distance, or ``STD``.
        share: 0 to 1, how much of the result counts beside the plain guidance.
    """

    mimic_scale: float = 7.0
    percentile: float = 1.0
    separate_channels: bool = True
    startpoint: Literal["mean", "zero"] = "mean"
    measure: Literal["AD", "STD"] = "AD"
    share: float = 1.0

    def check(self) -> None:
        """Raise `SettingsError` for the first value that is out of range."""
        check_number("mimic_scale", self.mimic_scale, 0, _MOST_SCALE)
        check_number("mimic_percentile", self.percentile, 0, 1)
        check_number("mimic_share", self.share, 0, 1)
        for name, allowed in (("startpoint", ("mean", "zero")), ("measure", ("AD", "STD"))):
            if getattr(self, name) not in allowed:
                hint = f"must be {' or '.join(allowed)}"
                raise SettingsError(f"mimic_{name}", getattr(self, name), hint)


@dataclass(frozen=True)
class FreeU:
    """Factors of features on the UNet's way up (Si et al. 2023, arXiv 2309.11497).

    ``b1``, ``b2``: of half of the features from below. ``s1``, ``s2``: of the lowest frequencies in
    those of the skip connections. ``version`` 2 weighs ``b1`` and ``b2`` by the mean feature of
    each place, and chooses features by their width, as ComfyUI and Forge do. Version 1 is
    diffusers'.
    """

    b1: float = 1.3
    b2: float = 1.4
    s1: float = 0.9
    s2: float = 0.2
    version: Literal[1, 2] = 2

    def check(self) -> None:
        """Raise `SettingsError` for the first value that is out of range."""
        for name in ("b1", "b2", "s1", "s2"):
            check_number("freeu", getattr(self, name), 0, _MOST_FACTOR)
        if self.version not in (1, 2):
            raise SettingsError("freeu version", self.version, "must be 1 or 2")


@dataclass(frozen=True)
class SelfAttentionGuidance:
    """Away from a picture that is blurred where the UNet looks.

    (Hong et al. 2022, arXiv 2210.00939.)
    ``blur``: deviation of the Gaussian in latents; ``threshold``: places that are looked at more
    than so many times the mean are blurred.
    """

    scale: float = 0.5
    blur: float = 2.0
    threshold: float = 1.0

    def check(self) -> None:
        """Raise `SettingsError` for the first value that is out of range."""
        check_number("sag", self.scale, -_MOST_SCALE, _MOST_SCALE)
        check_number("sag_blur", self.blur, 0.01, _MOST_SCALE)
        check_number("sag_threshold", self.threshold, 0, _MOST_SCALE)


@dataclass(frozen=True)
class GuidanceOptions:
    """Choices about guidance; all are off by default.

    Args:
        rescale: 0 to 1, how far the deviation of the guided output goes back to that of the output
            with the prompt (Lin et al. 2023, arXiv 2305.08891, section 3.4).
        thresholding: see `Thresholding`; not with ``rescale``.
        skip_below: below this sigma every second call leaves the negative prompt out (NGMS).
        skip_all: every call below that sigma does.
        skip_early: 0 to 1, the share of the first calls that leave it out.
        perturbed: scale of perturbed-attention guidance (Ahn et al. 2024, arXiv 2403.17377): away
            from what the UNet draws where its innermost self-attention does nothing.
        freeu: see `FreeU`.
        self_attention: see `SelfAttentionGuidance`.
        merging, tiles, cache: see `TokenMerging`, `HyperTile` and `DeepCache`, which save time.
    """

    rescale: float = 0.0
    thresholding: Thresholding | None = None
    skip_below: float = 0.0
    skip_all: bool = False
    skip_early: float = 0.0
    perturbed: float = 0.0
    freeu: FreeU | None = None
    self_attention: SelfAttentionGuidance | None = None
    merging: TokenMerging | None = None
    tiles: HyperTile | None = None
    cache: DeepCache | None = None

    def check(self) -> None:
        """Raise `SettingsError` for the first value that is out of range."""
        check_number("guidance_rescale", self.rescale, 0, 1)
        check_number("ngms", self.skip_below, 0, _MOST_SIGMA)
        check_number("skip_early", self.skip_early, 0, 1)
        check_number("pag", self.perturbed, 0, _MOST_SCALE)
        parts = (self.thresholding, self.freeu, self.self_attention)
        for part in (*parts, self.merging, self.tiles, self.cache):
            if part is not None:
                part.check()
        if self.tiles is not None and self.merging is not None:
            hint = "must not be given with token merging: both change the same attention"
            raise SettingsError("hypertile", self.tiles.tile, hint)
        if self.cache is not None and (self.self_attention is not None or self.changes_calls):
            hint = "must not be given with SAG or NGMS, which need all of the network"
            raise SettingsError("deep_cache", self.cache.interval, hint)
        if self.rescale and self.thresholding is not None:
            hint = "must not be given with a mimic scale: both change the range of the picture"
            raise SettingsError("guidance_rescale", self.rescale, hint)

    @property
    def for_hires(self) -> GuidanceOptions:
        """The choices of a second pass, which may merge another share of tokens."""
        if self.merging is None or not self.merging.hires:
            return self
        return replace(self, merging=replace(self.merging, ratio=self.merging.hires))

    @property
    def changes_calls(self) -> bool:
        """Tell whether some calls of the network leave the negative prompt out."""
        return self.skip_below > 0 or self.skip_early > 0

    def skips_negative(self, call: int, calls: int, sigma: float) -> bool:
        """Tell whether a call, from 0 of ``calls``, leaves the negative prompt out.

        The rules are the WebUI's.
        """
        if self.skip_early > 0 and call / calls <= self.skip_early:
            return True
        return sigma < self.skip_below and (self.skip_all or call % 2 == 1)
