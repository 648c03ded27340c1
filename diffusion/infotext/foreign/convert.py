"""The choice of the reader for a picture's texts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

from diffusion.infotext.foreign.comfyui import read_comfyui
from diffusion.infotext.foreign.invokeai import read_dream_command, read_invokeai
from diffusion.infotext.foreign.record import Json, Record, read_json
from diffusion.infotext.foreign.records import (
    read_easy_diffusion,
    read_fooocus,
    read_novelai,
    read_swarmui,
)
from diffusion.infotext.grammar import FEWEST_SETTINGS, write_infotext

__all__ = ["Foreign", "convert_metadata"]


@dataclass(frozen=True)
class Foreign:
    """The settings that another program wrote.

    Attributes:
        infotext: None where its settings cannot be read.
    """

    program: str
    infotext: str | None


def convert_metadata(texts: Mapping[str, str], size: tuple[int, int]) -> Foreign | None:
    """Return what another program wrote into a picture, or None where none is recognised.

    ``texts``: the picture's texts by key. ``size``: its width and height, for programs that do not
    write them. A text in A1111's form under ``parameters`` goes first and gives None.
    """
    found = _recognise(texts)
    if found is None:
        return None
    program, record = found
    if record is None or len(record.settings) + 2 < FEWEST_SETTINGS or not record.complete:
        return Foreign(program, None)
    record.settings.setdefault("Size", "{}x{}".format(*size))
    pairs = record.settings | {"Version": program}
    return Foreign(program, write_infotext(record.prompt, record.negative, pairs))


def _recognise(texts: Mapping[str, str]) -> tuple[str, Record | None] | None:
    """Return the program and its record; the record is None where it cannot be read."""
    if "parameters" in texts:
        return _from_parameters(read_json(texts["parameters"]))
    return next(((each.program, each.read(texts)) for each in READERS if each.wrote(texts)), None)


class Reader(NamedTuple):
    """A program: whether it ``wrote`` a picture's texts, and how to ``read`` them."""

    program: str
    wrote: Callable[[Mapping[str, str]], bool]
    read: Callable[[Mapping[str, str]], Record | None]


def _has(*keys: str) -> Callable[[Mapping[str, str]], bool]:
    return lambda texts: all(key in texts for key in keys)


def _unread(texts: Mapping[str, str]) -> None:
    """Give up: the program is known, and the form of its settings is not."""


READERS: Final = (
    Reader(
        "InvokeAI",
        _has("invokeai_metadata"),
        lambda texts: read_invokeai(read_json(texts["invokeai_metadata"])),
    ),
    Reader(
        "InvokeAI",
        _has("sd-metadata"),
        lambda texts: read_invokeai(read_json(texts["sd-metadata"])),
    ),
    Reader("InvokeAI", _has("Dream"), lambda texts: read_dream_command(texts["Dream"])),
    Reader("InvokeAI", _has("invokeai_graph"), _unread),
    Reader(
        "NovelAI",
        lambda texts: texts.get("Software") == "NovelAI",
        lambda texts: read_novelai(
            read_json(texts.get("Comment", "")), texts.get("Description", "")
        ),
    ),
    Reader("Easy Diffusion", _has("prompt", "num_inference_steps"), read_easy_diffusion),
    Reader("ComfyUI", _has("prompt"), lambda texts: read_comfyui(read_json(texts["prompt"]))),
    Reader("ComfyUI", _has("workflow"), _unread),
    Reader("Fooocus", _has("fooocus_scheme"), _unread),
    Reader(
        "Draw Things",
        lambda texts: "exif:UserComment" in texts.get("XML:com.adobe.xmp", ""),
        _unread,
    ),
)
"""Programs by the keys that they write, in the order of asking."""


def _from_parameters(record: Json) -> tuple[str, Record | None] | None:
    """Return the program that writes a JSON object where A1111 writes its text."""
    if not isinstance(record, dict):
        return None
    if "sui_image_params" in record:
        return "SwarmUI", read_swarmui(record["sui_image_params"])
    if "guidance_scale" in record and "base_model" in record:
        return "Fooocus", read_fooocus(record)
    if "num_inference_steps" in record:
        return "Easy Diffusion", read_easy_diffusion(record)
    return None
