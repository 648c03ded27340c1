"""The losses of the two trainings."""

import torch
import torch.nn.functional as F  # noqa: N812 - the name that the field knows
from torch import Tensor


def gradient_difference(x: Tensor, y: Tensor, scales: int = 3) -> Tensor:
    """Return the mean absolute difference of horizontal and vertical steps, summed over scales.

    It keeps edges sharp where a plain pixel loss is content with a blur.
    """
    total = torch.zeros((), device=x.device)
    for _ in range(scales):
        across = torch.diff(x, dim=-1) - torch.diff(y, dim=-1)
        down = torch.diff(x, dim=-2) - torch.diff(y, dim=-2)
        total = total + across.abs().mean() + down.abs().mean()
        x, y = F.avg_pool2d(x, 2), F.avg_pool2d(y, 2)
    return total


def kl_to_unit_normal(mean: Tensor, log_variance: Tensor) -> Tensor:
    """Return the Kullback-Leibler divergence of the posterior from N(0, 1), mean over elements."""
    return 0.5 * (mean**2 + log_variance.exp() - 1 - log_variance).mean()


def psnr(x: Tensor, y: Tensor) -> Tensor:
    """Return the peak signal-to-noise ratio in dB of each picture; both in [-1, 1] (peak 2)."""
    return 10 * torch.log10(4 / ((x - y) ** 2).mean((1, 2, 3)))


def alphas_cumulative(device: torch.device) -> Tensor:
    """Return the share of signal at each of 1000 steps of Stable Diffusion's schedule."""
    betas = torch.linspace(0.00085**0.5, 0.012**0.5, 1000, dtype=torch.float64) ** 2
    return torch.cumprod(1 - betas, 0).to(device, torch.float32)


def velocity_weight(alphas: Tensor, limit: float, least: float = 0.0) -> Tensor:
    """Return the weight of v's squared error: min(SNR, limit) / (SNR + 1) (Hang et al. 2023).

    That is next to nothing in nearly pure noise, where the words alone decide what the
    picture becomes: no weight is below `least`.
    """
    snr = alphas / (1 - alphas)
    return (snr.clamp(max=limit) / (snr + 1)).clamp(min=least)
