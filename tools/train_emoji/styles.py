"""Styles that pictures are put into by arithmetic, for LoRAs to learn."""

from collections.abc import Callable

import torch
import torch.nn.functional as F  # noqa: N812 - the name that the field knows
from torch import Tensor

__all__ = ["STYLES_OF_LORA"]

BLOCK = 8
LEVELS = 5
NIGHT = (0.05, 0.03, 0.12)


def pixel_art(pictures: Tensor) -> Tensor:
    """Return pictures (B, 3, S, S) in [-1, 1] as blocks of 8 pixels with 6 levels a colour."""
    blocks = F.avg_pool2d(pictures * 0.5 + 0.5, BLOCK)
    levels = (blocks * LEVELS).round() / LEVELS
    return F.interpolate(levels, scale_factor=BLOCK, mode="nearest") * 2 - 1


def neon(pictures: Tensor) -> Tensor:
    """Return the outlines of pictures (B, 3, S, S) in [-1, 1] as lamps that glow in the dark."""
    colours = pictures * 0.5 + 0.5
    smooth = _blur(colours, 1.2)
    across = F.pad(smooth[..., 1:] - smooth[..., :-1], (0, 1))
    down = F.pad(smooth[..., 1:, :] - smooth[..., :-1, :], (0, 0, 0, 1))
    lines = (across**2 + down**2).sum(1, keepdim=True).sqrt()
    lines = (lines * 6 - 0.25).clamp(0, 1)
    lamp = _strong(_blur(colours, 3.0))
    glow = _blur(lines * lamp, 7.0) * 1.6
    night = torch.tensor(NIGHT, device=pictures.device)[:, None, None]
    return (night + glow + _blur(lines, 0.8) * (0.25 + 0.75 * lamp)).clamp(0, 1) * 2 - 1


def _strong(colours: Tensor) -> Tensor:
    """Return colours whose greatest channel is 1 and whose least is near 0; of grey ones cyan."""
    least, most = colours.amin(1, keepdim=True), colours.amax(1, keepdim=True)
    cyan = torch.tensor((0.25, 0.9, 1.0), device=colours.device)[:, None, None]
    spread = most - least
    full = (colours - least) / spread.clamp(min=1e-3)
    return torch.lerp(cyan.expand_as(full), full, (spread * 5).clamp(0, 1))


def _blur(x: Tensor, deviation: float) -> Tensor:
    """Return x smoothed by a Gaussian of a deviation in pixels."""
    reach = int(3 * deviation) + 1
    at = torch.arange(-reach, reach + 1, device=x.device, dtype=x.dtype)
    weights = torch.exp(-0.5 * (at / deviation) ** 2)
    weights = (weights / weights.sum()).expand(x.shape[1], 1, -1)
    x = F.pad(x, (reach, reach, reach, reach), mode="replicate")
    x = F.conv2d(x, weights[:, :, None], groups=x.shape[1])
    return F.conv2d(x, weights[:, :, :, None], groups=x.shape[1])


STYLES_OF_LORA: dict[str, Callable[[Tensor], Tensor]] = {"pixel": pixel_art, "neon": neon}
"""Styles by name."""
