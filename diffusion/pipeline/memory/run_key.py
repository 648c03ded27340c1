"""`RunKey`: all of a run that its memory depends on."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import fields, is_dataclass, replace
from typing import NamedTuple

import numpy as np
from PIL import Image

from diffusion.settings import Settings

__all__ = ["RunKey", "sizes_of"]


class RunKey(NamedTuple):
    """Name the settings that the memory of a run depends on.

    ``steps``: their number, and the text that each reads. Most samplers need the same for any
    number from 6 to 64, and those whose noise is a path's some kB more or less. ``rest``: all else.
    """

    steps: Hashable
    rest: Hashable


def sizes_of(complete: Settings) -> Hashable:
    """Return complete settings without texts, seed, scale and steps, and with sizes for pictures.

    Settings with equal sizes and steps take equal memory where their texts have as many chunks.
    """
    hires = complete.hires
    batch = min(complete.batch or 1, complete.count)
    return _key_of(
        replace(
            complete,
            prompt="",
            negative="",
            seed=0,
            steps=None,
            count=batch,
            batch=batch,
            guidance=2.0 if (complete.guidance or 0) > 1 else 1.0,
            hires=None if hires is None else replace(hires, prompt=None, negative=None),
        )
    )


def _key_of(value: object) -> Hashable:
    """Return a value as a key; of a picture or an array its size alone."""
    if isinstance(value, Image.Image):
        return value.size
    if isinstance(value, np.ndarray):
        return tuple(value.shape)
    if isinstance(value, tuple | list):
        return tuple(map(_key_of, value))
    if is_dataclass(value) and not isinstance(value, type):
        return type(value), tuple(_key_of(getattr(value, each.name)) for each in fields(value))
    return value
