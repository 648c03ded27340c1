"""The names of an upscaler's parameters, as ESRGAN, BSRGAN and Real-ESRGAN write them.

ESRGAN's first files number the layers of one sequence: ``model.0`` is the first convolution,
``model.1`` the blocks, then come the doublings, and the last two stand at the end.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from itertools import count
from typing import Final

from diffusion.checkpoints.weights import ParameterSource

__all__ = ["rrdb_sources", "without_wrapper"]

_WRAPPERS: Final = ("params_ema.", "params.", "module.")
"""What training code puts in front, the best first: averaged weights are what was published."""
_DENSE: Final = re.compile(
    r"(?:model\.1\.sub|RRDB_trunk|body)\.(\d{1,3})\.(?:RDB|rdb)([123])\."
    r"(conv(?:[1-5]|1x1))(?:\.0)?\.(weight|bias)"
)
_BODY_END: Final = re.compile(r"model\.1\.sub\.\d{1,3}\.(weight|bias)")
_SEQUENCE: Final = re.compile(r"model\.(\d{1,2})\.(weight|bias)")
_DOUBLING: Final = re.compile(r"(?:upconv|conv_up)([1-9])\.(weight|bias)")
_TRUNK: Final = {"trunk_conv": "conv_body", "HRconv": "conv_hr"}


def without_wrapper(sources: Iterable[ParameterSource]) -> list[ParameterSource]:
    """Return the sources without what training code puts in front of their names.

    Of weights that are there twice, as trained and averaged, the averaged ones are taken.
    """
    found = list(sources)
    for wrapper in _WRAPPERS:
        inner = [each for each in found if each.name.startswith(wrapper)]
        if inner:
            found = [each._replace(name=each.name.removeprefix(wrapper)) for each in inner]
    return found


def rrdb_sources(sources: Collection[ParameterSource]) -> list[ParameterSource]:
    """Return the sources under the names of `RrdbNet`; unknown ones keep theirs."""
    ends = _sequence_names(each.name for each in sources)
    return [each._replace(name=_rename(each.name, ends)) for each in sources]


def _sequence_names(names: Iterable[str]) -> dict[str, str]:
    """Return the names of the convolutions of a sequence, by their numbers."""
    numbers = sorted({int(found[1]) for name in names if (found := _SEQUENCE.fullmatch(name))})
    first, doublings, last = numbers[:1], numbers[1:-2], numbers[1:][-2:]
    named = dict(zip(first, ["conv_first"], strict=False))
    named |= {number: f"conv_up.{index}" for number, index in zip(doublings, count(), strict=False)}
    named |= dict(zip(last, ["conv_hr", "conv_last"], strict=False))
    return {str(number): name for number, name in named.items()}


def _rename(name: str, sequence: dict[str, str]) -> str:
    if found := _DENSE.fullmatch(name):
        return f"body.{int(found[1])}.rdb{found[2]}.{found[3]}.{found[4]}"
    if found := _BODY_END.fullmatch(name):
        return f"conv_body.{found[1]}"
    if found := _SEQUENCE.fullmatch(name):
        return f"{sequence[found[1]]}.{found[2]}"
    if found := _DOUBLING.fullmatch(name):
        return f"conv_up.{int(found[1]) - 1}.{found[2]}"
    layer, _, end = name.rpartition(".")
    return f"{_TRUNK[layer]}.{end}" if layer in _TRUNK else name
