"""The fields of an infotext about guidance, under the names that the field writes.

======================================  =======================================================
``CFG Rescale φ``                       the WebUI's extension CFG_Rescale_webui
``Dynamic thresholding enabled`` ...    sd-dynamic-thresholding; the percentile is in percent
``NGMS``, ``NGMS all steps``,           the WebUI
``Skip Early CFG``
``pag_enabled``, ``pag_scale``          sd-perturbed-attention
``freeu_enabled``, ``freeu_b1`` ...     Forge
``freeu_version``                       our own, where it is 1
``sag_enabled``, ``sag_scale`` ...      Forge
``Token merging ratio``, ``... hr``     the WebUI; ``... max downsample`` is our own
``Hypertile U-Net`` ...                 the WebUI
``DeepCache interval``, ``... branch``  our own: the extensions write none
======================================  =======================================================
"""

from __future__ import annotations

from typing import Final

from diffusion.infotext.fields import Fields, read_bool, read_float, read_int
from diffusion.tasks import (
    DeepCache,
    FreeU,
    GuidanceOptions,
    HyperTile,
    SelfAttentionGuidance,
    Thresholding,
    TokenMerging,
)

__all__ = ["GUIDANCE_KEYS", "read_guidance", "write_guidance"]

Pairs = dict[str, str | int | float]

_RESCALE: Final = ("CFG Rescale φ", "CFG Rescale phi", "CFG Rescale")
_ENABLED: Final = "Dynamic thresholding enabled"
_MIMIC, _PERCENTILE, _SHARE = "Mimic scale", "Threshold percentile", "Interpolate Phi"
_SEPARATE, _START, _MEASURE = (
    "Separate Feature Channels",
    "Scaling Startpoint",
    "Variability Measure",
)
_BELOW, _ALL, _EARLY = "NGMS", "NGMS all steps", "Skip Early CFG"
_PAG, _PAG_SCALE = "pag_enabled", "pag_scale"
_FREEU, _FREEU_VERSION = "freeu_enabled", "freeu_version"
_FACTORS: Final = ("b1", "b2", "s1", "s2")
_SAG, _SAG_SCALE, _SAG_BLUR = "sag_enabled", "sag_scale", "sag_blur_sigma"
_SAG_THRESHOLD: Final = "sag_threshold"
_MERGING, _MERGING_HIRES = "Token merging ratio", "Token merging ratio hr"
_MERGING_LEVELS: Final = "Token merging max downsample"
_TILES, _TILE, _SWAP, _DEPTH = (
    "Hypertile U-Net",
    "Hypertile U-Net max tile size",
    "Hypertile U-Net swap size",
    "Hypertile U-Net max depth",
)
_INTERVAL, _BRANCH = "DeepCache interval", "DeepCache branch"

GUIDANCE_KEYS: Final = frozenset(
    {
        *_RESCALE,
        *(_ENABLED, _MIMIC, _PERCENTILE, _SHARE, _SEPARATE, _START, _MEASURE),
        *(_BELOW, _ALL, _EARLY, _PAG, _PAG_SCALE, _FREEU, _FREEU_VERSION),
        *(f"freeu_{factor}" for factor in _FACTORS),
        *(_SAG, _SAG_SCALE, _SAG_BLUR, _SAG_THRESHOLD),
        *(_MERGING, _MERGING_HIRES, _MERGING_LEVELS, _TILES, _TILE, _SWAP, _DEPTH),
        *(_INTERVAL, _BRANCH),
    }
)
"""Keys that become settings."""


def write_guidance(options: GuidanceOptions) -> Pairs:
    """Return the fields of choices that are not off."""
    pairs: Pairs = {}
    if options.rescale:
        pairs[_RESCALE[0]] = options.rescale
    if options.thresholding is not None:
        rule = options.thresholding
        pairs |= {
            _ENABLED: "True",
            _MIMIC: rule.mimic_scale,
            _SEPARATE: str(rule.separate_channels),
            _START: rule.startpoint.upper(),
            _MEASURE: rule.measure,
            _SHARE: rule.share,
            _PERCENTILE: round(100 * rule.percentile, 9),
        }
    if options.skip_below:
        pairs[_BELOW] = options.skip_below
        if options.skip_all:
            pairs[_ALL] = "True"
    if options.skip_early:
        pairs[_EARLY] = options.skip_early
    if options.perturbed:
        pairs |= {_PAG: "True", _PAG_SCALE: options.perturbed}
    if options.freeu is not None:
        pairs[_FREEU] = "True"
        pairs |= {f"freeu_{factor}": getattr(options.freeu, factor) for factor in _FACTORS}
        if options.freeu.version != FreeU.version:
            pairs[_FREEU_VERSION] = options.freeu.version
    return pairs | _write_self_attention(options) | _write_shortcuts(options)


