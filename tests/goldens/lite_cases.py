"""ControlNet-LLLite for golden UNets, and calls with them; see `tools/goldens/lite.py`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tests.goldens.control_cases import FIRST_SIDE, SECOND_SIDE, control_weight
from tests.goldens.loader import load

SCALE = 0.7


class LiteCase(NamedTuple):
    """A file: the golden model that it is for, and the widths of its modules.

    ``kernels``: sides of the convolutions that read the picture, by level. ``layers``: of each
    transformer block. ``blocks``: the parts of the UNet that it changes.
    """

    model: str
    kernels: Mapping[int, tuple[int, ...]]
    embedding: int = 8
    rank: int = 6
    layers: tuple[str, ...] = ("attn1.to_q", "attn1.to_k", "attn1.to_v", "attn2.to_q")
    blocks: tuple[str, ...] = ("down", "mid")
    factor: int = 2


LITES: Mapping[str, LiteCase] = {
    "lite_xl": LiteCase("xl_base", {1: (2, 2), 2: (2, 2, 2)}),
    "lite_sd1": LiteCase("two_levels", {0: (4, 2), 1: (4, 4)}, factor=8),
    "lite_sd2": LiteCase("sd2", {0: (2,), 1: (2, 2)}, 6, 4, ("attn1.to_v", "attn2.to_q")),
    "lite_all": LiteCase("xl_base", {1: (4,), 2: (4, 2)}, 4, 8, blocks=("down", "mid", "up")),
}
"""The published files of SDXL have kernels 4, 4 at the second level and 4, 4, 2 at the third."""

CALLS: Mapping[str, tuple[tuple[str, float], ...]] = {
    **{name: ((name, SCALE),) for name in LITES},
    "lite_both": (("lite_all", SCALE), ("lite_xl", -1.3)),
}
"""The files of a call with their strengths, in the order that they change a layer's input."""


def saved(name: str) -> dict[str, list[int]]:
    """Return the shapes of a file's tensors by name."""
    found: dict[str, list[int]] = json.loads(str(load("control_lite")[f"{name}/saved"]))
    return found


def parameters(name: str) -> dict[str, NDArray[np.float32]]:
    """Return a file's tensors by name."""
    shapes = saved(name)
    return {each: control_weight(name, each, tuple(shape)) for each, shape in shapes.items()}


def picture(name: str) -> NDArray[np.float64]:
    """Return a picture (1, 3, H, W) in 0..1."""
    factor = LITES[name].factor
    shape = (1, 3, FIRST_SIDE * factor, SECOND_SIDE * factor)
    return np.random.default_rng(list(name.encode())).random(shape)


def expected(call: str) -> Any:
    """Return the output of a UNet call, channels first."""
    return load("control_lite")[f"{call}/out"]
