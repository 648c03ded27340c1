"""Train a LoRA that draws in another style (Hu et al. 2021, 2106.09685; LoCon for convolutions).

The model itself stays as it is. The file has the names of kohya's scripts.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from diffusers import AutoencoderKL
from safetensors.torch import save_file
from torch import Tensor, nn

from tools.train_emoji.bank import BATCH, caption, entries, render
from tools.train_emoji.dataset import Dataset
from tools.train_emoji.diffusion import Denoiser, VelocityLoss
from tools.train_emoji.networks import autocast, posterior
from tools.train_emoji.settings import SCALING_FACTOR, Settings
from tools.train_emoji.styles import STYLES_OF_LORA
from tools.train_emoji.timebox import TimeBox, cosine, log
from tools.train_emoji.tokenizer import Encoder

RANK = 8
TEXTS = 4
RATE = 2e-3
WARM_UP = 50


@dataclass(frozen=True)
class StyledBank:
    """Latents float16 (L, 4, h, w) of pictures in a style, and tokens int16 (L, TEXTS, 77)."""

    latents: Tensor
    tokens: Tensor
    cumulative: Tensor

    def draw(self, n: int) -> tuple[Tensor, Tensor]:
        """Draw n scaled latents float32 and their tokens int64 (n, 77)."""
        device = self.latents.device
        share = torch.rand(n, device=device, dtype=torch.float64)
        chosen = torch.searchsorted(self.cumulative, share).clamp(max=len(self.latents) - 1)
        spoken = torch.randint(self.tokens.shape[1], (n,), device=device)
        return self.latents[chosen].float(), self.tokens[chosen, spoken].long()


@torch.no_grad()
def build_styled_bank(
    data: Dataset, vae: AutoencoderKL, encoder: Encoder, settings: Settings, style: str
) -> StyledBank:
    """Put every picture of the training's mix into the style, and encode it."""
    rng = random.Random(11)
    kept = list(entries(data, settings.mix, rng))
    latents = []
    for start in range(0, len(kept), BATCH):
        pictures = render(data, [(entry, 0) for entry in kept[start : start + BATCH]])
        styled = STYLES_OF_LORA[style](pictures)
        with autocast(settings.device):
            mean, _ = posterior(vae, styled)
        latents.append((mean * SCALING_FACTOR).half())
    texts = [caption(e, data, settings.mix.label, rng) for e in kept for _ in range(TEXTS)]
    weight = torch.tensor([entry.weight for entry in kept], dtype=torch.float64)
    log(f"lora {style}: {len(kept)} pictures")
    return StyledBank(
        torch.cat(latents),
        encoder(texts).view(len(kept), TEXTS, -1).to(settings.device, torch.int16),
        (weight / weight.sum()).cumsum(0).to(settings.device),
    )


class LowRank(nn.Module):
    """A layer whose weights stay, and the low-rank change that is added to its output."""

    def __init__(self, layer: nn.Linear | nn.Conv2d) -> None:
        super().__init__()
        self.layer = layer
        self.down: nn.Module
        self.up: nn.Module
        if isinstance(layer, nn.Linear):
            rank = min(RANK, layer.in_features, layer.out_features)
            self.down = nn.Linear(layer.in_features, rank, bias=False)
            self.up = nn.Linear(rank, layer.out_features, bias=False)
        else:
            rank = min(RANK, layer.in_channels, layer.out_channels)
            how = (layer.kernel_size, layer.stride, layer.padding)
            self.down = nn.Conv2d(layer.in_channels, rank, *how, bias=False)
            self.up = nn.Conv2d(rank, layer.out_channels, 1, bias=False)
        nn.init.zeros_(self.up.weight)

    def forward(self, x: Tensor) -> Tensor:
        """Return the layer's output with the change."""
        changed: Tensor = self.layer(x) + self.up(self.down(x))
        return changed


def add_low_rank(unet: nn.Module) -> dict[str, LowRank]:
    """Replace linear layers and convolutions of blocks; return the new ones by the old names."""
    found = dict(_layers(unet))
    made = {name: LowRank(layer) for name, layer in found.items()}
    for name, layer in made.items():
        parent, _, last = name.rpartition(".")
        setattr(unet.get_submodule(parent), last, layer)
    return made


def _layers(unet: nn.Module) -> Iterator[tuple[str, nn.Linear | nn.Conv2d]]:
    for name, layer in unet.named_modules():
        is_in_block = "blocks." in name or name.startswith("mid_block")
        if is_in_block and "time_emb" not in name and isinstance(layer, nn.Linear | nn.Conv2d):
            yield name, layer


def train_lora(
    bank: StyledBank, net: Denoiser, empty: Tensor, settings: Settings
) -> dict[str, LowRank]:
    """Train a LoRA of the UNet for ``settings.diffusion.seconds``."""
    device, how = settings.device, settings.diffusion
    net.to(device)
    for network in (net.unet, net.text):
        network.eval().requires_grad_(False)
    layers = add_low_rank(net.unet)
    net.unet.to(device)
    learned = [each for layer in layers.values() for each in layer.parameters()]
    learned = [each for each in learned if each.requires_grad]
    log(f"lora: {sum(each.numel() for each in learned) / 1e6:.3f} M weights")
    optimiser = torch.optim.AdamW(learned, RATE, weight_decay=0.0)
    loss_of = VelocityLoss(net, empty, how, compile_it=False)
    box = TimeBox(how.seconds, max_steps=settings.max_steps, deadline=settings.deadline)
    step, over = 0, False
    while not over:
        loss = loss_of(*bank.draw(how.batch))
        loss.backward()
        for group in optimiser.param_groups:
            group["lr"] = RATE * min(1.0, (step + 1) / WARM_UP) * cosine(box.progress)
        torch.nn.utils.clip_grad_norm_(learned, 1.0)
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        step, over = step + 1, box.step_done()
        if step % 50 == 0 or over:
            log(f"lora step {step} {box.progress:.0%} loss {loss.item():.4f}")
    return layers


def export_lora(path: Path, layers: dict[str, LowRank], style: str) -> None:
    """Write the LoRA in float16, with the names of kohya's scripts."""
    tensors = {}
    for name, layer in layers.items():
        prefix = "lora_unet_" + name.replace(".", "_")
        tensors[f"{prefix}.lora_down.weight"] = layer.down.weight.detach().half().cpu()
        tensors[f"{prefix}.lora_up.weight"] = layer.up.weight.detach().half().cpu()
        tensors[f"{prefix}.alpha"] = torch.tensor(float(layer.down.weight.shape[0])).half()
    path.parent.mkdir(parents=True, exist_ok=True)
    about = {"ss_output_name": style, "ss_network_dim": str(RANK), "ss_v2": "False"}
    save_file({name: value.contiguous() for name, value in tensors.items()}, path, about)
    log(f"lora: {path.stat().st_size / 1e6:.2f} MB in {path}")
