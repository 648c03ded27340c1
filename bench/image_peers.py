"""Images in PyTorch, as its users write them; results are those of `gpustd.image`.

A peer takes PyTorch and a picture (N, H, W, C) and gives the call. Filters get planes (N, C, H, W),
the layout that PyTorch prefers there, made before the clock starts. They know no u8: such a call
goes through f32, or f16 where that holds all levels, and rounds.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

__all__ = [
    "blur",
    "composite",
    "equalised",
    "eroded",
    "flipped",
    "halved",
    "histogram",
    "lab",
    "matrix",
    "median",
    "rotated",
    "sobel",
]

Call = Callable[[], object]
Peer = Callable[[Any, Any], Call]
Matrix = Sequence[Sequence[float]]

_LIGHT = (
    (0.412453 / 0.95047, 0.357580 / 0.95047, 0.180423 / 0.95047),
    (0.212671, 0.715160, 0.072169),
    (0.019334 / 1.08883, 0.119193 / 1.08883, 0.950227 / 1.08883),
)
_STEP = 6 / 29


def flipped(axis: int) -> Peer:
    """Reversed along an axis of (N, H, W, C)."""
    return lambda torch, x: lambda: torch.flip(x, (axis,))


def matrix(rows: Matrix, offset: Sequence[float]) -> Peer:
    """Channels through a matrix, as a convolution of 1 x 1; of u8 with the half for rounding."""

    def make(torch: Any, x: Any) -> Call:
        planes, half = _planes(x), 0.5 * (x.dtype == torch.uint8)
        weights = torch.tensor(rows)[:, :, None, None]
        bias = torch.tensor(offset) + half
        convolve = torch.nn.functional.conv2d
        if not half:
            return lambda: _last(convolve(planes, weights, bias))
        return lambda: _last(_cut(torch, convolve(planes.float(), weights, bias)))

    return make


def lab(torch: Any, x: Any) -> Call:
    """sRGB in f32 to L*a*b*: two powers and two matrices."""
    planes = _planes(x)
    light = torch.tensor(_LIGHT)[:, :, None, None]
    mixed = torch.tensor([[0.0, 116, 0], [500, -500, 0], [0, 200, -200]])[:, :, None, None]
    bias = torch.tensor([-16.0, 0, 0])
    convolve = torch.nn.functional.conv2d

    def call() -> object:
        c = torch.where(planes <= 0.04045, planes / 12.92, ((planes + 0.055) / 1.055).pow(2.4))
        t = convolve(c, light)
        low = t / (3 * _STEP**2) + 4 / 29
        return _last(convolve(torch.where(t <= _STEP**3, low, t.pow(1 / 3)), mixed, bias))

    return call


def blur(weights: Sequence[float]) -> Peer:
    """A blur by the same weights down and across: one depthwise convolution up to 5 x 5, else two.

    Beyond the edge PyTorch's "reflect", which is our "mirror".
    """
    radius = len(weights) // 2

    def make(torch: Any, x: Any) -> Call:
        planes = _planes(x)
        line = torch.tensor(weights)
        kernels = [line[:, None] * line] if radius <= 2 else [line[:, None], line[None]]
        filters = [k.expand(_count(planes), 1, *k.shape).contiguous() for k in kernels]

        def call() -> object:
            y = _padded(torch, planes.float(), radius, "reflect")
            for each in filters:
                y = torch.nn.functional.conv2d(y, each, groups=len(each))
            y = y.view(planes.shape)
            return _last(_cut(torch, y.add_(0.5)) if x.dtype == torch.uint8 else y)

        return call

    return make


def median(size: int) -> Peer:
    """Windows unfolded, then `torch.median`: there is no filter for it."""

    def make(torch: Any, x: Any) -> Call:
        planes = _planes(x)

        def call() -> object:
            y = _padded(torch, planes.float(), size // 2, "reflect")
            windows = y.unfold(2, size, 1).unfold(3, size, 1).flatten(-2)
            return _last(windows.median(-1)[0].view(planes.shape).to(x.dtype))

        return call

    return make


def sobel(torch: Any, x: Any) -> Call:
    """Length of the gradient: both derivatives in one depthwise convolution."""
    planes = _planes(x)
    down = torch.tensor([[-1.0, -2, -1], [0, 0, 0], [1, 2, 1]])
    count = _count(planes)
    filters = torch.stack([down, down.T])[:, None].repeat(count, 1, 1, 1)

    def call() -> object:
        y = _padded(torch, planes.float(), 1, "replicate")
        y = torch.nn.functional.conv2d(y, filters, groups=count)
        y = y.view(count, 2, *planes.shape[2:])
        return _last(torch.hypot(y[:, 0], y[:, 1]).view(planes.shape))

    return call


def eroded(size: int) -> Peer:
    """Greatest of the negative, in f16, which holds all levels; edges repeat what a window has."""

    def make(torch: Any, x: Any) -> Call:
        planes = _planes(x)
        pool = torch.nn.functional.max_pool2d
        return lambda: _last(pool(planes.half().neg_(), size, 1, size // 2).neg_().to(x.dtype))

    return make


def halved(torch: Any, x: Any) -> Call:
    """Half the size by the bicubic filter with antialiasing."""
    planes = _planes(x)
    size = (x.shape[1] // 2, x.shape[2] // 2)

    def call() -> object:
        y = torch.nn.functional.interpolate(planes.float(), size, mode="bicubic", antialias=True)
        return _last(_cut(torch, y.add_(0.5)) if x.dtype == torch.uint8 else y)

    return call


def rotated(angle: float) -> Peer:
    """Linear samples of a picture turned about its centre; the grid is made before."""

    def make(torch: Any, x: Any) -> Call:
        planes = _planes(x)
        c, s = math.cos(math.radians(angle)), math.sin(math.radians(angle))
        aspect = (x.shape[2] - 1) / (x.shape[1] - 1)
        turn = torch.tensor([[[c, -s / aspect, 0], [s * aspect, c, 0]]])
        functions = torch.nn.functional
        grid = functions.affine_grid(turn, (1, 1, *x.shape[1:3]), align_corners=True)
        grid = grid.expand(len(x), -1, -1, -1)

        def call() -> object:
            y = functions.grid_sample(planes.float(), grid, align_corners=True)
            return _last(_cut(torch, y.add_(0.5)))

        return call

    return make


def histogram(torch: Any, x: Any) -> Call:
    """Counts of 256 levels of each image of one channel."""

    def call() -> object:
        return _counts(torch, x)[:, None].int()

    return call


def equalised(torch: Any, x: Any) -> Call:
    """Pillow's rule: counts, their sums, a table of levels for each image of one channel."""
    first = 256 * torch.arange(len(x), dtype=torch.int32)[:, None, None, None]
    places = torch.arange(256)

    def call() -> object:
        counts = _counts(torch, x).int()
        before = counts.cumsum(1) - counts
        last = counts.gather(1, (places * (counts > 0)).amax(1, keepdim=True))
        step = ((before[:, -1:] + counts[:, -1:] - last) // 255).clamp(min=1)
        levels = ((before + step // 2) // step).clamp_(max=255).to(torch.uint8)
        return levels.flatten()[x.int().add_(first)]

    return call


def composite(torch: Any, x: Any) -> Call:
    """A picture of four channels over itself, with straight alpha."""
    planes = _planes(x)

    def call() -> object:
        above = below = planes.float()
        alpha = above[:, 3:]
        rest = below[:, 3:] * (1 - alpha / 255)
        both = alpha + rest
        colours = (above[:, :3] * alpha + below[:, :3] * rest) / both
        made = torch.where(alpha == 0, below, torch.cat([colours, both], 1))
        return _last(_cut(torch, made.add_(0.5)))

    return call


def _planes(x: Any) -> Any:
    return x.movedim(-1, 1).contiguous()


def _last(planes: Any) -> Any:
    """A view with the channels last."""
    return planes.movedim(1, -1)


def _count(planes: Any) -> int:
    return int(planes.shape[0] * planes.shape[1])


def _padded(torch: Any, planes: Any, radius: int, mode: str) -> Any:
    """(1, all planes, H, W) with a border: as channels, they take the quick depthwise kernels."""
    channels = planes.view(1, -1, *planes.shape[2:])
    return torch.nn.functional.pad(channels, (radius,) * 4, mode=mode)


def _cut(torch: Any, y: Any) -> Any:
    """Levels of numbers that have the half for rounding."""
    return y.clamp_(0, 255).to(torch.uint8)


def _counts(torch: Any, x: Any) -> Any:
    return torch.stack([torch.histc(each, 256, 0, 256) for each in x.float()])
