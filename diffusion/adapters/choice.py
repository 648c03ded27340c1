"""`Lora`: an adapter that a picture is drawn with, and its strengths."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath
from typing import Final

from diffusion.adapters.element_weights import MOST_STRENGTH, read_elements
from diffusion.checks import check_integer, check_number, check_text
from diffusion.errors import SettingsError

__all__ = ["MOST_LORAS", "Lora", "Moment", "check_loras", "is_active"]

MOST_LORAS = 100
"""Adapters that one picture is drawn with."""
MOST_RANK = 1 << 20
MOST_STEP = 1 << 20
_IN_TAGS: Final = re.compile(r"[<>:\n]")
Moment = int | float
"""A step from 1 on, or a share of the steps from 0.0 to 1.0."""


@dataclass(frozen=True)
class Lora:
    """An adapter and its strengths; 1 is what it was trained for, 0 none, below 0 its opposite.

    ``file``: a name in the pipeline's folder of LoRAs, or a path that ends with ``.safetensors``;
    either may be a file in the Hub's cache, ``owner/name/FILE.safetensors``.
    ``weight``: its strength in the text encoders. ``unet``: in the UNet; None for ``weight``.
    ``blocks``: factors of the strengths in the model's blocks, 12 or 20 for SDXL and 17 or 26 for
    other models; see `block_ratio`. ``elements``: factors by layers' names in their place, such as
    ``IN05-OUT05:attn:0.5``; see `element_ratio`. ``rank``: of low-rank matrices, only so many of
    the first rows count, as the WebUI's ``dyn``. ``start`` and ``stop``: the UNet has it from one
    step on, and up to before another: whole numbers of steps from 1, or shares of the steps from
    0.0 to 1.0.
    """

    file: str | Path
    weight: float = 1.0
    unet: float | None = None
    blocks: tuple[float, ...] | None = None
    elements: str | None = None
    rank: int | None = None
    start: Moment | None = None
    stop: Moment | None = None

    @property
    def unet_weight(self) -> float:
        """The strength in the UNet."""
        return self.weight if self.unet is None else self.unet

    @property
    def name(self) -> str:
        """The name in prompts: of a path, the file's name without its end."""
        return Path(self.file).stem if self.is_path else str(self.file)

    @property
    def is_path(self) -> bool:
        """Tell whether ``file`` is a path rather than a name."""
        return isinstance(self.file, Path) or self.file.lower().endswith(".safetensors")

    def check(self) -> None:
        """Raise `SettingsError` for a name or a strength that cannot be."""
        file: object = self.file
        if not isinstance(file, (str, Path)) or not str(file):
            raise SettingsError("lora", self.file, "must be a name or a path")
        if _IN_TAGS.search(PureWindowsPath(file).stem if self.is_path else str(file)):
            hint = "a name must not have < > or : in it, which end a tag; rename the file"
            raise SettingsError("lora", self.name, hint)
        for field, strength in (("lora weight", self.weight), ("lora unet weight", self.unet)):
            check_number(field, strength, -MOST_STRENGTH, MOST_STRENGTH)
        check_integer("lora rank", self.rank, 1, MOST_RANK)
        for field, moment in (("lora start", self.start), ("lora stop", self.stop)):
            _check_moment(field, moment)
        if self.blocks is not None:
            if len(self.blocks) not in (12, 17, 20, 26):
                raise SettingsError("lora blocks", self.blocks, "must be 12, 17, 20 or 26 numbers")
            for each in self.blocks:
                check_number("lora blocks", each, -MOST_STRENGTH, MOST_STRENGTH)
        if self.elements is not None:
            check_text("lora elements", self.elements)
            read_elements(self.elements)


def is_active(start: Moment | None, stop: Moment | None, step: int, steps: int) -> bool:
    """Tell whether a step (from 0) of ``steps`` is between two moments, as `Lora` has them."""
    return _first_step(start, steps, 0) <= step < _first_step(stop, steps, steps)


def _first_step(moment: Moment | None, steps: int, otherwise: int) -> int:
    """Return the first step, from 0, at or after a moment."""
    if moment is None:
        return otherwise
    return max(0, moment - 1) if isinstance(moment, int) else math.ceil(moment * steps - 1e-9)


def _check_moment(field: str, moment: Moment | None) -> None:
    """Raise `SettingsError` for a moment that is neither a step nor a share of the steps."""
    if isinstance(moment, int):
        check_integer(field, moment, 0, MOST_STEP)
    elif moment is not None:
        check_number(field, moment, 0, 1)


def check_loras(loras: object) -> None:
    """Raise `SettingsError` unless ``loras`` is a tuple of checked `Lora`."""
    if not isinstance(loras, tuple) or not all(isinstance(each, Lora) for each in loras):
        raise SettingsError("loras", loras, "must be a tuple of Lora")
    if len(loras) > MOST_LORAS:
        raise SettingsError("loras", len(loras), f"must be at most {MOST_LORAS}")
    for each in loras:
        each.check()
