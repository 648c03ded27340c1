"""Train a T2I-Adapter that leads the finished model by edges (Mou et al. 2023, 2302.08453).

It reads Canny's edges, as ``--preprocessor canny`` makes them, and is small: about 3 MB. The model
itself stays as it is.
"""

import random
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F  # noqa: N812 - the name that the field knows
from diffusers import AutoencoderKL, T2IAdapter
from safetensors.torch import save_file
from torch import Tensor

from tools.train_emoji.augment import wild_placement
from tools.train_emoji.averaging import WeightAverage
from tools.train_emoji.bank import BATCH, Entry, caption, entries, render
from tools.train_emoji.dataset import Dataset
from tools.train_emoji.diffusion import Denoiser
from tools.train_emoji.losses import alphas_cumulative, velocity_weight
from tools.train_emoji.model_export import half_weights
from tools.train_emoji.networks import autocast, parameter_count, posterior
from tools.train_emoji.settings import SCALING_FACTOR, Settings
from tools.train_emoji.timebox import TimeBox, cosine, log
from tools.train_emoji.tokenizer import Encoder

LOW, HIGH = 100.0, 200.0
"""Thresholds of the edges: the defaults of ``--preprocessor canny``."""
SPREAD = 64
"""How far a strong edge carries a weak one, in pixels."""
LUMA = (0.299, 0.587, 0.114)
TEXTS = 4
VIEWS = 6
SILENCE = 0.5
"""The share of empty captions: where words name the picture, edges have little to tell."""
RATE = 1e-3
WARM_UP = 100


@dataclass(frozen=True)
class EdgeBank:
    """Latents float16 (L, 4, h, w), edges uint8 (L, 1, H, W), and tokens int16 (L, TEXTS, 77)."""

    latents: Tensor
    edges: Tensor
    tokens: Tensor
    cumulative: Tensor

    def draw(self, n: int) -> tuple[Tensor, Tensor, Tensor]:
        """Draw n scaled latents, edges of 0 and 1, and tokens."""
        device = self.latents.device
        share = torch.rand(n, device=device, dtype=torch.float64)
        chosen = torch.searchsorted(self.cumulative, share).clamp(max=len(self.latents) - 1)
        spoken = torch.randint(self.tokens.shape[1], (n,), device=device)
        tokens = self.tokens[chosen, spoken].long()
        return self.latents[chosen].float(), self.edges[chosen].float(), tokens


def find_edges(pictures: Tensor) -> Tensor:
    """Return Canny's edges (B, 1, H, W), 0 or 1, of RGB pictures in [-1, 1]."""
    weights = torch.tensor(LUMA, device=pictures.device)[None, :, None, None]
    grey = ((pictures * 0.5 + 0.5) * 255 * weights).sum(1, keepdim=True)
    across = torch.tensor([[-1.0, 0, 1], [-2, 0, 2], [-1, 0, 1]], device=grey.device)
    kernels = torch.stack([across, across.T])[:, None]
    sides = F.conv2d(F.pad(grey, (1, 1, 1, 1), mode="replicate"), kernels)
    lengths = sides.norm(dim=1, keepdim=True)
    kept = _thin(lengths, sides)
    weak, strong = kept & (lengths >= LOW), kept & (lengths >= HIGH)
    for _ in range(SPREAD):
        strong = (F.max_pool2d(strong.float(), 3, 1, 1) > 0) & weak
    return strong.to(torch.uint8)


def _thin(lengths: Tensor, sides: Tensor) -> Tensor:
    """Tell where a gradient is no less than at both neighbours in its direction, of four."""
    angle = torch.atan2(sides[:, 1:], sides[:, :1])
    sector = (torch.round(angle / (torch.pi / 4)) % 4).long()
    padded = F.pad(lengths, (1, 1, 1, 1))
    height, width = lengths.shape[2:]
    kept = torch.zeros_like(lengths, dtype=torch.bool)
    for number, (down, right) in enumerate(((0, 1), (1, 1), (1, 0), (1, -1))):
        ahead = padded[:, :, 1 + down : 1 + down + height, 1 + right : 1 + right + width]
        behind = padded[:, :, 1 - down : 1 - down + height, 1 - right : 1 - right + width]
        kept |= (sector == number) & (lengths >= ahead) & (lengths > behind)
    return kept


