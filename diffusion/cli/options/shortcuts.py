"""Options about what spares the UNet work: merged tokens, tiles of attention, kept features."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any, TypeVar

from typer import Option

from diffusion.cli.options.groups import OptionGroup
from diffusion.errors import SettingsError
from diffusion.settings import Settings
from diffusion.tasks import DeepCache, HyperTile, TokenMerging

__all__ = ["ShortcutOptions"]

S = TypeVar("S", TokenMerging, HyperTile, DeepCache)


@dataclass(frozen=True)
class ShortcutOptions(OptionGroup, panel="Shortcuts"):
    """Choices that draw a little differently in less time; all are off by default."""

    token_merging: Annotated[
        float | None,
        Option(
            metavar="SHARE",
            help="Let self-attention compute with less tokens: merge this share of similar ones, "
            "0.2 to 0.6. It saves time for large pictures; 0 turns it off.",
            show_default="0",
        ),
    ] = None
    token_merging_hires: Annotated[
        float | None,
        Option(metavar="SHARE", help="In the second pass.", show_default="the same share"),
    ] = None
    token_merging_downsample: Annotated[
        int | None,
        Option(
            help="At levels up to this scale: 2 for SDXL, which has no attention at 1.",
            show_default="1",
        ),
    ] = None
    hypertile: Annotated[
        int | None,
        Option(
            metavar="PIXELS",
            help="Let self-attention compute within tiles of at least so many pixels a side, such "
            "as 256, which saves time for large pictures. 0 turns it off.",
            show_default="0",
        ),
    ] = None
    hypertile_swap: Annotated[
        int | None,
        Option(help="Numbers of tiles that layers take in turn.", show_default="2"),
    ] = None
    hypertile_depth: Annotated[
        int | None,
        Option(help="Levels below the largest that have tiles, too.", show_default="0"),
    ] = None
    deep_cache: Annotated[
        int | None,
        Option(
            metavar="CALLS",
            help="Compute the depth of the UNet in every second, third ... call alone, and keep "
            "its features for those between. 3 halves the time; 0 turns it off.",
            show_default="0",
        ),
    ] = None
    deep_cache_branch: Annotated[
        int | None,
        Option(
            help="Skip connections that are computed in each call beside the outermost one.",
            show_default="0",
        ),
    ] = None

    def change(self, settings: Settings) -> Settings:
        """Return ``settings`` with what was typed. Raises `SettingsError`."""
        old = settings.guidance_options
        merging = {
            "ratio": self.token_merging,
            "hires": self.token_merging_hires,
            "downsample": self.token_merging_downsample,
        }
        tiles = {"tile": self.hypertile, "swap": self.hypertile_swap, "depth": self.hypertile_depth}
        cache = {"interval": self.deep_cache, "branch": self.deep_cache_branch}
        options = replace(
            old,
            merging=_change(TokenMerging, old.merging, merging, "token_merging"),
            tiles=_change(HyperTile, old.tiles, tiles, "hypertile"),
            cache=_change(DeepCache, old.cache, cache, "deep_cache"),
        )
        return replace(settings, guidance_options=options)


def _change(kind: type[S], old: S | None, typed: Mapping[str, float | None], name: str) -> S | None:
    """Return a choice with what was typed; its first value switches it on, and 0 off.

    Raises `SettingsError` for other values of one that is off.
    """
    first, *rest = typed
    if typed[first] == 0:
        return None
    given: dict[str, Any] = {key: value for key, value in typed.items() if value is not None}
    if old is None and typed[first] is None:
        for key in (key for key in rest if key in given):
            raise SettingsError(f"{name}_{key}", given[key], f"needs --{name.replace('_', '-')}")
        return None
    return replace(old if old is not None else kind(), **given)
