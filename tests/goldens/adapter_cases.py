"""The UNets that adapters are tried on, and their inputs; see `tools/goldens/adapters.py`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray


class AdaptedUNet(NamedTuple):
    """A golden UNet, and the layers that the adapter changes."""

    model: str
    targets: tuple[str, ...]
    dora: bool = False
    ranks: Mapping[str, int] = {}
    alphas: Mapping[str, int] = {}
    """Ranks and alphas of some layers, by the ends of their names."""


ATTENTION = ("to_q", "to_k", "to_v", "to_out.0", "proj_in", "proj_out", "ff.net.0.proj")
CONVOLUTIONS = ("conv1", "conv2", "conv_shortcut", "conv", "time_emb_proj", "conv_in", "conv_out")
UNETS: Mapping[str, AdaptedUNet] = {
    "sd2": AdaptedUNet("sd2", (*ATTENTION, *CONVOLUTIONS)),
    "xl": AdaptedUNet("xl_base", (*ATTENTION, "linear_1", "linear_2")),
    "xl_dora": AdaptedUNet("xl_base", ATTENTION, dora=True),
    "sd2_dora": AdaptedUNet("sd2", CONVOLUTIONS, dora=True),
    "sd2_ranks": AdaptedUNet(
        "sd2",
        ATTENTION,
        ranks={"attn1.to_q": 2, "down_blocks.0.attentions.0.proj_in": 3},
        alphas={"attn1.to_q": 7, "attn2.to_k": 3, "mid_block.attentions.0.proj_out": 1},
    ),
}


def adapter_tensor(name: str, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Return a tensor of an adapter by its name in PEFT."""
    drawn = np.random.default_rng(list(name.encode())).standard_normal(shape)
    if "magnitude" in name:
        return (1 + 0.2 * drawn).astype(np.float32)
    return (0.2 * drawn).astype(np.float32)


def unet_inputs(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the inputs of one call, channels first, in float64."""
    draw = np.random.default_rng(7).standard_normal
    inputs: dict[str, Any] = {
        "sample": draw((1, config["in_channels"], 8, 8)),
        "timestep": 300,
        "encoder_hidden_states": draw((1, 7, config["cross_attention_dim"])),
    }
    if config.get("addition_embed_type"):
        width, total = (
            config["addition_time_embed_dim"],
            config["projection_class_embeddings_input_dim"],
        )
        inputs["added_cond_kwargs"] = {
            "text_embeds": draw((1, total - 6 * width)),
            "time_ids": np.array([[64.0, 64.0, 0.0, 0.0, 64.0, 64.0]]),
        }
    return inputs
