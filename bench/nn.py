"""gpustd.nn: operations bound by memory, against copies; matrix products, against PyTorch.

An activation, a normalisation by channels and a resize read and write each element once. Pooling
and depthwise convolution read the image once and write the result. Windows that overlap are read
from caches. Each invocation computes a block of results, so that some 1.5 times the image is read.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench import draws
from bench import nn_numpy as host
from bench.entry import Entry, Target
from gpucore import Buffer, Device, DType, f16, f32
from gpustd import nn

__all__ = ["ENTRIES"]

_NEAR_COPIES = Target("of copy rate", 0.9)
_NEAR_TORCH = Target("of peer", 0.8)

_MAPS = (32, 112, 112, 128)
_SMALL = (1, 32, 32, 32)

Shape = tuple[int, ...]
Ours = Callable[..., Buffer[Any]]
Theirs = Callable[..., Callable[[], object]]


@dataclass(frozen=True)
class _Shapes:
    """Shapes of operands in the dtype of the entry, of vectors in f32, and of the result."""

    operands: tuple[tuple[int, ...], ...]
    vectors: tuple[tuple[int, ...], ...]
    result: tuple[int, ...]
    flops: float = 0.0

    def bytes(self, dtype: type[DType]) -> float:
        moved = sum(float(np.prod(shape)) for shape in (*self.operands, self.result))
        return moved * dtype.itemsize + 4.0 * sum(float(np.prod(shape)) for shape in self.vectors)


@functools.lru_cache(maxsize=1)
def _arrays(shapes: _Shapes, dtype: np.dtype[Any]) -> list[NDArray[Any]]:
    """Return normal operands, and vectors in 0.5 .. 1.5."""
    numbered = enumerate(shapes.operands)
    wide = [draws.normal(shape, seed).astype(dtype, copy=False) for seed, shape in numbered]
    return [*wide, *(draws.uniform(shape) + np.float32(0.5) for shape in shapes.vectors)]


def entry(
    name: str,
    ours: Ours,
    theirs: Theirs,
    shapes: _Shapes,
    dtype: type[DType],
    *,
    numpy: Callable[..., object] | None = None,
    target: Target | None = None,
    cpu: bool = False,
) -> Entry:
    """Return an entry for one call.

    ``theirs`` gets PyTorch and the operands, and returns the same call. ``numpy`` gets the
    operands, for small entries only.
    """

    def setup(device: Device) -> Callable[[], object]:
        buffers: list[Buffer[Any]] = [
            device.buffer_from_array(array) for array in _arrays(shapes, dtype.numpy)
        ]
        return lambda: ours(*buffers)

    def in_torch(torch: Any) -> Callable[[], object]:
        return theirs(torch, *(torch.as_tensor(array) for array in _arrays(shapes, dtype.numpy)))

    def on_host() -> object:
        assert numpy is not None
        return numpy(*_arrays(shapes, dtype.numpy))

    return Entry(
        name=f"nn.{name} {'x'.join(map(str, shapes.operands[0]))} {dtype.name}",
        setup=setup,
        flops=shapes.flops,
        bytes=shapes.bytes(dtype),
        numpy=on_host if numpy is not None and cpu else None,
        torch=in_torch,
        target=target,
        f16=dtype is f16,
        cpu=cpu,
    )


def _channels_first(x: Any) -> Any:
    """Return a view with PyTorch's order of axes; its memory stays channels-last."""
    return x.movedim(-1, 1)


def _channels_last(x: Any) -> Any:
    return x.movedim(1, -1)


def activation(name: str, shape: Shape, dtype: type[DType], *, cpu: bool = False) -> Entry:
    """Return the entry of an activation, here and in PyTorch."""

    def theirs(torch: Any, x: Any) -> Callable[[], object]:
        return functools.partial(getattr(torch.nn.functional, name), x)

    target = None if cpu else _NEAR_COPIES
    shapes = _Shapes((shape,), (), shape)
    numpy = {"gelu": host.gelu}.get(name)
    return entry(
        name, getattr(nn, name), theirs, shapes, dtype, numpy=numpy, target=target, cpu=cpu
    )


