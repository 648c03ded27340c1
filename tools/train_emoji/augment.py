"""Changes that keep a picture's subject: place, size, turn, background, hue, contrast.

All work on batches on the device. Pictures are premultiplied RGBA (n, 4, S, S) in [0, 1]
until they are laid over a background; then RGB (n, 3, S, S).
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812 - the name that the field knows
from torch import Tensor

from tools.train_emoji.dataset import Dataset

_RGB_TO_YIQ = ((0.299, 0.587, 0.114), (0.596, -0.274, -0.322), (0.211, -0.523, 0.312))


@dataclass(frozen=True)
class Placement:
    """Size factor, shift in half sides, mirror, and turn in radians; one of each a picture."""

    scale: Tensor
    shift_x: Tensor
    shift_y: Tensor
    mirror: Tensor
    turn: Tensor


def uniform(n: int, low: float, high: float, device: torch.device) -> Tensor:
    """Draw n numbers in [low, high)."""
    return torch.rand(n, device=device) * (high - low) + low


def random_flags(n: int, probability: float, device: torch.device) -> Tensor:
    """Draw n booleans that are true with the given probability."""
    return torch.rand(n, device=device) < probability


def place(x: Tensor, at: Placement) -> Tensor:
    """Move the pictures; pixels from outside are transparent."""
    cos, sin = torch.cos(at.turn) / at.scale, torch.sin(at.turn) / at.scale
    sign = torch.where(at.mirror, -1.0, 1.0)
    first = torch.stack([cos * sign, -sin * sign, -(cos * at.shift_x - sin * at.shift_y) * sign], 1)
    second = torch.stack([sin, cos, -(sin * at.shift_x + cos * at.shift_y)], 1)
    grid = F.affine_grid(torch.stack([first, second], 1), list(x.shape), align_corners=False)
    return F.grid_sample(x, grid, padding_mode="zeros", align_corners=False)


def composite(x: Tensor, background: Tensor) -> Tensor:
    """Lay premultiplied RGBA over RGB."""
    return x[:, :3] + (1 - x[:, 3:4]) * background


def turn_hue(rgb: Tensor, angle: Tensor) -> Tensor:
    """Rotate all colours about the grey axis in YIQ by `angle` (radians, one a picture)."""
    to_yiq = torch.tensor(_RGB_TO_YIQ, device=rgb.device)
    cos, sin = torch.cos(angle), torch.sin(angle)
    zero, one = torch.zeros_like(cos), torch.ones_like(cos)
    rows = [[one, zero, zero], [zero, cos, -sin], [zero, sin, cos]]
    rotation = torch.stack([torch.stack(row, 1) for row in rows], 1)
    return torch.einsum("bij,bjhw->bihw", torch.linalg.inv(to_yiq) @ rotation @ to_yiq, rgb)


def _backgrounds(n: int, size: int, device: torch.device) -> Tensor:
    """Draw backgrounds: white (60 %), one colour (20 %), or a smooth mix of four colours (20 %)."""
    pick = torch.rand(n, 1, 1, 1, device=device)
    corners = torch.rand(n, 3, 2, 2, device=device)
    mixed = F.interpolate(corners, (size, size), mode="bilinear", align_corners=True)
    plain = torch.rand(n, 3, 1, 1, device=device).expand_as(mixed)
    rest = torch.where(pick < 0.4, mixed, torch.ones_like(mixed))
    return torch.where(pick < 0.2, plain, rest)


def wild_placement(n: int, device: torch.device) -> Placement:
    """Draw placements: 40 % unchanged, the others moved, sized and sometimes turned."""
    still = random_flags(n, 0.4, device)
    zero = torch.zeros(n, device=device)
    turned = random_flags(n, 0.3, device) & ~still
    return Placement(
        scale=torch.where(still, zero + 1, uniform(n, 0.5, 1.35, device)),
        shift_x=torch.where(still, zero, uniform(n, -0.25, 0.25, device)),
        shift_y=torch.where(still, zero, uniform(n, -0.25, 0.25, device)),
        mirror=random_flags(n, 0.5, device),
        turn=torch.where(turned, uniform(n, -0.5, 0.5, device), zero),
    )


def wild_batch(data: Dataset, n: int) -> Tensor:
    """Return a strongly varied batch for the VAE, RGB in [-1, 1]."""
    device, size = data.pixels.device, data.pixels.shape[-1]
    index = torch.randint(len(data.pictures), (n,), device=device)
    x = place(data.premultiply(index), wild_placement(n, device))
    y = composite(x, _backgrounds(n, size, device))
    recoloured = random_flags(n, 0.35, device)[:, None, None, None]
    y = torch.where(recoloured, turn_hue(y, uniform(n, 0, 6.2832, device)), y)
    dimmed = random_flags(n, 0.15, device)[:, None, None, None]
    slope = uniform(n, 0.6, 1.1, device)[:, None, None, None]
    level = uniform(n, 0.35, 0.6, device)[:, None, None, None]
    y = torch.where(dimmed, (y - 0.5) * slope + level, y)
    return y.clamp(0, 1) * 2 - 1


def slight_placement(moved: Tensor) -> Placement:
    """Move the pictures marked in `moved` a little, without mirroring them."""
    n, device = len(moved), moved.device
    zero = torch.zeros(n, device=device)
    return Placement(
        scale=torch.where(moved, uniform(n, 0.86, 1.04, device), zero + 1),
        shift_x=torch.where(moved, uniform(n, -0.06, 0.06, device), zero),
        shift_y=torch.where(moved, uniform(n, -0.06, 0.06, device), zero),
        mirror=torch.zeros_like(moved),
        turn=zero,
    )