@torch.no_grad()
def build_edge_bank(
    data: Dataset, vae: AutoencoderKL, encoder: Encoder, settings: Settings
) -> EdgeBank:
    """Encode pictures of the training's mix, and find their edges.

    Views are moved, mirrored, sized and turned at random. As drawn, the words would tell where all
    lines are, and an adapter would learn nothing.
    """
    rng = random.Random(7)
    kept = list(entries(data, settings.mix, rng))
    wanted = [(entry, 0) for entry in kept for _ in range(_views(entry))]
    latents, edges = [], []
    for start in range(0, len(wanted), BATCH):
        some = wanted[start : start + BATCH]
        pictures = render(data, some, wild_placement(len(some), settings.device))
        with autocast(settings.device):
            mean, _ = posterior(vae, pictures)
        latents.append((mean * SCALING_FACTOR).half())
        edges.append(find_edges(pictures))
    texts = [caption(e, data, settings.mix.label, rng) for e, _ in wanted for _ in range(TEXTS)]
    weight = torch.tensor([e.weight / _views(e) for e, _ in wanted], dtype=torch.float64)
    log(f"control: {len(wanted)} pictures with edges")
    return EdgeBank(
        torch.cat(latents),
        torch.cat(edges),
        encoder(texts).view(len(wanted), TEXTS, -1).to(settings.device, torch.int16),
        (weight / weight.sum()).cumsum(0).to(settings.device),
    )


def _views(entry: Entry) -> int:
    return VIEWS if entry.kind == "plain" else 1


def build_adapter(net: Denoiser, downscale: int) -> T2IAdapter:
    """Build an adapter of grey pictures for a model whose first level has no attention.

    As in SDXL, its features begin after that level is halved, and the middle reads some, too.
    """
    widths = list(net.unet.config.block_out_channels)
    return T2IAdapter(
        in_channels=1,
        channels=[*widths, widths[-1]],
        num_res_blocks=2,
        downscale_factor=2 * downscale,
        adapter_type="full_adapter_xl",
    )


def train_control(bank: EdgeBank, net: Denoiser, empty: Tensor, settings: Settings) -> T2IAdapter:
    """Train an adapter for ``settings.diffusion.seconds``; return it with averaged weights."""
    device, how = settings.device, settings.diffusion
    adapter = build_adapter(net, settings.sizes.image // settings.sizes.latent).to(device)
    log(f"control: {parameter_count(adapter) / 1e6:.3f} M weights")
    net.to(device)
    net.unet.eval().requires_grad_(False)
    net.text.eval().requires_grad_(False)
    optimiser = torch.optim.AdamW(adapter.parameters(), RATE, weight_decay=0.01)
    average = WeightAverage(adapter.parameters())
    alphas = alphas_cumulative(device)
    weights = velocity_weight(alphas, how.snr_limit, how.least_weight)
    box = TimeBox(how.seconds, max_steps=settings.max_steps, deadline=settings.deadline)
    step, over, smooth = 0, False, 0.0
    while not over:
        latents, edges, tokens = bank.draw(how.batch)
        dropped = torch.rand(len(tokens), 1, device=device) < SILENCE
        loss = _loss(net, adapter, (latents, edges, torch.where(dropped, empty, tokens)), alphas)
        loss = (loss[0] * weights[loss[1]]).mean()
        loss.backward()
        for group in optimiser.param_groups:
            group["lr"] = RATE * min(1.0, (step + 1) / WARM_UP) * cosine(box.progress)
        torch.nn.utils.clip_grad_norm_(adapter.parameters(), 1.0)
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        average.follow(step)
        step, over = step + 1, box.step_done()
        if step % 200 == 0 or over:
            smooth = loss.item()
            log(f"control step {step} {box.progress:.0%} loss {smooth:.4f}")
    average.apply()
    return adapter


def _loss(
    net: Denoiser, adapter: T2IAdapter, batch: tuple[Tensor, Tensor, Tensor], alphas: Tensor
) -> tuple[Tensor, Tensor]:
    """Return the squared error of v for each picture, and the time steps.

    Early steps, which decide the layout, are drawn more often, as in the paper (section 3.3).
    """
    latents, edges, tokens = batch
    n, device = len(latents), latents.device
    t = ((1 - torch.rand(n, device=device) ** 3) * 1000).long().clamp(max=999)
    noise = torch.randn_like(latents)
    signal = alphas[t].sqrt()[:, None, None, None]
    amount = (1 - alphas[t]).sqrt()[:, None, None, None]
    with autocast(device):
        with torch.no_grad():
            context = net.text(input_ids=tokens).last_hidden_state
        guess = net.unet(
            signal * latents + amount * noise,
            t,
            encoder_hidden_states=context,
            down_intrablock_additional_residuals=list(adapter(edges)),
        ).sample
    error = (guess.float() - (signal * noise - amount * latents)) ** 2
    return error.mean((1, 2, 3)), t


def export_control(folder: Path, adapter: T2IAdapter) -> None:
    """Write the adapter as diffusers does, in float16."""
    folder.mkdir(parents=True, exist_ok=True)
    adapter.save_config(folder)
    save_file(
        half_weights(adapter), folder / "diffusion_pytorch_model.safetensors", {"format": "pt"}
    )
    size = sum(path.stat().st_size for path in folder.iterdir())
    log(f"control: {size / 1e6:.2f} MB in {folder}")