def pool(
    kind: str, window: tuple[int, int], shape: Shape, dtype: type[DType], *, cpu: bool = False
) -> Entry:
    """Return ``max`` or ``avg`` over square windows (side, stride); padded where they overlap."""
    kernel, stride = window
    padding = kernel // 2 if kernel > stride else 0
    sides = [(n + 2 * padding - kernel) // stride + 1 for n in shape[1:3]]
    ours: Ours = getattr(nn, f"{kind}_pool2d")

    def theirs(torch: Any, x: Any) -> Callable[[], object]:
        function = getattr(torch.nn.functional, f"{kind}_pool2d")
        return lambda: _channels_last(function(_channels_first(x), kernel, stride, padding))

    return entry(
        f"{kind}_pool2d {kernel}/{stride}",
        lambda x: ours(x, kernel, stride, padding),
        theirs,
        _Shapes((shape,), (), (shape[0], *sides, shape[3])),
        dtype,
        numpy=host.pool(kind, kernel, stride, padding),
        target=None if cpu else _NEAR_COPIES,
        cpu=cpu,
    )


def convolution(
    shape: Shape,
    kernel: tuple[int, ...],
    outputs: int,
    dtype: type[DType],
    *,
    groups: int = 1,
    target: Target | None = None,
    cpu: bool = False,
) -> Entry:
    """Return one convolution with padding "same" over the axes of ``kernel``."""
    rank, inputs = len(kernel), shape[-1]
    ours: Ours = getattr(nn, f"conv{rank}d")
    weights = (*kernel, inputs // groups, outputs)
    result = (*shape[:-1], outputs)

    def theirs(torch: Any, x: Any, w: Any) -> Callable[[], object]:
        # PyTorch keeps one axis channels-first.
        last = {2: torch.channels_last, 3: torch.channels_last_3d}
        form = last.get(rank, torch.contiguous_format)
        x = _channels_first(x).contiguous(memory_format=form)
        w = w.permute(rank + 1, rank, *range(rank)).contiguous(memory_format=form)
        function = getattr(torch.nn.functional, f"conv{rank}d")
        return lambda: _channels_last(function(x, w, padding="same", groups=groups))

    window = "x".join(map(str, kernel))
    flops = 2.0 * float(np.prod(result)) * float(np.prod(weights[:-1]))
    return entry(
        f"conv{rank}d {window} to {outputs} in {groups}",
        lambda x, w: ours(x, w, padding="same", groups=groups),
        theirs,
        _Shapes((shape, weights), (), result, flops),
        dtype,
        numpy=host.convolution(groups),
        target=target,
        cpu=cpu,
    )


def transposed_convolution(
    shape: Shape, outputs: int, dtype: type[DType], *, cpu: bool = False
) -> Entry:
    """Return a transposed convolution that doubles the size: kernel 4 x 4, stride 2."""
    images, height, width, inputs = shape

    def theirs(torch: Any, x: Any, w: Any) -> Callable[[], object]:
        w = w.permute(2, 3, 0, 1).contiguous(memory_format=torch.channels_last)
        function = torch.nn.functional.conv_transpose2d
        return lambda: _channels_last(function(_channels_first(x), w, stride=2, padding=1))

    pixels, result = images * height * width, (images, 2 * height, 2 * width, outputs)
    return entry(
        f"conv_transpose2d 4x4/2 to {outputs}",
        lambda x, w: nn.conv_transpose2d(x, w, stride=2, padding=1),
        theirs,
        _Shapes((shape, (4, 4, inputs, outputs)), (), result, 2.0 * pixels * 16 * inputs * outputs),
        dtype,
        numpy=host.transposed_convolution,
        target=None if cpu else _NEAR_TORCH,
        cpu=cpu,
    )


def batch_norm(shape: Shape, dtype: type[DType], *, cpu: bool = False) -> Entry:
    """Return a ``batch_norm`` with weight and bias."""

    def theirs(torch: Any, x: Any, *vectors: Any) -> Callable[[], object]:
        return lambda: _channels_last(torch.nn.functional.batch_norm(_channels_first(x), *vectors))

    shapes = _Shapes((shape,), ((shape[3],),) * 4, shape)
    target = None if cpu else _NEAR_COPIES
    return entry(
        "batch_norm",
        nn.batch_norm,
        theirs,
        shapes,
        dtype,
        numpy=host.batch_norm,
        target=target,
        cpu=cpu,
    )


def rows(name: str, shape: Shape, dtype: type[DType], *, cpu: bool = False) -> Entry:
    """Return ``rms_norm``, ``normalize`` or ``log_softmax`` of every row."""

    def theirs(torch: Any, x: Any) -> Callable[[], object]:
        functions = torch.nn.functional
        return {
            "rms_norm": lambda: functions.rms_norm(x, shape[-1:]),
            "normalize": lambda: functions.normalize(x, dim=-1),
            "log_softmax": lambda: functions.log_softmax(x, dim=-1),
        }[name]

    target = None if cpu else _NEAR_COPIES
    shapes = _Shapes((shape,), (), shape)
    numpy = getattr(host, name)
    return entry(
        name, getattr(nn, name), theirs, shapes, dtype, numpy=numpy, target=target, cpu=cpu
    )


def bilinear(shape: Shape, dtype: type[DType], *, cpu: bool = False) -> Entry:
    """Return a bilinear resize to twice the size."""
    images, height, width, channels = shape

    def theirs(torch: Any, x: Any) -> Callable[[], object]:
        function = torch.nn.functional.interpolate
        return lambda: _channels_last(function(_channels_first(x), scale_factor=2, mode="bilinear"))

    return entry(
        "interpolate bilinear x2",
        lambda x: nn.interpolate(x, scale_factor=2, mode="bilinear"),
        theirs,
        _Shapes((shape,), (), (images, 2 * height, 2 * width, channels)),
        dtype,
        numpy=host.bilinear,
        target=None if cpu else _NEAR_COPIES,
        cpu=cpu,
    )


def masked_attention(
    batch: int, rows: int, heads: int, dtype: type[DType], *, cpu: bool = False
) -> Entry:
    """Return attention over (batch, rows, heads, 64) with a mask that is added."""
    shape = (batch, rows, heads, 64)

    def theirs(torch: Any, q: Any, k: Any, v: Any, mask: Any) -> Callable[[], object]:
        q, k, v = (x.transpose(1, 2).contiguous() for x in (q, k, v))
        mask = mask.to(q.dtype)
        attend = torch.nn.functional.scaled_dot_product_attention
        return lambda: attend(q, k, v, attn_mask=mask).transpose(1, 2)

    return entry(
        "scaled_dot_product_attention mask",
        nn.scaled_dot_product_attention,
        theirs,
        _Shapes((shape,) * 3, ((rows, rows),), shape, 4.0 * batch * heads * rows * rows * 64),
        dtype,
        numpy=host.attention,
        cpu=cpu,
    )


ENTRIES = [
    activation("gelu", (2**20,), f32, cpu=True),
    *(pool(kind, (3, 2), _SMALL, f32, cpu=True) for kind in ("max", "avg")),
    convolution(_SMALL, (3, 3), 32, f32, groups=32, cpu=True),
    convolution((1, 8, 16, 16, 16), (3, 3, 3), 16, f32, cpu=True),
    convolution((2, 256, 32), (3,), 32, f32, cpu=True),
    transposed_convolution(_SMALL, 32, f32, cpu=True),
    batch_norm(_SMALL, f32, cpu=True),
    *(rows(n, (1024, 256), f32, cpu=True) for n in ("rms_norm", "normalize", "log_softmax")),
    bilinear(_SMALL, f32, cpu=True),
    masked_attention(1, 64, 2, f32, cpu=True),
    *(activation(name, (2**26,), f16) for name in ("gelu", "mish", "softplus", "hardswish")),
    activation("gelu", (2**26,), f32),
    *(pool(kind, (2, 2), _MAPS, f16) for kind in ("max", "avg")),
    *(pool(kind, (3, 2), _MAPS, f16) for kind in ("max", "avg")),
    *(pool("max", (3, 1), _MAPS, dtype) for dtype in (f16, f32)),
    *(convolution(_MAPS, (3, 3), 128, t, groups=128, target=_NEAR_COPIES) for t in (f16, f32)),
    convolution(_MAPS, (5, 5), 128, f16, groups=128, target=_NEAR_COPIES),
    convolution(_MAPS, (7, 7), 128, f16, groups=128),
    convolution((32, 56, 56, 256), (3, 3), 256, f16, groups=32, target=_NEAR_TORCH),
    convolution((2, 16, 64, 64, 128), (3, 3, 3), 128, f16, target=_NEAR_TORCH),
    convolution((8, 16384, 256), (3,), 256, f16, target=_NEAR_TORCH),
    convolution((32, 224, 224, 8), (7, 7), 64, f16, target=_NEAR_TORCH),
    transposed_convolution((8, 64, 64, 256), 128, f16),
    *(batch_norm(_MAPS, dtype) for dtype in (f16, f32)),
    *(rows(name, (65536, 1024), f16) for name in ("rms_norm", "normalize", "log_softmax")),
    bilinear((8, 128, 128, 128), f16),
    masked_attention(2, 2048, 16, f16),
]
