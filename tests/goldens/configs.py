"""The golden models: tiny Stable Diffusion 1.x variants.

Each model varies what real ones vary: levels, layers a block, channel counts with their norm
groups, head counts (one number or a list), cross-attention width, linear or 1×1 projections, the
text encoder's activation and length, the VAE's factor. Both sides read this file: the script
`tools/goldens`, which computes the expected values with diffusers, and the tests.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

Json: TypeAlias = str | int | float | bool | list[str] | list[int] | None

PARTS = ("text_encoder", "unet", "vae")
"""The networks of a model, named as their folders."""

VOCABULARY_SIZE = 600
"""Tokens of the vocabulary that all golden models share (`vocabulary.py`)."""

SCHEDULER: Mapping[str, Json] = {
    "_class_name": "PNDMScheduler",
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "beta_start": 0.00085,
    "clip_sample": False,
    "num_train_timesteps": 1000,
    "prediction_type": "epsilon",
    "set_alpha_to_one": False,
    "skip_prk_steps": True,
    "steps_offset": 1,
    "trained_betas": None,
}
"""`scheduler/scheduler_config.json` of every golden model: Stable Diffusion 1.5's own."""


@dataclass(frozen=True)
class Model:
    """One golden model: the config entries in which it differs from the libraries' defaults."""

    text_encoder: Mapping[str, Json]
    unet: Mapping[str, Json]
    vae: Mapping[str, Json]

    def part(self, name: str) -> Mapping[str, Json]:
        """Return the config of one of `PARTS`."""
        return {"text_encoder": self.text_encoder, "unet": self.unet, "vae": self.vae}[name]

    @property
    def max_length(self) -> int:
        """Tokens of one prompt, start and end included."""
        return _integer(self.text_encoder["max_position_embeddings"])

    @property
    def text_width(self) -> int:
        """Width of the text encoder and of the cross-attention."""
        return _integer(self.text_encoder["hidden_size"])

    @property
    def vae_factor(self) -> int:
        """Image pixels a latent pixel, along one side."""
        channels = self.vae["block_out_channels"]
        assert isinstance(channels, list)
        factor: int = 2 ** (len(channels) - 1)
        return factor


def _integer(value: Json) -> int:
    assert isinstance(value, int)
    return value


def text_encoder(
    width: int, layers: int, heads: int, *, activation: str = "quick_gelu", length: int = 77
) -> dict[str, Json]:
    return {
        "bos_token_id": VOCABULARY_SIZE - 2,
        "eos_token_id": VOCABULARY_SIZE - 1,
        "hidden_act": activation,
        "hidden_size": width,
        "intermediate_size": 3 * width,
        "max_position_embeddings": length,
        "num_attention_heads": heads,
        "num_hidden_layers": layers,
        "pad_token_id": VOCABULARY_SIZE - 1,
        "projection_dim": width,
        "vocab_size": VOCABULARY_SIZE,
    }


def unet(
    channels: list[int], cross: list[bool], heads: int | list[int], groups: int, width: int
) -> dict[str, Json]:
    """Return a UNet's config; `cross`: whether each level attends to the text of `width`."""
    return {
        "attention_head_dim": heads,
        "block_out_channels": channels,
        "cross_attention_dim": width,
        "down_block_types": ["CrossAttnDownBlock2D" if c else "DownBlock2D" for c in cross],
        "layers_per_block": 1,
        "norm_num_groups": groups,
        "sample_size": 8,
        "up_block_types": ["CrossAttnUpBlock2D" if c else "UpBlock2D" for c in reversed(cross)],
    }


def vae(channels: list[int], layers: int, groups: int, scaling: float) -> dict[str, Json]:
    return {
        "block_out_channels": channels,
        "down_block_types": ["DownEncoderBlock2D"] * len(channels),
        "latent_channels": 4,
        "layers_per_block": layers,
        "norm_num_groups": groups,
        "sample_size": 8 * 2 ** (len(channels) - 1),
        "scaling_factor": scaling,
        "up_block_types": ["UpDecoderBlock2D"] * len(channels),
    }


MODELS: Mapping[str, Model] = {
    # Shaped as Stable Diffusion 1.5: two layers a block, one head count, 77 tokens, factor 8.
    "two_levels": Model(
        text_encoder(32, 2, 4),
        unet([16, 32], [True, False], 2, 8, 32) | {"layers_per_block": 2},
        vae([8, 16, 16, 24], 1, 4, 0.18215),
    ),
    # Odd multiples of 8, heads 8 and 20 wide, attention at the lower levels only.
    "three_levels": Model(
        text_encoder(40, 3, 5, activation="gelu"),
        unet([16, 24, 40], [False, True, True], [1, 3, 2], 8, 40),
        vae([24, 40], 2, 8, 0.65654),
    ),
    # Linear projections and a list of heads, as Stable Diffusion 2 has them; four levels.
    "four_levels": Model(
        text_encoder(48, 2, 3, activation="gelu", length=24),
        unet([8, 16, 24, 32], [True, True, True, False], [1, 2, 3, 4], 4, 48)
        | {"use_linear_projection": True},
        vae([16, 16, 32], 1, 8, 0.5),
    ),
    # Heads 12 and 20 wide, norm groups of 6 and 10 channels, a narrow text.
    "wide_heads": Model(
        text_encoder(24, 2, 2),
        unet([24, 40], [True, True], 2, 4, 24),
        vae([16, 24, 24, 40], 1, 2, 0.18215),
    ),
}