def _write_self_attention(options: GuidanceOptions) -> Pairs:
    rule = options.self_attention
    if rule is None:
        return {}
    pairs: Pairs = {_SAG: "True", _SAG_SCALE: rule.scale, _SAG_BLUR: rule.blur}
    if rule.threshold != SelfAttentionGuidance.threshold:
        pairs[_SAG_THRESHOLD] = rule.threshold
    return pairs


def _write_shortcuts(options: GuidanceOptions) -> Pairs:
    pairs: Pairs = {}
    if options.merging is not None:
        pairs[_MERGING] = options.merging.ratio
        if options.merging.hires:
            pairs[_MERGING_HIRES] = options.merging.hires
        if options.merging.downsample != TokenMerging.downsample:
            pairs[_MERGING_LEVELS] = options.merging.downsample
    if options.tiles is not None:
        tiles = options.tiles
        pairs |= {_TILES: "True", _DEPTH: tiles.depth, _TILE: tiles.tile, _SWAP: tiles.swap}
    if options.cache is not None:
        pairs[_INTERVAL] = options.cache.interval
        if options.cache.branch:
            pairs[_BRANCH] = options.cache.branch
    return pairs


def read_guidance(fields: Fields) -> GuidanceOptions:
    """Return the choices of an infotext, unchecked. Raises `SettingsError` for another type."""
    rescales = [fields.get(key, read_float) for key in _RESCALE]
    pag = fields.get(_PAG, read_bool)
    return GuidanceOptions(
        rescale=next((each for each in rescales if each is not None), 0.0),
        thresholding=_read_thresholding(fields),
        skip_below=fields.get(_BELOW, read_float) or 0.0,
        skip_all=fields.get(_ALL, read_bool) or False,
        skip_early=fields.get(_EARLY, read_float) or 0.0,
        perturbed=(fields.get(_PAG_SCALE, read_float) or 0.0) if pag else 0.0,
        freeu=_read_freeu(fields),
        self_attention=_read_self_attention(fields),
        merging=_read_merging(fields),
        tiles=_read_tiles(fields),
        cache=_read_cache(fields),
    )


def _read_self_attention(fields: Fields) -> SelfAttentionGuidance | None:
    if not fields.get(_SAG, read_bool):
        return None
    keys = {"scale": _SAG_SCALE, "blur": _SAG_BLUR, "threshold": _SAG_THRESHOLD}
    found = {name: fields.get(key, read_float) for name, key in keys.items()}
    given = {name: value for name, value in found.items() if value is not None}
    return SelfAttentionGuidance(**given)


def _read_merging(fields: Fields) -> TokenMerging | None:
    ratio, hires = fields.get(_MERGING, read_float), fields.get(_MERGING_HIRES, read_float)
    downsample = fields.get(_MERGING_LEVELS, read_int)
    if not (ratio or hires):
        return None
    levels = TokenMerging.downsample if downsample is None else downsample
    return TokenMerging(ratio or 0.0, hires or 0.0, levels)


def _read_tiles(fields: Fields) -> HyperTile | None:
    if not fields.get(_TILES, read_bool):
        return None
    keys = {"tile": _TILE, "swap": _SWAP, "depth": _DEPTH}
    found = {name: fields.get(key, read_int) for name, key in keys.items()}
    return HyperTile(**{name: value for name, value in found.items() if value is not None})


def _read_cache(fields: Fields) -> DeepCache | None:
    interval = fields.get(_INTERVAL, read_int)
    if interval is None:
        return None
    return DeepCache(interval, fields.get(_BRANCH, read_int) or 0)


def _read_thresholding(fields: Fields) -> Thresholding | None:
    if not fields.get(_ENABLED, read_bool):
        return None
    usual = Thresholding()
    percentile, share = fields.get(_PERCENTILE, read_float), fields.get(_SHARE, read_float)
    mimic, separate = fields.get(_MIMIC, read_float), fields.get(_SEPARATE, read_bool)
    return Thresholding(
        usual.mimic_scale if mimic is None else mimic,
        usual.percentile if percentile is None else round(percentile / 100, 11),
        usual.separate_channels if separate is None else separate,
        "zero" if fields.get(_START, _read_startpoint) == "ZERO" else "mean",
        "STD" if fields.get(_MEASURE, _read_measure) == "STD" else "AD",
        usual.share if share is None else share,
    )


def _read_startpoint(text: str) -> str:
    if text.upper() not in ("MEAN", "ZERO"):
        raise ValueError(text)
    return text.upper()


def _read_measure(text: str) -> str:
    if text.upper() not in ("AD", "STD"):
        raise ValueError(text)
    return text.upper()


def _read_freeu(fields: Fields) -> FreeU | None:
    if not fields.get(_FREEU, read_bool):
        return None
    factors = {factor: fields.get(f"freeu_{factor}", read_float) for factor in _FACTORS}
    given = {factor: value for factor, value in factors.items() if value is not None}
    version = fields.get(_FREEU_VERSION, _read_version) or FreeU.version
    return FreeU(**given, version=1 if version == 1 else 2)


def _read_version(text: str) -> int:
    version = read_int(text)
    if version not in (1, 2):
        raise ValueError(text)
    return version
