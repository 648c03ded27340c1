"""Image prompts for golden UNets, and what is computed; see `tools/goldens/image_prompts.py`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tests.goldens.loader import load
from tests.goldens.weights import weight, words

VISION: Mapping[str, Any] = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "image_size": 28,
    "patch_size": 7,
    "projection_dim": 24,
    "hidden_act": "gelu",
}
"""The config of the image encoder."""

TOKENS, RESAMPLER_WIDTH, RESAMPLER_INNER, RESAMPLER_DEPTH = 4, 32, 128, 4
"""Tokens of each picture, and the perceiver's sizes; diffusers fixes its depth."""

IMAGE_SIZES: Sequence[tuple[int, int]] = ((61, 37), (28, 28), (20, 50))
"""Width and height of the pictures."""


class Use(NamedTuple):
    """An adapter in a case. ``layers``: factors of the transformers, in the order of computing."""

    kind: str
    images: tuple[int, ...]
    scale: float
    layers: tuple[float, ...] = ()
    region: bool = False


class PromptCase(NamedTuple):
    """A call of a golden UNet with image prompts."""

    model: str
    uses: tuple[Use, ...]


CASES: Mapping[str, PromptCase] = {
    "base": PromptCase("sd2", (Use("base", (0,), 0.7),)),
    "plus": PromptCase("sd2", (Use("plus", (0, 2), 0.9),)),
    "full": PromptCase("sd2", (Use("full", (1,), 1.2),)),
    "two": PromptCase(
        "sd2",
        (
            Use("base", (0, 1), 0.5, (1.0, 0.0, 0.5, 0.2, 1.5, 0.0)),
            Use("plus", (2,), 0.8),
        ),
    ),
    "region": PromptCase("sd2", (Use("base", (1,), 1.0, region=True), Use("full", (0,), 0.6))),
    "xl_base": PromptCase("xl_base", (Use("base", (0,), 0.7),)),
    "xl_plus": PromptCase(
        "xl_base", (Use("plus", (1,), 1.0, (1.0, 0.3, 0.0, 0.6, 1.0, 0.5, 2.0)),)
    ),
}

_CROSS, _UP_CROSS = "CrossAttnDownBlock2D", "CrossAttnUpBlock2D"
FULL_UNETS: Mapping[str, Mapping[str, Any]] = {
    "sd15": {"cross_attention_dim": 768, "block_out_channels": [320, 640, 1280, 1280]},
    "sdxl": {
        "cross_attention_dim": 2048,
        "block_out_channels": [320, 640, 1280],
        "down_block_types": ["DownBlock2D", _CROSS, _CROSS],
        "up_block_types": [_UP_CROSS, _UP_CROSS, "UpBlock2D"],
        "transformer_layers_per_block": [1, 2, 10],
        "attention_head_dim": [5, 10, 20],
        "use_linear_projection": True,
        "addition_embed_type": "text_time",
        "addition_time_embed_dim": 256,
        "projection_class_embeddings_input_dim": 2816,
    },
}
"""What the published UNets' configs add to diffusers' defaults."""

FULL_ENCODERS: Mapping[str, Mapping[str, Any]] = {
    "vit_h": {
        "hidden_size": 1280,
        "intermediate_size": 5120,
        "num_hidden_layers": 32,
        "num_attention_heads": 16,
        "patch_size": 14,
        "projection_dim": 1024,
        "hidden_act": "gelu",
    },
    "vit_bigg": {
        "hidden_size": 1664,
        "intermediate_size": 8192,
        "num_hidden_layers": 48,
        "num_attention_heads": 16,
        "patch_size": 14,
        "projection_dim": 1280,
        "hidden_act": "gelu",
    },
}
"""The configs of the published encoders."""

RUN = PromptCase("sd2", (Use("plus", (0,), 0.8),))
RUN_STEPS, RUN_GUIDANCE = 3, 5.0
"""A run of diffusers' own pipeline."""


def picture(index: int) -> Image.Image:
    """Return a picture of the cases: smooth, so that resizing has something to keep."""
    width, height = IMAGE_SIZES[index]
    levels = words(f"image prompt {index}", 5 * 5 * 3) >> np.uint64(56)
    small = Image.fromarray(levels.astype(np.uint8).reshape(5, 5, 3))
    return small.resize((width, height), Image.Resampling.BICUBIC)


def region(width: int, height: int) -> NDArray[np.uint8]:
    """Return the region (height, width) of a case: a ramp beside black."""
    row = np.clip(np.linspace(-255, 400, width), 0, 255)
    return np.repeat(row[None], height, 0).astype(np.uint8)


def projection_shapes(kind: str, context: int) -> dict[str, tuple[int, ...]]:
    """Return names and shapes of an adapter's image projection."""
    states, pooled = VISION["hidden_size"], VISION["projection_dim"]
    if kind == "base":
        return {
            "proj.weight": (TOKENS * context, pooled),
            "proj.bias": (TOKENS * context,),
            "norm.weight": (context,),
            "norm.bias": (context,),
        }
    if kind == "full":
        return {
            "proj.0.weight": (states, states),
            "proj.0.bias": (states,),
            "proj.2.weight": (context, states),
            "proj.2.bias": (context,),
            "proj.3.weight": (context,),
            "proj.3.bias": (context,),
        }
    width, inner = RESAMPLER_WIDTH, RESAMPLER_INNER
    shapes: dict[str, tuple[int, ...]] = {
        "latents": (1, TOKENS, width),
        "proj_in.weight": (width, states),
        "proj_in.bias": (width,),
        "proj_out.weight": (context, width),
        "proj_out.bias": (context,),
        "norm_out.weight": (context,),
        "norm_out.bias": (context,),
    }
    for layer in range(RESAMPLER_DEPTH):
        place = f"layers.{layer}"
        for norm in ("0.norm1", "0.norm2", "1.0"):
            shapes[f"{place}.{norm}.weight"] = shapes[f"{place}.{norm}.bias"] = (width,)
        shapes[f"{place}.0.to_q.weight"] = (inner, width)
        shapes[f"{place}.0.to_kv.weight"] = (2 * inner, width)
        shapes[f"{place}.0.to_out.weight"] = (width, inner)
        shapes[f"{place}.1.1.weight"] = (4 * width, width)
        shapes[f"{place}.1.3.weight"] = (width, 4 * width)
    return shapes


def adapter_parameters(
    kind: str, model: str, context: int, widths: Sequence[int]
) -> dict[str, NDArray[np.float32]]:
    """Return an adapter's weights by the names of its file.

    ``widths``: of the attentions to the prompt in the order of diffusers' processors.
    """
    shapes = {f"image_proj.{n}": s for n, s in projection_shapes(kind, context).items()}
    for index, width in enumerate(widths):
        for each in ("k", "v"):
            shapes[f"ip_adapter.{2 * index + 1}.to_{each}_ip.weight"] = (width, context)
    return {n: weight(f"{model}/{kind}", "ip_adapter", n, s) for n, s in shapes.items()}


def saved(name: str) -> Any:
    """Return what was saved as JSON: ``widths.MODEL``, or ``vision``, the encoder's shapes."""
    return json.loads(str(load("image_prompts")[f"{name}/saved"]))


def vision_parameters() -> dict[str, NDArray[np.float32]]:
    """Return the image encoder's weights by name."""
    return {
        name: weight("vision", "image_encoder", name, shape)
        for name, shape in saved("vision").items()
    }
