"""The models' shapes: Stable Diffusion 1.5, 2.1, XL and its refiner, as diffusers is given them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bench.models import REFINER, SD15, SD21, SDXL

__all__ = ["BLOCKS", "LIBRARIES", "MODELS", "Model"]

BLOCKS = {
    "down_block_types": [*["CrossAttnDownBlock2D"] * 3, "DownBlock2D"],
    "up_block_types": ["UpBlock2D", *["CrossAttnUpBlock2D"] * 3],
}
"""A UNet's blocks where its config does not tell: diffusers' defaults, which its files hold."""

LIBRARIES = {
    "unet": ["diffusers", "UNet2DConditionModel"],
    "vae": ["diffusers", "AutoencoderKL"],
    "scheduler": ["diffusers", "DDIMScheduler"],
    "text_encoder": ["transformers", "CLIPTextModel"],
    "text_encoder_2": ["transformers", "CLIPTextModelWithProjection"],
    "tokenizer": ["transformers", "CLIPTokenizer"],
    "tokenizer_2": ["transformers", "CLIPTokenizer"],
}
"""The library and the class of each part, as ``model_index.json`` names them."""

_VAE = {
    "block_out_channels": [128, 256, 512, 512],
    "down_block_types": ["DownEncoderBlock2D"] * 4,
    "up_block_types": ["UpDecoderBlock2D"] * 4,
    "layers_per_block": 2,
    "latent_channels": 4,
    "sample_size": 512,
}
# Random weights do not overflow f16 as those of SDXL's own VAE do.
_VAE_XL = {**_VAE, "sample_size": 1024, "force_upcast": False}
_CLIP_L = {
    "hidden_size": 768,
    "intermediate_size": 3072,
    "num_attention_heads": 12,
    "num_hidden_layers": 12,
    "vocab_size": 49408,
    "projection_dim": 768,
}
_CLIP_H = {
    "hidden_size": 1024,
    "intermediate_size": 4096,
    "num_attention_heads": 16,
    "num_hidden_layers": 23,
    "hidden_act": "gelu",
    "vocab_size": 49408,
    "projection_dim": 512,
}
_CLIP_BIG_G = {
    "hidden_size": 1280,
    "intermediate_size": 5120,
    "num_attention_heads": 20,
    "num_hidden_layers": 32,
    "hidden_act": "gelu",
    "vocab_size": 49408,
    "projection_dim": 1280,
    "eos_token_id": 2,  # as published: transformers then takes the largest id for the end
}


@dataclass(frozen=True)
class Model:
    """``name`` is what rows of the benchmark call it, ``size`` the side of its pictures.

    ``parts`` has the configs of the networks by their folders, ``pipeline`` the diffusers class.
    """

    name: str
    size: int
    pipeline: str
    parts: Mapping[str, Mapping[str, Any]]

    @property
    def pooled_width(self) -> int:
        """Width of the pooled text that the UNet takes; 0 where it takes none."""
        second = self.parts.get("text_encoder_2")
        return int(second["projection_dim"]) if second else 0

    @property
    def sizes(self) -> tuple[float, ...]:
        """Size numbers for the UNet beside the pooled text; the refiner has a score instead."""
        size = float(self.size)
        size_and_crop = (size, size, 0.0, 0.0)
        if not self.pooled_width:
            return ()
        return (
            (*size_and_crop, size, size) if "text_encoder" in self.parts else (*size_and_crop, 6.0)
        )


MODELS = {
    "sd15": Model(
        SD15,
        512,
        "StableDiffusionPipeline",
        {
            "unet": {
                "sample_size": 64,
                "cross_attention_dim": 768,
                "attention_head_dim": 8,
                "block_out_channels": [320, 640, 1280, 1280],
            },
            "vae": _VAE,
            "text_encoder": _CLIP_L,
        },
    ),
    "sdxl": Model(
        SDXL,
        1024,
        "StableDiffusionXLPipeline",
        {
            "unet": {
                "sample_size": 128,
                "cross_attention_dim": 2048,
                "attention_head_dim": [5, 10, 20],
                "block_out_channels": [320, 640, 1280],
                "transformer_layers_per_block": [1, 2, 10],
                "down_block_types": [
                    "DownBlock2D",
                    "CrossAttnDownBlock2D",
                    "CrossAttnDownBlock2D",
                ],
                "up_block_types": ["CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"],
                "use_linear_projection": True,
                "addition_embed_type": "text_time",
                "addition_time_embed_dim": 256,
                "projection_class_embeddings_input_dim": 2816,
            },
            "vae": _VAE_XL,
            "text_encoder": _CLIP_L,
            "text_encoder_2": _CLIP_BIG_G,
        },
    ),
    "sd21": Model(
        SD21,
        768,
        "StableDiffusionPipeline",
        {
            "unet": {
                "sample_size": 96,
                "cross_attention_dim": 1024,
                "attention_head_dim": [5, 10, 20, 20],
                "block_out_channels": [320, 640, 1280, 1280],
                "use_linear_projection": True,
            },
            "vae": {**_VAE, "sample_size": 768},
            "text_encoder": _CLIP_H,
        },
    ),
    "refiner": Model(
        REFINER,
        1024,
        "StableDiffusionXLImg2ImgPipeline",
        {
            "unet": {
                "sample_size": 128,
                "cross_attention_dim": 1280,
                "attention_head_dim": [6, 12, 24, 24],
                "block_out_channels": [384, 768, 1536, 1536],
                "transformer_layers_per_block": 4,
                "down_block_types": [
                    "DownBlock2D",
                    "CrossAttnDownBlock2D",
                    "CrossAttnDownBlock2D",
                    "DownBlock2D",
                ],
                "up_block_types": [
                    "UpBlock2D",
                    "CrossAttnUpBlock2D",
                    "CrossAttnUpBlock2D",
                    "UpBlock2D",
                ],
                "use_linear_projection": True,
                "addition_embed_type": "text_time",
                "addition_time_embed_dim": 256,
                "projection_class_embeddings_input_dim": 2560,
            },
            "vae": _VAE_XL,
            "text_encoder_2": _CLIP_BIG_G,
        },
    ),
}
