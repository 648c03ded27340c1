"""Train the autoencoder, then make its latents look like Stable Diffusion's."""

import random

import torch
import torch.nn.functional as F  # noqa: N812 - the name that the field knows
from diffusers import AutoencoderKL
from torch import Tensor

from tools.train_emoji.augment import wild_batch
from tools.train_emoji.averaging import WeightAverage
from tools.train_emoji.dataset import Dataset
from tools.train_emoji.losses import gradient_difference, kl_to_unit_normal
from tools.train_emoji.networks import (
    autocast,
    build_vae,
    compile_function,
    decode,
    load_vae,
    parameter_count,
    posterior,
)
from tools.train_emoji.settings import SCALING_FACTOR, Settings, VaeTraining
from tools.train_emoji.timebox import TimeBox, cosine, log, wait_for_gpu


class VaeLoss:
    """Reconstruction, edges and a weak pull of the latents towards a unit normal.

    With `small` the latent is halved and must decode to the halved picture, which makes
    latents smooth and easier to learn (Kouzelis et al. 2025, EQ-VAE).
    """

    def __init__(self, vae: AutoencoderKL, weights: VaeTraining) -> None:
        self._vae = vae
        factors = [1.0, weights.squared_weight, weights.gradient_weight, weights.kl_weight]
        self._factors = torch.tensor(factors, device=vae.device)

    def __call__(self, x: Tensor, noise: Tensor, small: bool) -> tuple[Tensor, Tensor]:
        """Return the loss, and (absolute, squared, gradient, divergence) to look at."""
        mean, log_variance = posterior(self._vae, x)
        latents = mean + torch.exp(0.5 * log_variance) * noise
        if small:
            latents, x = F.avg_pool2d(latents, 2), F.avg_pool2d(x, 2)
        y = decode(self._vae, latents)
        parts = torch.stack(
            [
                (y - x).abs().mean(),
                ((y - x) ** 2).mean(),
                gradient_difference(y, x),
                kl_to_unit_normal(mean, log_variance),
            ]
        )
        return (parts * self._factors).sum(), parts.detach()


def train_vae(data: Dataset, settings: Settings) -> AutoencoderKL:
    """Train for the set time and return the averaged network, latents normalised."""
    vae = _start(settings).to(settings.device).train()
    vae = vae.to(memory_format=torch.channels_last)
    average = WeightAverage(vae.parameters())
    log(f"vae: {parameter_count(vae) / 1e6:.3f} M weights")
    _fit(vae, average, data, settings)
    average.apply()
    vae.eval().requires_grad_(False)
    normalise_latents(vae, data)
    return vae


def _start(settings: Settings) -> AutoencoderKL:
    """Return a new network with little posterior noise, or the one to resume from."""
    folder = settings.vae.start_from
    if folder is not None:
        return load_vae(folder, SCALING_FACTOR)
    vae = build_vae(settings.sizes)
    with torch.no_grad():
        vae.quant_conv.bias[4:] = -4.0
    return vae


def _fit(vae: AutoencoderKL, average: WeightAverage, data: Dataset, settings: Settings) -> None:
    how, device = settings.vae, settings.device
    parameters = list(vae.parameters())
    optimiser = torch.optim.AdamW(
        parameters,
        how.learning_rate,
        betas=(0.9, 0.99),
        weight_decay=1e-3,
        fused=device.type == "cuda",
    )
    loss_of = compile_function(VaeLoss(vae, how).__call__, enabled=settings.compile)
    box = TimeBox(how.seconds, max_steps=settings.max_steps, deadline=settings.deadline)
    rng, side = random.Random(5), settings.sizes.latent
    over = False
    while not over:
        wanted = rng.random() < how.small_latent_share
        small = (wanted and box.progress < how.small_latent_until) or box.steps == 1
        x = wild_batch(data, how.batch).contiguous(memory_format=torch.channels_last)
        noise = torch.randn(how.batch, 4, side, side, device=device)
        with autocast(device):
            loss, parts = loss_of(x, noise, small)
        loss.backward()
        rate = how.learning_rate * min(1.0, (box.steps + 1) / 200) * cosine(box.progress)
        for group in optimiser.param_groups:
            group["lr"] = rate
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        average.follow(box.steps)
        over = box.step_done()
        if box.steps % 250 == 0 or over:
            wait_for_gpu()
            _report(box, parts, how.batch)


def _report(box: TimeBox, parts: Tensor, batch: int) -> None:
    absolute, squared, gradient, divergence = parts.tolist()
    decibels = 10 * torch.log10(torch.tensor(4 / squared)).item()
    speed = box.timed_steps * batch / max(box.elapsed, 1e-3)
    log(
        f"vae step {box.steps} {box.progress:.0%} l1 {absolute:.4f} edges {gradient:.4f} "
        f"kl {divergence:.2f} batch psnr {decibels:.2f} dB {speed:.0f} images/s"
    )


@torch.no_grad()
def normalise_latents(vae: AutoencoderKL, data: Dataset) -> None:
    """Fold an affine map into the two 1x1 convolutions about the latents.

    Afterwards each latent channel of the data has mean 0 and deviation 1 / 0.18215, so
    that the model's scaling factor is Stable Diffusion's own.
    """
    device = data.pixels.device
    chosen = torch.randperm(len(data.pictures), generator=torch.Generator().manual_seed(0))
    with autocast(device):
        batches = [data.on_white(part.to(device)) for part in chosen[:512].split(32)]
        means = torch.cat([posterior(vae, x)[0] for x in batches])
    mean, deviation = means.mean((0, 2, 3)), means.std((0, 2, 3))
    gain = 1 / (deviation * SCALING_FACTOR)
    before, after = vae.quant_conv, vae.post_quant_conv
    before.weight[:4] *= gain[:, None, None, None]
    before.bias[:4] = (before.bias[:4] - mean) * gain
    before.bias[4:] += 2 * gain.log()
    after.bias += (after.weight[:, :, 0, 0] * mean).sum(1)
    after.weight /= gain[None, :, None, None]
    log("vae: latents had mean", mean.tolist(), "deviation", deviation.tolist())
