"""``<lora:name:te:unet:dyn>`` in prompts, as the WebUI reads it (its ``extra_networks.py``).

Arguments stand between colons: ``key=value`` by name, others by place. ``te`` is 1 by default, and
``unet`` is ``te``. ``dyn`` is the number of ranks that count. The rest is as in
hako-mikan/sd-webui-lora-block-weight: ``lbw`` (or ``w``) weighs blocks, X in it stands for ``x``,
and ``lbwe`` weighs kinds of layers; ``<lora:name:1:IND:0.7>`` is an older form of ``lbw`` and
``x``. ``start``, ``stop`` and ``step=start-stop`` are steps from 1 on; with a point they are shares
of the steps: ``start=0.2``. A tag is removed from what is encoded and stays in the infotext.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from diffusion.adapters.block_weights import has_blocks, read_blocks
from diffusion.adapters.choice import MOST_RANK, Lora, Moment
from diffusion.errors import SettingsError

__all__ = ["add_tags", "read_tags", "remove_tags", "replace_names"]

_TAG: Final = re.compile(r"<(?:lora|lyco):([^<>\n]+)>")
_MOST_DIGITS: Final = 40
_NAMED: Final = ("te", "unet", "dyn")
_BLOCKS: Final = ("lbw", "w")
_INHERITED: Final = "x"
_ELEMENTS: Final = "lbwe"
_OLD_FORM: Final = (3, 4)
_MOMENTS: Final = ("start", "stop")
_BOTH: Final = "step"
_KEYS: Final = frozenset({*_NAMED, *_BLOCKS, _INHERITED, _ELEMENTS, *_MOMENTS, _BOTH})
_HINT: Final = "write <lora:name>, <lora:name:weight> or <lora:name:text:unet>"


def remove_tags(prompt: str) -> str:
    """Return a prompt without its tags."""
    return _TAG.sub("", prompt)


def read_tags(prompt: str) -> list[Lora]:
    """Return the adapters that a prompt names, in order. Raises `SettingsError`."""
    return [_read_tag(found[0], found[1]) for found in _TAG.finditer(prompt)]


def add_tags(prompt: str, loras: Iterable[Lora]) -> str:
    """Return a prompt with a tag for each adapter at its end."""
    return " ".join(filter(None, [prompt, *map(_write_tag, loras)]))


def replace_names(prompt: str, names: dict[str, str | None]) -> str:
    """Return a prompt whose tags name other adapters; those that become None are removed."""

    def replace(found: re.Match[str]) -> str:
        name, colon, rest = found[1].partition(":")
        other = names.get(name, name)
        return "" if other is None else f"<lora:{other}{colon}{rest}>"

    return _TAG.sub(replace, prompt)


def _read_tag(text: str, arguments: str) -> Lora:
    """Return the adapter of one tag. Raises `SettingsError`."""
    by_place: list[str] = []
    by_name: dict[str, str] = {}
    for each in arguments.split(":"):
        key, equals, value = each.partition("=")
        is_name = not by_place and key.strip() not in _KEYS  # a file's name may have = in it
        if equals and not is_name:
            by_name[key.strip()] = value
        else:
            by_place.append(each)
    if len(by_place) in _OLD_FORM and has_blocks(by_place[2]):
        by_name |= dict(zip((_BLOCKS[0], _INHERITED), by_place[2:], strict=False))
        del by_place[2:]
    blocks = _read_blocks(text, by_name)
    elements = by_name.pop(_ELEMENTS, None)
    if _BOTH in by_name:
        first, dash, last = by_name.pop(_BOTH).partition("-")
        by_name |= {"start": first, "stop": last} if dash else {"start": first}
    moments = {key: _moment(text, by_name.pop(key)) for key in _MOMENTS if key in by_name}
    unread = [key for key in by_name if key not in _NAMED] + by_place[4:]
    if unread:
        raise SettingsError("prompt", text, f"{unread[0]!r} in it has no effect here; {_HINT}")
    if not by_place or not by_place[0].strip():
        raise SettingsError("prompt", text, _HINT)
    strengths = dict(zip(_NAMED, by_place[1:], strict=False)) | by_name
    numbers = {key: _number(text, value) for key, value in strengths.items()}
    lora = Lora(
        by_place[0].strip(),
        numbers.get("te", 1.0),
        numbers.get("unet"),
        blocks,
        elements,
        _rank(text, numbers["dyn"]) if "dyn" in numbers else None,
        moments.get("start"),
        moments.get("stop"),
    )
    lora.check()
    return lora


def _read_blocks(text: str, by_name: dict[str, str]) -> tuple[float, ...] | None:
    """Return the weights of blocks, and take their arguments out. Raises `SettingsError`."""
    inherited = _number(text, by_name.pop(_INHERITED, "1"))
    found = [by_name.pop(key) for key in _BLOCKS if key in by_name]
    return read_blocks(text, found[0], inherited) if found else None


def _number(text: str, value: str) -> float:
    try:
        return float(value[:_MOST_DIGITS])
    except ValueError:
        raise SettingsError("prompt", text, f"{value!r} is no number; {_HINT}") from None


def _moment(text: str, value: str) -> Moment:
    """Return a step from 1 on, or a share of the steps. Raises `SettingsError`."""
    written = value.strip()[:_MOST_DIGITS]
    return int(written) if written.isdecimal() else _number(text, written)


def _rank(text: str, number: float) -> int:
    if number not in range(1, MOST_RANK + 1):
        raise SettingsError("prompt", text, f"dyn must be a whole number from 1 on; {_HINT}")
    return int(number)


def _write_tag(lora: Lora) -> str:
    strengths = [lora.weight] if lora.unet is None else [lora.weight, lora.unet]
    arguments = [lora.name, *map(_write_number, strengths)]
    if lora.rank is not None:
        arguments.append(f"dyn={lora.rank}")
    if lora.blocks is not None:
        arguments.append(f"{_BLOCKS[0]}={','.join(map(_write_number, lora.blocks))}")
    if lora.elements is not None:
        arguments.append(f"{_ELEMENTS}={lora.elements.replace(':', ';')}")
    moments = zip(_MOMENTS, (lora.start, lora.stop), strict=True)
    arguments += [f"{key}={moment}" for key, moment in moments if moment is not None]
    return f"<lora:{':'.join(arguments)}>"


def _write_number(number: float) -> str:
    """Return the shortest text that is read as the same number."""
    short = f"{number:g}"
    return short if float(short) == number else repr(float(number))
