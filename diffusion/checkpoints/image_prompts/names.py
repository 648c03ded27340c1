"""Names inside IP-Adapter files, as their authors write them and as diffusers' UNet does.

tencent-ailab/IP-Adapter saves ``image_proj.…`` and ``ip_adapter.N.to_k_ip.weight``. A UNet that
diffusers saved with an adapter has ``encoder_hid_proj.image_projection_layers.0.…`` and
``….attn2.processor.to_k_ip.0.weight`` (its ``loaders/unet.py`` turns the first into the second).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final

from diffusion.checkpoints.parameter_names import NameTable, translate_name

__all__ = ["diffusers_names", "is_diffusers_name"]

_PROJECTION: Final = re.compile(r"^(?:unet\.)?encoder_hid_proj\.image_projection_layers\.(\d+)\.")
_KEYS: Final = re.compile(
    r"^(?:unet\.)?(?P<block>down_blocks|mid_block|up_blocks)\.(?P<place>.+)\."
    r"attn2\.processor\.to_(?P<kind>[kv])_ip\.(?P<number>\d+)\.weight$"
)
_BLOCKS: Final = ("down_blocks", "up_blocks", "mid_block")
"""The order in which an adapter's file numbers them."""

_MOST_DIGITS: Final = 6

_PARTS: Final[NameTable] = (
    (re.compile(r"^image_embeds\."), "proj."),
    (re.compile(r"^ff\.net\.0\.proj\."), "proj.0."),
    (re.compile(r"^ff\.net\.2\."), "proj.2."),
    (re.compile(r"^layers\.(\d+)\.ln0\."), r"layers.\1.0.norm1."),
    (re.compile(r"^layers\.(\d+)\.ln1\."), r"layers.\1.0.norm2."),
    (re.compile(r"^layers\.(\d+)\.attn\.to_out\.0\."), r"layers.\1.0.to_out."),
    (re.compile(r"^layers\.(\d+)\.attn\."), r"layers.\1.0."),
    (re.compile(r"^layers\.(\d+)\.ff\.0\."), r"layers.\1.1.0."),
    (re.compile(r"^layers\.(\d+)\.ff\.1\.net\.0\.proj\."), r"layers.\1.1.1."),
    (re.compile(r"^layers\.(\d+)\.ff\.1\.net\.2\."), r"layers.\1.1.3."),
)


def is_diffusers_name(name: str) -> bool:
    """Tell whether a name is one of an adapter inside a UNet that diffusers saved."""
    return bool(_PROJECTION.match(name) or _KEYS.match(name))


def diffusers_names(names: Iterable[str]) -> Mapping[str, str]:
    """Return the authors' names of those of diffusers; those of anything else are left out.

    A perceiver's keys and values, which diffusers saves apart, keep ``to_k`` and ``to_v``; see
    `StackedWeights`.
    """
    found: dict[str, str] = {}
    places: dict[tuple[int, tuple[int, ...]], list[tuple[str, str]]] = {}
    names = list(names)
    full = any(_PROJECTION.sub("", name).startswith("ff.net.") for name in names)
    for name in names:
        if match := _KEYS.match(name):
            order = (_BLOCKS.index(match["block"]), _numbers(match["place"]))
            places.setdefault(order, []).append((match["kind"], name))
        elif _PROJECTION.match(name):
            part = translate_name(_PROJECTION.sub("", name), _PARTS)
            part = part.replace("norm.", "proj.3.") if full else part
            found[name] = f"image_proj.{part}"
    for index, order in enumerate(sorted(places)):
        for kind, name in places[order]:
            found[name] = f"ip_adapter.{2 * index + 1}.to_{kind}_ip.weight"
    return found


def _numbers(place: str) -> tuple[int, ...]:
    """Return the numbers of a place, by which those of a block are in order."""
    return tuple(int(each[:_MOST_DIGITS]) for each in re.findall(r"\d+", place))
