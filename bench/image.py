"""Images: the least time is that of a copy, which reads and writes each element once.

A filter with little arithmetic in its windows should reach that rate too: on an H200 about 57
instructions fit between two words of four bytes. `gaussian_blur` and `box_blur` of small windows
are one launch. Larger windows and `resize` take a launch for each axis; the bytes here do not count
the result between them. Pictures are batches of 3840 x 2160. `canny` has no peer, since PyTorch has
no such function.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench import draws
from bench import image_peers as peers
from bench import image_scipy as scipy
from bench.entry import Entry, Target
from gpucore import Buffer, Device
from gpustd import image
from gpustd.image.filters.blur import gaussian_weights

__all__ = ["ENTRIES"]

Array = NDArray[Any]
Torch = Callable[[Any, Any], Callable[[], object]]

_LARGE = (4, 2160, 3840)
_SMALL = (1, 256, 384)

_YCBCR = (
    (0.299, 0.587, 0.114),
    (-0.299 / 1.772, -0.587 / 1.772, 0.5),
    (0.5, -0.587 / 1.402, -0.114 / 1.402),
)
_GREY = ((19595 / 65536, 38470 / 65536, 7471 / 65536),)


@functools.lru_cache(maxsize=1)
def _picture(shape: tuple[int, ...], dtype: str) -> Array:
    if dtype == "u8":
        return draws.integers(shape, 256).astype(np.uint8)
    return draws.uniform(shape)


def entry(
    name: str,
    shape: tuple[int, ...],
    dtype: str,
    call: Callable[[Buffer[Any]], Buffer[Any]],
    *,
    flops: float = 0.0,
    numpy: scipy.Peer | None = None,
    torch: Torch | None = None,
    copy_share: float | None = None,
) -> Entry:
    """Return an entry that times ``call`` on a picture.

    ``flops`` are operations for each element. ``torch`` gets PyTorch and the picture. ``numpy``
    gets CuPy and the picture, or NumPy and a small one.
    """
    operand = functools.partial(_picture, shape, dtype)

    def setup(device: Device) -> Callable[[], object]:
        picture = device.buffer_from_array(operand())
        return lambda: call(picture)

    def in_torch(module: Any) -> Callable[[], object]:
        assert torch is not None
        return torch(module, module.as_tensor(operand()))

    def in_cupy(module: Any) -> Callable[[], object]:
        assert numpy is not None
        return functools.partial(numpy, module, module.asarray(operand()))

    small = shape[1] <= _SMALL[1]
    source = float(np.prod(shape)) * (1 if dtype == "u8" else 4)
    return Entry(
        name=f"image.{name} {'x'.join(map(str, shape))} {dtype}",
        setup=setup,
        flops=flops * float(np.prod(shape)),
        bytes=source + _result_bytes(name, shape, dtype),
        numpy=None if numpy is None or not small else (lambda: numpy(np, operand())),
        torch=None if torch is None else in_torch,
        cupy=None if numpy is None else in_cupy,
        torch_name=_torch_name(name, dtype),
        target=None if copy_share is None or small else Target("of copy rate", copy_share),
        cpu=small,
    )


def _result_bytes(name: str, shape: tuple[int, ...], dtype: str) -> float:
    """Return the bytes of the result."""
    size = float(np.prod(shape)) * (1 if dtype == "u8" else 4)
    if name.startswith("rgb_to_grey"):
        return size / 3
    if name.startswith("resize half"):
        return size / 4
    if name.startswith("histogram"):
        return 0.0
    return 4.0 * float(np.prod(shape)) if name.startswith(("sobel", "rgb_to_lab")) else size


def _torch_name(name: str, dtype: str) -> str:
    """Return the name of the peer, with the dtype to which PyTorch must convert u8."""
    if dtype != "u8" or name.startswith("flip"):
        return "PyTorch"
    return f"PyTorch through {'f16' if name.startswith('erode') else 'f32'}"


def _entries(shape: tuple[int, int, int]) -> list[Entry]:
    rgb, rgba, grey = (*shape, 3), (*shape, 4), (*shape, 1)
    fine, coarse = (peers.blur(gaussian_weights("bench", *of).tolist()) for of in ((1, 2), (3, 4)))
    return [
        entry("flip width", rgba, "u8", lambda x: image.flip(x, 1), copy_share=0.9,
              torch=peers.flip(2), numpy=scipy.flip(2)),
        entry("flip width", rgb, "u8", lambda x: image.flip(x, 1), copy_share=0.9,
              torch=peers.flip(2), numpy=scipy.flip(2)),
        entry("flip height", rgb, "f32", lambda x: image.flip(x, 0), copy_share=0.9,
              torch=peers.flip(1), numpy=scipy.flip(1)),
        entry("rgb_to_ycbcr", rgb, "u8", image.rgb_to_ycbcr, copy_share=0.9,
              torch=peers.matrix(_YCBCR, (0, 128, 128)),
              numpy=scipy.matrix(_YCBCR, (0, 128, 128))),
        entry("rgb_to_ycbcr", rgb, "f32", image.rgb_to_ycbcr, copy_share=0.9,
              torch=peers.matrix(_YCBCR, (0, 0.5, 0.5)),
              numpy=scipy.matrix(_YCBCR, (0, 0.5, 0.5))),
        entry("rgb_to_grey", rgb, "u8", image.rgb_to_grey, copy_share=0.9,
              torch=peers.matrix(_GREY, (0,)), numpy=scipy.matrix(_GREY, (0,))),
        entry("rgb_to_lab", rgb, "f32", image.rgb_to_lab, torch=peers.lab),
        entry("box_blur 3", rgb, "f32", lambda x: image.box_blur(x, 3, "mirror"), flops=12,
              copy_share=0.9, torch=peers.blur([1 / 3] * 3), numpy=scipy.box(3)),
        entry("box_blur 3", rgb, "u8", lambda x: image.box_blur(x, 3, "mirror"), flops=12,
              copy_share=0.9, torch=peers.blur([1 / 3] * 3), numpy=scipy.box(3)),
        entry("gaussian_blur 5", rgb, "f32", lambda x: image.gaussian_blur(x, 1, 2, "mirror"),
              flops=20, copy_share=0.9, torch=fine, numpy=scipy.gaussian(1, 2)),
        entry("gaussian_blur 5", grey, "f32", lambda x: image.gaussian_blur(x, 1, 2, "mirror"),
              flops=20, copy_share=0.9, torch=fine, numpy=scipy.gaussian(1, 2)),
        entry("gaussian_blur 25", rgb, "f32", lambda x: image.gaussian_blur(x, 3, 4, "mirror"),
              flops=100, torch=coarse, numpy=scipy.gaussian(3, 4)),
        entry("median 3", grey, "u8", lambda x: image.median(x, 3, "mirror"),
              torch=peers.median(3), numpy=scipy.median(3)),
        entry("median 5", grey, "f32", lambda x: image.median(x, 5, "mirror"),
              torch=peers.median(5), numpy=scipy.median(5)),
        entry("sobel", grey, "u8", image.sobel, torch=peers.sobel, numpy=scipy.sobel),
        entry("canny", grey, "u8", image.canny),
        entry("erode 3", grey, "u8", lambda x: image.erode(x, 3), copy_share=0.9,
              torch=peers.erode(3), numpy=scipy.erode(3)),
        entry("resize half bicubic", rgb, "u8", lambda x: image.resize(x, _half(x), "bicubic"),
              torch=peers.halve),
        entry("resize half bicubic", rgb, "f32", lambda x: image.resize(x, _half(x), "bicubic"),
              torch=peers.halve),
        entry("rotate linear", rgb, "u8", lambda x: image.rotate(x, 17, False, 1),
              torch=peers.rotate(17), numpy=scipy.rotate(17)),
        entry("histogram", grey, "u8", image.histogram, torch=peers.histogram,
              numpy=scipy.histogram),
        entry("equalise", grey, "u8", image.equalise, torch=peers.equalise,
              numpy=scipy.equalise),
        entry("alpha_composite", rgba, "u8", lambda x: image.alpha_composite(x, x),
              torch=peers.composite, numpy=scipy.composite),
    ]  # fmt: skip


def _half(x: Buffer[Any]) -> tuple[int, int]:
    return x.shape[1] // 2, x.shape[2] // 2


ENTRIES = [*_entries(_SMALL), *_entries(_LARGE)]
