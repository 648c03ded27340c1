"""Configs of the published models' parts at full size: the entries that differ from the defaults.

`full_size.npz` holds, for each, the names and shapes of its parameters as diffusers or
transformers builds it: UTF-8 text, one line a parameter (`parameters`).
"""

import functools
from collections.abc import Mapping

from tests.goldens.loader import load

Config = Mapping[str, object]

_CROSS, _PLAIN = "CrossAttnDownBlock2D", "DownBlock2D"
_CROSS_UP, _PLAIN_UP = "CrossAttnUpBlock2D", "UpBlock2D"
_SD1: Config = {"sample_size": 64, "cross_attention_dim": 768}
_SD2: Config = {
    "attention_head_dim": [5, 10, 20, 20],
    "cross_attention_dim": 1024,
    "sample_size": 96,
    "upcast_attention": True,
    "use_linear_projection": True,
}
_XL: Config = {
    "addition_embed_type": "text_time",
    "addition_time_embed_dim": 256,
    "attention_head_dim": [5, 10, 20],
    "block_out_channels": [320, 640, 1280],
    "cross_attention_dim": 2048,
    "down_block_types": [_PLAIN, _CROSS, _CROSS],
    "projection_class_embeddings_input_dim": 2816,
    "sample_size": 128,
    "transformer_layers_per_block": [1, 2, 10],
    "up_block_types": [_CROSS_UP, _CROSS_UP, _PLAIN_UP],
    "upcast_attention": None,
    "use_linear_projection": True,
}
_REFINER: Config = {
    "attention_head_dim": [6, 12, 24, 24],
    "block_out_channels": [384, 768, 1536, 1536],
    "cross_attention_dim": 1280,
    "down_block_types": [_PLAIN, _CROSS, _CROSS, _PLAIN],
    "projection_class_embeddings_input_dim": 2560,
    "transformer_layers_per_block": 4,
    "up_block_types": [_PLAIN_UP, _CROSS_UP, _CROSS_UP, _PLAIN_UP],
}
_SSD_1B: Config = {
    "mid_block_type": "UNetMidBlock2D",
    "reverse_transformer_layers_per_block": [[4, 4, 10], [2, 1, 1], 1],
    "transformer_layers_per_block": [0, [2, 2], [4, 4]],
}

UNETS: Mapping[str, Config] = {
    "sd15": _SD1,
    "sd15_inpaint": {**_SD1, "in_channels": 9},
    "sd15_lcm": {**_SD1, "time_cond_proj_dim": 256},
    "sd21": _SD2,
    "sd2_inpaint": {**_SD2, "in_channels": 9, "sample_size": 64},
    "sdxl": _XL,
    "sdxl_inpaint": {**_XL, "in_channels": 9},
    "sdxl_refiner": {**_XL, **_REFINER},
    "ssd_1b": {**_XL, **_SSD_1B},
}

TEXT_ENCODERS: Mapping[str, Config] = {
    "clip_l": {
        "hidden_size": 768,
        "intermediate_size": 3072,
        "num_attention_heads": 12,
        "num_hidden_layers": 12,
        "projection_dim": 768,
    },
    "open_clip_h": {
        "hidden_act": "gelu",
        "hidden_size": 1024,
        "intermediate_size": 4096,
        "num_attention_heads": 16,
        "num_hidden_layers": 23,
        "projection_dim": 512,
    },
    "open_clip_bigg": {
        "hidden_act": "gelu",
        "hidden_size": 1280,
        "intermediate_size": 5120,
        "num_attention_heads": 20,
        "num_hidden_layers": 32,
        "projection_dim": 1280,
    },
}
"""The last one has the projection."""

TINY_VAES: Mapping[str, Config] = {"taesd": {}}

VAES: Mapping[str, Config] = {
    "sd": {
        "block_out_channels": [128, 256, 512, 512],
        "down_block_types": ["DownEncoderBlock2D"] * 4,
        "latent_channels": 4,
        "layers_per_block": 2,
        "up_block_types": ["UpDecoderBlock2D"] * 4,
    }
}


@functools.cache
def parameters(name: str) -> Mapping[str, tuple[int, ...]]:
    """Return the parameters' names and shapes of one of these models."""
    lines = load("full_size")[name].tobytes().decode("utf-8").splitlines()
    pairs = (line.split(" ") for line in lines)
    return {key: tuple(map(int, shape.split("x"))) for key, shape in pairs}
