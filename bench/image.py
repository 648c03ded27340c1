"""Images: the floor is each element read once and written once, at the rate of copies.

A filter that stays within its windows' arithmetic should run at that rate too: on an H200 some 57
instructions fit between two words of four bytes. `gaussian_blur` and `box_blur` of small windows
are one launch; longer ones, and `resize`, write and read the middle between their axes, which is
not counted in the bytes here. Pictures are batches of 3840 x 2160.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.entry import Entry, Target
from gpucore import Buffer, Device
from gpustd import image

__all__ = ["ENTRIES"]

Array = NDArray[Any]
Torch = Callable[[Any, Any], object]

_LARGE = (4, 2160, 3840)
_SMALL = (1, 256, 384)


def _picture(shape: tuple[int, ...], dtype: str) -> Array:
    rng = np.random.default_rng(0)
    if dtype == "u8":
        return rng.integers(0, 256, shape).astype(np.uint8)
    return rng.random(shape, np.float32)


def entry(
    name: str,
    shape: tuple[int, ...],
    dtype: str,
    call: Callable[[Buffer[Any]], Buffer[Any]],
    *,
    flops: float = 0.0,
    scipy: Callable[[Array], object] | None = None,
    torch: Torch | None = None,
    copy_share: float | None = None,
) -> Entry:
    """``call`` on a picture; ``flops`` are those of an element; ``torch`` gets (torch, picture)."""
    operand = functools.cache(lambda: _picture(shape, dtype))

    def setup(device: Device) -> Callable[[], object]:
        picture = device.buffer_from_array(operand())
        return lambda: call(picture)

    def in_torch(module: Any) -> Callable[[], object]:
        picture = module.from_numpy(operand()).cuda()
        assert torch is not None
        return functools.partial(torch, module, picture)

    small = shape[1] <= _SMALL[1]
    source = float(np.prod(shape)) * (1 if dtype == "u8" else 4)
    return Entry(
        name=f"image.{name} {'x'.join(map(str, shape))} {dtype}",
        setup=setup,
        flops=flops * float(np.prod(shape)),
        bytes=source + _result_bytes(name, shape, dtype),
        numpy=None if scipy is None else (lambda: scipy(operand())),
        torch=None if torch is None else in_torch,
        target=None if copy_share is None or small else Target("of copy rate", copy_share),
        cpu=small,
    )


def _result_bytes(name: str, shape: tuple[int, ...], dtype: str) -> float:
    """Bytes of the result."""
    size = float(np.prod(shape)) * (1 if dtype == "u8" else 4)
    if name.startswith("rgb_to_grey"):
        return size / 3
    if name.startswith("resize half"):
        return size / 4
    if name.startswith("histogram"):
        return 0.0
    return 4.0 * float(np.prod(shape)) if name.startswith(("sobel", "rgb_to_lab")) else size


def _interpolated(module: Any, x: Any) -> object:
    scale = module.nn.functional.interpolate
    size = (x.shape[1] // 2, x.shape[2] // 2)
    planes = x.permute(0, 3, 1, 2)
    return scale(planes, size, mode="bicubic", antialias=True, align_corners=False)


def _convolved(size: int) -> Torch:
    """A separable blur by cuDNN, one axis after the other, on planes."""

    def blur(module: Any, x: Any) -> object:
        planes = x.permute(0, 3, 1, 2).reshape(-1, 1, x.shape[1], x.shape[2])
        taps = module.full((1, 1, size, 1), 1 / size, device="cuda")
        convolve = module.nn.functional.conv2d
        return convolve(convolve(planes, taps), taps.transpose(2, 3))

    return blur


def _everything(shape: tuple[int, int, int], *, large: bool) -> list[Entry]:
    rgb, rgba, grey = (*shape, 3), (*shape, 4), (*shape, 1)
    return [
        entry("flip width", rgba, "u8", lambda x: image.flip(x, 1), copy_share=0.9,
              torch=lambda module, x: module.flip(x, (2,))),
        entry("flip width", rgb, "u8", lambda x: image.flip(x, 1), copy_share=0.9,
              torch=lambda module, x: module.flip(x, (2,))),
        entry("flip height", rgb, "f32", lambda x: image.flip(x, 0), copy_share=0.9,
              torch=lambda module, x: module.flip(x, (1,)),
              scipy=None if large else lambda x: np.flip(x, 1).copy()),
        entry("rgb_to_ycbcr", rgb, "u8", image.rgb_to_ycbcr, copy_share=0.9),
        entry("rgb_to_ycbcr", rgb, "f32", image.rgb_to_ycbcr, copy_share=0.9),
        entry("rgb_to_grey", rgb, "u8", image.rgb_to_grey, copy_share=0.9),
        entry("rgb_to_lab", rgb, "f32", image.rgb_to_lab),
        entry("box_blur 3", rgb, "f32", lambda x: image.box_blur(x, 3), flops=12,
              copy_share=0.9, torch=_convolved(3),
              scipy=None if large else lambda x: _ndimage().uniform_filter(x, (1, 3, 3, 1))),
        entry("box_blur 3", rgb, "u8", lambda x: image.box_blur(x, 3), flops=12, copy_share=0.9),
        entry("gaussian_blur 5", rgb, "f32", lambda x: image.gaussian_blur(x, 1, 2), flops=20,
              copy_share=0.9, torch=_convolved(5)),
        entry("gaussian_blur 5", grey, "f32", lambda x: image.gaussian_blur(x, 1, 2), flops=20,
              copy_share=0.9),
        entry("gaussian_blur 25", rgb, "f32", lambda x: image.gaussian_blur(x, 3), flops=100,
              torch=_convolved(25)),
        entry("median 3", grey, "u8", lambda x: image.median(x, 3),
              scipy=None if large else lambda x: _ndimage().median_filter(x, (1, 3, 3, 1))),
        entry("median 5", grey, "f32", lambda x: image.median(x, 5)),
        entry("sobel", grey, "u8", image.sobel),
        entry("canny", grey, "u8", image.canny),
        entry("erode 3", grey, "u8", lambda x: image.erode(x, 3), copy_share=0.9),
        entry("resize half bicubic", rgb, "u8", lambda x: image.resize(x, _half(x), "bicubic")),
        entry("resize half bicubic", rgb, "f32", lambda x: image.resize(x, _half(x), "bicubic"),
              torch=_interpolated),
        entry("rotate linear", rgb, "u8", lambda x: image.rotate(x, 17, False, 1)),
        entry("histogram", grey, "u8", image.histogram,
              torch=lambda module, x: module.bincount(x.reshape(-1).int(), minlength=256)),
        entry("equalise", grey, "u8", image.equalise),
        entry("alpha_composite", rgba, "u8", lambda x: image.alpha_composite(x, x)),
    ]  # fmt: skip


def _ndimage() -> Any:
    """SciPy's images, a peer on the host."""
    return importlib.import_module("scipy.ndimage")


def _half(x: Buffer[Any]) -> tuple[int, int]:
    return x.shape[1] // 2, x.shape[2] // 2


ENTRIES = [*_everything(_SMALL, large=False), *_everything(_LARGE, large=True)]
