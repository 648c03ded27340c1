"""Control networks for golden UNets, and one call of each; see `tools/goldens/control.py`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tests.goldens import family_folders
from tests.goldens.configs import MODELS
from tests.goldens.loader import load, saved_part
from tests.goldens.loader import parameters as parameters_of
from tests.goldens.weights import initial_noise, weight

FIRST_SIDE, SECOND_SIDE = 8, 12
"""Latent pixels of the calls, along height and width."""
SCALE = 0.7
PROMPTS, IMAGES = 2, 2
TIME = 300.0


class ControlCase(NamedTuple):
    """A ControlNet: the golden model that it is for, and what its config adds to the UNet's.

    ``factor``: pixels of its picture per latent pixel.
    """

    model: str
    changes: Mapping[str, object] = {}
    factor: int = 2


class AdapterCase(NamedTuple):
    """A T2I-Adapter: the golden model that it is for, and its config."""

    model: str
    config: Mapping[str, object]


HINT = {"conditioning_embedding_out_channels": [8, 16]}
CONTROLNETS: Mapping[str, ControlCase] = {
    "sd1": ControlCase("two_levels", {"conditioning_embedding_out_channels": [4, 8, 12, 16]}, 8),
    "sd1_heads": ControlCase("three_levels", HINT),
    "sd2": ControlCase("sd2", HINT),
    "xl": ControlCase("xl_base", HINT),
    "pooled": ControlCase(
        "sd2",
        {**HINT, "global_pool_conditions": True, "controlnet_conditioning_channel_order": "bgr"},
    ),
    "small_xl": ControlCase("xl_base", {**HINT, "transformer_layers_per_block": [0, 0, 1]}),
}
UNIONS: Mapping[str, ControlCase] = {
    "union": ControlCase("xl_base", {**HINT, "num_control_type": 6, "conditioning_channels": 3}),
    "promax": ControlCase("xl_base", {**HINT, "num_control_type": 8, "conditioning_channels": 3}),
}
UNION_TYPES: Mapping[str, tuple[int, ...]] = {"union": (3,), "promax": (1, 6)}
"""The kinds of the pictures that a union reads in its call."""

ADAPTERS: Mapping[str, AdapterCase] = {
    "full": AdapterCase(
        "sd2",
        {"channels": [16, 32], "downscale_factor": 2, "adapter_type": "full_adapter"},
    ),
    "light": AdapterCase(
        "sd2",
        {
            "channels": [16, 32],
            "downscale_factor": 2,
            "adapter_type": "light_adapter",
            "num_res_blocks": 4,
        },
    ),
    "grey": AdapterCase(
        "sd2",
        {
            "in_channels": 1,
            "channels": [16, 32],
            "downscale_factor": 2,
            "adapter_type": "full_adapter",
        },
    ),
    "full_xl": AdapterCase(
        "xl_base",
        {
            "channels": [16, 32, 48, 48],
            "downscale_factor": 4,
            "adapter_type": "full_adapter_xl",
        },
    ),
}


class RunCase(NamedTuple):
    """A run of diffusers' own pipeline: networks, scales, and shares of the steps."""

    model: str
    networks: tuple[str, ...]
    scales: tuple[float, ...]
    starts: tuple[float, ...]
    ends: tuple[float, ...]
    steps: int = 4
    guess: bool = False


RUNS: Mapping[str, RunCase] = {
    "run_windows": RunCase("sd2", ("sd2", "pooled"), (0.7, 1.3), (0.0, 0.3), (0.5, 1.0)),
    "run_guess": RunCase("sd2", ("sd2",), (0.8,), (0.0,), (1.0,), 3, guess=True),
    "run_xl": RunCase("xl_base", ("xl",), (0.9,), (0.0,), (1.0,), 3),
    "run_adapter": RunCase("xl_base", ("full_xl",), (0.7,), (0.0,), (0.5,)),
}
RUN_GUIDANCE = 5.0


def run_noise() -> NDArray[np.float64]:
    """Return the unit noise of a run (1, 4, H, W)."""
    noise = initial_noise(batch=1, height=FIRST_SIDE, width=SECOND_SIDE)
    return noise.astype(np.float64)


def levels(name: str) -> NDArray[np.uint8]:
    """Return the picture (H, W, 3) of a network in a run."""
    shape = (2 * FIRST_SIDE, 2 * SECOND_SIDE, 3)
    return np.random.default_rng(list(name.encode())).integers(0, 256, shape).astype(np.uint8)


def unet_config(model: str) -> dict[str, Any]:
    """Return the config of a golden UNet, of SD 1.x or of another family."""
    if model in MODELS:
        return dict(saved_part(model, "unet").config)
    return family_folders.config(model, "unet")


def unet_parameters(model: str) -> dict[str, NDArray[np.float32]]:
    """Return the weights of a golden UNet by name."""
    known = model in MODELS
    return parameters_of(model, "unet") if known else family_folders.parameters(model, "unet")


def saved(name: str) -> dict[str, Any]:
    """Return ``config`` and ``shapes`` of a control network as diffusers saves them."""
    found: dict[str, Any] = json.loads(str(load("control")[f"{name}/saved"]))
    return found


def parameters(name: str) -> dict[str, NDArray[np.float32]]:
    """Return the weights of a control network by name, in the diffusers layout."""
    return {
        each: control_weight(name, each, shape) for each, shape in saved(name)["shapes"].items()
    }


def control_weight(name: str, each: str, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Return a weight by name; vectors and tables of unions are drawn as other matrices are."""
    return weight(name, "control", each, tuple(shape))


def picture(name: str, factor: int, channels: int = 3) -> NDArray[np.float64]:
    """Return pictures (1, channels, H, W) in 0..1."""
    shape = (1, channels, FIRST_SIDE * factor, SECOND_SIDE * factor)
    return np.random.default_rng(list(name.encode())).random(shape)


def call_inputs(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the inputs of one UNet call in float64, channels first: two images, two prompts."""
    rows = PROMPTS * IMAGES
    draw = np.random.default_rng(11).standard_normal
    latents = draw((IMAGES, config["in_channels"], FIRST_SIDE, SECOND_SIDE))
    width = config["cross_attention_dim"]
    inputs: dict[str, Any] = {
        "sample": np.concatenate([latents] * PROMPTS),
        "timestep": TIME,
        "encoder_hidden_states": draw((rows, 7, width)),
    }
    if config.get("addition_embed_type"):
        inner = config["addition_time_embed_dim"]
        pooled = config["projection_class_embeddings_input_dim"] - 6 * inner
        inputs["added_cond_kwargs"] = {
            "text_embeds": draw((rows, pooled)),
            "time_ids": np.array([[64.0, 64.0, 0.0, 0.0, 64.0, 64.0]] * rows),
        }
    return inputs
