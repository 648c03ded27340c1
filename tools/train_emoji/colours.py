"""Recolour pictures, so that colour words can be taught for every object.

Pixels near the dominant hue move to the target's hue with their shading kept; eyes, stems
and other parts of another hue stay. Pictures with next to no hue (an elephant, a rabbit)
are tinted where they are pale or grey. Black, white, gray and brown are targets of their
own: little saturation, or a dark orange.
"""

import torch
from torch import Tensor

# Hues in degrees; the negative ones are not hues but kinds of target.
BLACK, WHITE, GRAY, BROWN = -1.0, -2.0, -3.0, -4.0
COLOURS: dict[str, float] = {
    "red": 0.0,
    "orange": 28.0,
    "yellow": 50.0,
    "green": 125.0,
    "teal": 178.0,
    "blue": 214.0,
    "purple": 276.0,
    "pink": 328.0,
    "black": BLACK,
    "white": WHITE,
    "gray": GRAY,
    "brown": BROWN,
}
BACKGROUNDS: dict[str, tuple[float, float, float]] = {
    "red": (0.9, 0.25, 0.25),
    "orange": (1.0, 0.62, 0.25),
    "yellow": (1.0, 0.88, 0.35),
    "green": (0.4, 0.78, 0.45),
    "blue": (0.35, 0.6, 0.95),
    "purple": (0.65, 0.45, 0.85),
    "pink": (1.0, 0.68, 0.8),
    "black": (0.04, 0.04, 0.05),
    "gray": (0.6, 0.6, 0.62),
}


def to_hsv(rgb: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return hue in degrees, saturation and value in [0, 1], each (n, H, W), of (n, 3, H, W)."""
    value, largest = rgb.max(1)
    spread = value - rgb.min(1)[0]
    safe = spread.clamp_min(1e-5)
    red, green, blue = rgb.unbind(1)
    warm = torch.where(largest == 1, (blue - red) / safe + 2, (red - green) / safe + 4)
    hue = torch.where(largest == 0, ((green - blue) / safe) % 6, warm) * 60
    return hue, spread / value.clamp_min(1e-5), value


def from_hsv(hue: Tensor, saturation: Tensor, value: Tensor) -> Tensor:
    """Return RGB from hue, saturation and value; the inverse of `to_hsv`."""

    def channel(n: int) -> Tensor:
        k = (n + hue / 60) % 6
        return value - value * saturation * torch.minimum(k, 4 - k).clamp(0, 1)

    return torch.stack([channel(5), channel(3), channel(1)], 1)


def recolour(x: Tensor, hue: Tensor, target: Tensor) -> Tensor:
    """Change the dominant `hue` (-1: none) of premultiplied RGBA (n, 4, H, W) to `target` (n,)."""
    alpha = x[:, 3:4]
    rgb = (x[:, :3] / alpha.clamp_min(1e-4)).clamp(0, 1)
    h, s, v = to_hsv(rgb)
    hueless = (hue < 0)[:, None, None]
    relative = (h - hue[:, None, None] + 180) % 360 - 180
    near = ((48 - relative.abs()) / 12).clamp(0, 1) * ((s - 0.12) / 0.12).clamp(0, 1)
    pale = ((0.45 - s) / 0.15).clamp(0, 1) * ((v - 0.3) / 0.15).clamp(0, 1)
    weight = torch.where(hueless, pale, near)
    relative = torch.where(hueless, torch.zeros_like(relative), relative)
    colour = torch.where(hueless, 0.6 + 0.3 * (1 - v), 0.35 + 0.6 * s)
    new = from_hsv(*_paint(relative, colour, v, target[:, None, None]))
    mixed = rgb + weight[:, None] * (new - rgb)
    return torch.cat([mixed * alpha, alpha], 1)


def _paint(
    relative: Tensor, saturation: Tensor, value: Tensor, target: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Return HSV of the repainted pixels: shading kept, hue and strength from the target."""
    h = (target + relative * 0.6) % 360
    s, v = saturation.clamp(max=0.92), value * 0.85 + 0.15
    shade = 0.5 * value + 0.5 * (1 - saturation)
    is_grey = (target <= BLACK) & (target > BROWN)
    s = torch.where(is_grey, saturation * 0.02, s)
    v = torch.where(target == BLACK, 0.10 + 0.22 * shade, v)
    v = torch.where(target == WHITE, 0.80 + 0.20 * shade, v)
    v = torch.where(target == GRAY, 0.35 + 0.35 * shade, v)
    h = torch.where(target == BROWN, 24 + relative * 0.4, h)
    s = torch.where(target == BROWN, 0.45 + 0.3 * saturation, s)
    v = torch.where(target == BROWN, value * 0.62, v)
    return h % 360, s, v
