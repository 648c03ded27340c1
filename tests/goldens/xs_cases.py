"""ControlNet-XS for small UNets, and calls with them; see `tools/goldens/xs.py`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tests.goldens.control_cases import FIRST_SIDE, SECOND_SIDE, control_weight, unet_config
from tests.goldens.loader import load
from tests.goldens.weights import weight

SCALE = 0.7


class XsCase(NamedTuple):
    """An adapter: the golden model whose UNet it is for, and its config.

    ``base``: changes of that UNet's config, since diffusers' adapters have two layers a level.
    """

    model: str
    config: Mapping[str, object]
    base: Mapping[str, object] = {}


HINT = {"conditioning_embedding_out_channels": [8, 16]}
TWO = {"layers_per_block": 2}

XS: Mapping[str, XsCase] = {
    "xs_sd2": XsCase("sd2", {**HINT, "block_out_channels": [4, 8], "num_attention_heads": 2}),
    "xs_time": XsCase(
        "sd2",
        {
            **HINT,
            "block_out_channels": [6, 12],
            "num_attention_heads": [1, 3],
            "learn_time_embedding": True,
            "time_embedding_mix": 0.4,
            "conditioning_channel_order": "bgr",
        },
    ),
    "xs_sd1": XsCase(
        "three_levels", {**HINT, "block_out_channels": [4, 8, 8], "num_attention_heads": 2}, TWO
    ),
    "xs_xl": XsCase(
        "xl_base", {**HINT, "block_out_channels": [8, 16, 24], "num_attention_heads": 2}, TWO
    ),
}


def base_config(name: str) -> dict[str, Any]:
    """Return the config of the UNet that an adapter is for."""
    case = XS[name]
    return unet_config(case.model) | dict(case.base)


def saved(name: str) -> dict[str, Any]:
    """Return ``config``, ``shapes`` and ``base``: the shapes of the UNet's weights."""
    found: dict[str, Any] = json.loads(str(load("control_xs")[f"{name}/saved"]))
    return found


def base_weight(name: str, each: str, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Return a weight of the UNet by name."""
    return weight(f"{name}-base", "unet", each, shape)


def base_parameters(name: str) -> dict[str, NDArray[np.float32]]:
    """Return the weights of the UNet by name."""
    shapes = saved(name)["base"]
    return {each: base_weight(name, each, tuple(shape)) for each, shape in shapes.items()}


def parameters(name: str) -> dict[str, NDArray[np.float32]]:
    """Return an adapter's weights by name."""
    shapes = saved(name)["shapes"]
    return {each: control_weight(name, each, tuple(shape)) for each, shape in shapes.items()}


def picture(name: str) -> NDArray[np.float64]:
    """Return a picture (1, 3, H, W) in 0..1."""
    shape = (1, 3, FIRST_SIDE * 2, SECOND_SIDE * 2)
    return np.random.default_rng(list(name.encode())).random(shape)
