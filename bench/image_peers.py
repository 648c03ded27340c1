"""Images in PyTorch, as its users write them; results are those of `gpustd.image`.

A peer takes PyTorch and a picture (N, H, W, C) and returns the call. Filters get planes (N, C, H,
W), the layout that PyTorch prefers there, converted before the clock starts. They do not take u8:
such a call goes through f32, or f16 where that holds all levels, and rounds.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

__all__ = [
    "blur",
    "composite",
    "equalise",
    "erode",
    "flip",
    "halve",
    "histogram",
    "lab",
    "matrix",
    "median",
    "rotate",
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


def flip(axis: int) -> Peer:
    """Return the peer that reverses an axis of (N, H, W, C)."""
    return lambda torch, x: lambda: torch.flip(x, (axis,))


def matrix(rows: Matrix, offset: Sequence[float]) -> Peer:
    """Return the peer that multiplies channels by a matrix, as a convolution of 1 x 1.

    For u8 it adds the half for rounding.
    """

    def make(torch: Any, x: Any) -> Call:
        planes, half = _planes(x), 0.5 * (x.dtype == torch.uint8)
        weights = torch.tensor(rows)[:, :, None, None]
        bias = torch.tensor(offset) + half
        convolve = torch.nn.functional.conv2d
        if not half:
            return lambda: _channels_last(convolve(planes, weights, bias))
        return lambda: _channels_last(_as_levels(torch, convolve(planes.float(), weights, bias)))

    return make


def lab(torch: Any, x: Any) -> Call:
    """Convert sRGB in f32 to L*a*b*: two powers and two matrices."""
    planes = _planes(x)
    light = torch.tensor(_LIGHT)[:, :, None, None]
    opponents = torch.tensor([[0.0, 116, 0], [500, -500, 0], [0, 200, -200]])[:, :, None, None]
    bias = torch.tensor([-16.0, 0, 0])
    convolve = torch.nn.functional.conv2d

    def call() -> object:
        c = torch.where(planes <= 0.04045, planes / 12.92, ((planes + 0.055) / 1.055).pow(2.4))
        t = convolve(c, light)
        low = t / (3 * _STEP**2) + 4 / 29
        return _channels_last(
            convolve(torch.where(t <= _STEP**3, low, t.pow(1 / 3)), opponents, bias)
        )

    return call


def blur(weights: Sequence[float]) -> Peer:
    """Return the peer that blurs by the same weights down and across.

    It is one depthwise convolution up to 5 x 5, else two. Beyond the edge it is PyTorch's
    "reflect", which is our "mirror".
    """
    radius = len(weights) // 2

    def make(torch: Any, x: Any) -> Call:
        planes = _planes(x)
        line = torch.tensor(weights)
        kernels = [line[:, None] * line] if radius <= 2 else [line[:, None], line[None]]
        filters = [k.expand(_count(planes), 1, *k.shape).contiguous() for k in kernels]

        def call() -> object:
            y = _pad(torch, planes.float(), radius, "reflect")
            for each in filters:
                y = torch.nn.functional.conv2d(y, each, groups=len(each))
            y = y.view(planes.shape)
            return _channels_last(_as_levels(torch, y.add_(0.5)) if x.dtype == torch.uint8 else y)

        return call

    return make


def median(size: int) -> Peer:
    """Return the peer that unfolds windows and takes `torch.median`: there is no filter for it."""

    def make(torch: Any, x: Any) -> Call:
        planes = _planes(x)

        def call() -> object:
            y = _pad(torch, planes.float(), size // 2, "reflect")
            windows = y.unfold(2, size, 1).unfold(3, size, 1).flatten(-2)
            return _channels_last(windows.median(-1)[0].view(planes.shape).to(x.dtype))

        return call

    return make


def sobel(torch: Any, x: Any) -> Call:
    """Return the length of the gradient: both derivatives in one depthwise convolution."""
    planes = _planes(x)
    down = torch.tensor([[-1.0, -2, -1], [0, 0, 0], [1, 2, 1]])
    count = _count(planes)
    filters = torch.stack([down, down.T])[:, None].repeat(count, 1, 1, 1)

    def call() -> object:
        y = _pad(torch, planes.float(), 1, "replicate")
        y = torch.nn.functional.conv2d(y, filters, groups=count)
        y = y.view(count, 2, *planes.shape[2:])
        return _channels_last(torch.hypot(y[:, 0], y[:, 1]).view(planes.shape))

    return call


def erode(size: int) -> Peer:
    """Return the peer that takes the greatest of the negative, in f16, which holds all levels.

    Edges repeat values that the window has.
    """

    def make(torch: Any, x: Any) -> Call:
        planes = _planes(x)
        pool = torch.nn.functional.max_pool2d
        return lambda: _channels_last(
            pool(planes.half().neg_(), size, 1, size // 2).neg_().to(x.dtype)
        )

    return make


def halve(torch: Any, x: Any) -> Call:
    """Halve the size by the bicubic filter with antialiasing."""
    planes = _planes(x)
    size = (x.shape[1] // 2, x.shape[2] // 2)

    def call() -> object:
        y = torch.nn.functional.interpolate(planes.float(), size, mode="bicubic", antialias=True)
        return _channels_last(_as_levels(torch, y.add_(0.5)) if x.dtype == torch.uint8 else y)

    return call


def rotate(angle: float) -> Peer:
    """Return the peer that samples a picture linearly, turned about its centre.

    The grid is computed before.
    """

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
            return _channels_last(_as_levels(torch, y.add_(0.5)))

        return call

    return make


def histogram(torch: Any, x: Any) -> Call:
    """Count 256 levels of each image of one channel."""

    def call() -> object:
        return _counts(torch, x)[:, None].int()

    return call


def equalise(torch: Any, x: Any) -> Call:
    """Equalise by Pillow's rule: counts, their sums, and a table of levels for each image."""
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
    """Lay a picture of four channels over itself, with straight alpha."""
    planes = _planes(x)

    def call() -> object:
        above = below = planes.float()
        alpha = above[:, 3:]
        rest = below[:, 3:] * (1 - alpha / 255)
        total = alpha + rest
        colours = (above[:, :3] * alpha + below[:, :3] * rest) / total
        result = torch.where(alpha == 0, below, torch.cat([colours, total], 1))
        return _channels_last(_as_levels(torch, result.add_(0.5)))

    return call


def _planes(x: Any) -> Any:
    return x.movedim(-1, 1).contiguous()


def _channels_last(planes: Any) -> Any:
    """Return a view with the channels last."""
    return planes.movedim(1, -1)


def _count(planes: Any) -> int:
    return int(planes.shape[0] * planes.shape[1])


def _pad(torch: Any, planes: Any, radius: int, mode: str) -> Any:
    """Return (1, all planes, H, W) with a border: channels take the fast depthwise kernels."""
    channels = planes.view(1, -1, *planes.shape[2:])
    return torch.nn.functional.pad(channels, (radius,) * 4, mode=mode)


def _as_levels(torch: Any, y: Any) -> Any:
    """Return levels of numbers that have the half for rounding."""
    return y.clamp_(0, 255).to(torch.uint8)


def _counts(torch: Any, x: Any) -> Any:
    return torch.stack([torch.histc(each, 256, 0, 256) for each in x.float()])
