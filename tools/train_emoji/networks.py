"""The three networks, with exactly the parts of Stable Diffusion 1.x, and their autocast."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from torch import Tensor
from transformers import CLIPTextConfig, CLIPTextModel

from tools.train_emoji.settings import SCALING_FACTOR, Sizes

NORM_GROUPS = 16
SCHEDULE: dict[str, Any] = {
    "num_train_timesteps": 1000,
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "prediction_type": "v_prediction",
}

_F = TypeVar("_F", bound=Callable[..., Any])


def build_vae(sizes: Sizes) -> AutoencoderKL:
    """Build a VAE of factor 8 (for four levels) with four latent channels."""
    levels = len(sizes.vae_channels)
    return AutoencoderKL(
        in_channels=3,
        out_channels=3,
        down_block_types=("DownEncoderBlock2D",) * levels,
        up_block_types=("UpDecoderBlock2D",) * levels,
        block_out_channels=sizes.vae_channels,
        layers_per_block=1,
        latent_channels=4,
        norm_num_groups=NORM_GROUPS,
        sample_size=sizes.image,
        scaling_factor=SCALING_FACTOR,
    )


def load_vae(folder: Path, scaling_factor: float | None = None) -> AutoencoderKL:
    """Load a VAE in float32 from a diffusers folder; replace its scaling factor if one is given."""
    vae = AutoencoderKL.from_pretrained(folder).float()
    if scaling_factor is not None:
        vae.register_to_config(scaling_factor=scaling_factor)
    return vae


def build_unet(sizes: Sizes) -> UNet2DConditionModel:
    """Build a UNet with one layer a block, and cross attention but at the top level."""
    lower = len(sizes.unet_channels) - 1
    return UNet2DConditionModel(
        sample_size=sizes.latent,
        in_channels=4,
        out_channels=4,
        block_out_channels=sizes.unet_channels,
        layers_per_block=1,
        down_block_types=("DownBlock2D",) + ("CrossAttnDownBlock2D",) * lower,
        up_block_types=("CrossAttnUpBlock2D",) * lower + ("UpBlock2D",),
        cross_attention_dim=sizes.text_width,
        attention_head_dim=sizes.heads,
        norm_num_groups=NORM_GROUPS,
    )


def build_text_encoder(sizes: Sizes) -> CLIPTextModel:
    """Build CLIP's text transformer; the last two tokens are start and end."""
    end = sizes.vocabulary - 1
    config = CLIPTextConfig(
        vocab_size=sizes.vocabulary,
        hidden_size=sizes.text_width,
        intermediate_size=sizes.text_hidden,
        projection_dim=sizes.text_width,
        num_hidden_layers=sizes.text_layers,
        num_attention_heads=sizes.heads,
        max_position_embeddings=77,
        hidden_act="quick_gelu",
        bos_token_id=end - 1,
        eos_token_id=end,
        pad_token_id=end,
    )
    return CLIPTextModel(config)


def posterior(vae: AutoencoderKL, x: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and log variance of the latents, unscaled, float32."""
    moments = vae.quant_conv(vae.encoder(x)).float()
    mean, log_variance = moments.chunk(2, 1)
    return mean, log_variance.clamp(-20, 10)


def decode(vae: AutoencoderKL, latents: Tensor) -> Tensor:
    """Decode unscaled latents to RGB in float32, not clamped."""
    image: Tensor = vae.decoder(vae.post_quant_conv(latents))
    return image.float()


def autocast(device: torch.device) -> torch.autocast:
    """Return a context of bfloat16 on a GPU, of full precision on a CPU."""
    return torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda")


def compile_function(function: _F, *, enabled: bool) -> _F:
    """Return the function through torch.compile; what it cannot compile runs as it is."""
    if not (enabled and torch.cuda.is_available()):
        return function
    torch._dynamo.config.suppress_errors = True
    torch._dynamo.config.cache_size_limit = 64
    return torch.compile(function, dynamic=False)


def parameter_count(module: torch.nn.Module) -> int:
    """Return the number of weights."""
    return sum(p.numel() for p in module.parameters())


def allow_fast_products() -> None:
    """Let float32 products use TensorFloat32 and convolutions search for their algorithm."""
    torch.backends.cuda.matmul.allow_tf32 = True
    torch.backends.cudnn.allow_tf32 = True
    torch.backends.cudnn.benchmark = True
