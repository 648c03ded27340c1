"""Write a Stable Diffusion 1.5 folder with random weights and reference results beside it.

    python -m tools.full_size FOLDER

Needs a CUDA device, PyTorch, diffusers and transformers. ``FOLDER/reference.npz`` holds inputs and
fp32 results (TF32 off) of one UNet call at 512 x 512 with batch 2 and of one VAE decoding;
``FOLDER/peer.json`` PyTorch's own times in fp16 on the same card.
"""

from __future__ import annotations

import json
import shutil
import statistics
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel

EMOJI = Path(__file__).resolve().parents[2] / "models" / "emoji"

UNET = {
    "sample_size": 64,
    "cross_attention_dim": 768,
    "attention_head_dim": 8,
    "block_out_channels": [320, 640, 1280, 1280],
}
VAE = {
    "block_out_channels": [128, 256, 512, 512],
    "down_block_types": ["DownEncoderBlock2D"] * 4,
    "up_block_types": ["UpDecoderBlock2D"] * 4,
    "layers_per_block": 2,
    "latent_channels": 4,
    "sample_size": 512,
}
TEXT = {
    "hidden_size": 768,
    "intermediate_size": 3072,
    "num_attention_heads": 12,
    "num_hidden_layers": 12,
    "vocab_size": 49408,
    "projection_dim": 768,
}


@torch.no_grad()
def randomize(network: torch.nn.Module, seed: int) -> None:
    """Weights of deviation 1/sqrt(fan in), norms 1 +- 0.2, biases 0 +- 0.1, rounded to f16."""
    generator = torch.Generator("cuda").manual_seed(seed)
    for name, value in network.named_parameters():
        noise = torch.randn(value.shape, generator=generator, device="cuda")
        if value.ndim == 1:
            offset = 0.0 if name.endswith("bias") else 1.0
            value.copy_(offset + (0.2 if offset else 0.1) * noise)
        elif "embedding" in name and "time" not in name:
            value.copy_(0.1 * noise)
        else:
            value.copy_(noise / value[0].numel() ** 0.5)
        value.copy_(value.half().float())


def build(seed: int) -> dict[str, torch.nn.Module]:
    """The three networks on the card, fp32."""
    networks = {
        "unet": UNet2DConditionModel(**UNET),
        "vae": AutoencoderKL(**VAE),
        "text_encoder": CLIPTextModel(CLIPTextConfig(**TEXT)),
    }
    for offset, network in enumerate(networks.values()):
        network.to("cuda").eval()
        randomize(network, seed + offset)
    return networks


def write_folder(folder: Path, networks: dict[str, Any]) -> None:
    """The diffusers layout; tokenizer and scheduler are the bundled model's."""
    for name, network in networks.items():
        network.half().save_pretrained(folder / name)
        network.float()
    for name in ("tokenizer", "scheduler"):
        shutil.copytree(EMOJI / name, folder / name, dirs_exist_ok=True)
    shutil.copy(EMOJI / "model_index.json", folder / "model_index.json")


@torch.no_grad()
def reference(networks: dict[str, Any]) -> dict[str, np.ndarray]:  # type: ignore[type-arg]
    """Inputs and fp32 results."""
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    generator = torch.Generator("cuda").manual_seed(7)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=generator, device="cuda").half().float()

    latents, text, code = normal(2, 4, 64, 64), normal(2, 77, 768), normal(1, 4, 64, 64)
    output = networks["unet"](latents, 500.0, text).sample
    image = networks["vae"].decode(code).sample
    arrays = {"latents": latents, "text": text, "unet": output, "code": code, "image": image}
    return {name: array.cpu().numpy() for name, array in arrays.items()}


@torch.no_grad()
def median_ms(call: Callable[[], object], repeats: int = 20) -> float:
    """Median time of a call on the card."""
    for _ in range(5):
        call()
    times = []
    for _ in range(repeats):
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        call()
        end.record()
        torch.cuda.synchronize()
        times.append(start.elapsed_time(end))
    return statistics.median(times)


@torch.no_grad()
def peer(networks: dict[str, Any]) -> dict[str, object]:
    """PyTorch's times in fp16, eager, in milliseconds."""
    unet, vae = networks["unet"].half(), networks["vae"].half()
    latents = torch.randn(2, 4, 64, 64, device="cuda", dtype=torch.float16)
    text = torch.randn(2, 77, 768, device="cuda", dtype=torch.float16)
    return {
        "torch": torch.__version__,
        "card": torch.cuda.get_device_name(),
        "unet_ms": median_ms(lambda: unet(latents, 500.0, text)),
        "vae_ms": median_ms(lambda: vae.decode(latents[:1])),
    }


def main() -> None:
    """Make the folder named on the command line."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    networks = build(seed=1)
    write_folder(folder, networks)
    np.savez(folder / "reference.npz", **reference(networks))  # type: ignore[arg-type]
    (folder / "peer.json").write_text(json.dumps(peer(networks), indent=2) + "\n")


if __name__ == "__main__":
    main()
