"""The layers that text encoder, UNet and VAE are made of."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Literal

from diffusion.models.module import Module, Parameter
from gpucore import Buffer, ShapeError, i32
from gpustd import (
    conv2d,
    embedding,
    gemm,
    group_norm,
    layer_norm,
    repeat_batch,
    upsampling_conv2d,
    upsampling_weights,
    winograd_conv2d,
    winograd_weights,
)
from gpustd.matmul.conv import Wrap
from gpustd.matmul.winograd import winograd_block

__all__ = [
    "Activations",
    "Conv2d",
    "Embedding",
    "Enlarged",
    "GroupNorm",
    "LayerNorm",
    "Linear",
    "Part",
    "PointwiseConv",
    "in_turn",
    "repeated",
    "seamless_padding",
    "wrapped_axes",
]

# f16 where the device has it, f32 otherwise; one of the two throughout a model.
Activations = Buffer[Any]
Part = Callable[[Activations], Activations]
Enlarged = Literal["", "twice", "about"]

_wrap: ContextVar[Wrap] = ContextVar("wrap", default="")


@contextmanager
def seamless_padding(axes: Wrap) -> Iterator[None]:
    """Inside, what convolutions are padded with along ``axes`` is the image's opposite side.

    Not around a ``yield`` of a generator: the caller would be inside as well.
    """
    token = _wrap.set(axes)
    try:
        yield
    finally:
        _wrap.reset(token)


def wrapped_axes() -> Wrap:
    """The axes of the `seamless_padding` around."""
    return _wrap.get()


def repeated(x: Activations, images: int) -> Activations:
    """All images of ``x`` one after another, again and again until there are ``images``."""
    return x if x.shape[0] == images else repeat_batch(x, images // x.shape[0])


def in_turn(parts: Iterable[Part], x: Activations) -> Activations:
    """``x`` through ``parts``, one after another."""
    for part in parts:
        x = part(x)
    return x


class Linear(Module):
    """``x @ weight.T + bias`` over the last axis, with a fused activation and residual.

    ``few_rows``: of those it sees, as one for each picture (see `gpustd.gemm`).
    """

    def __init__(
        self, inputs: int, outputs: int, *, bias: bool = True, few_rows: bool = False
    ) -> None:
        self.weight = Parameter((outputs, inputs), "linear")
        self.bias = Parameter((outputs,), "vector") if bias else None
        self._few_rows = few_rows

    def __call__(
        self,
        x: Activations,
        *,
        activation: str | None = None,
        residual: Activations | None = None,
    ) -> Activations:
        return gemm(
            x,
            self.weight.buffer,
            bias=self.bias.buffer if self.bias else None,
            activation=activation,
            residual=residual,
            few_rows=self._few_rows,
        )


class Conv2d(Module):
    """A square convolution over (N, H, W, C); `seamless_padding` says what it is padded with.

    ``side``: of the images it sees at the size that the model was made for, if that is known; the
    form that is quickest there is chosen when the weights are loaded. ``enlarged``: it sees them
    enlarged by two, exactly, or, for "about", to an odd size at times.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int,
        *,
        stride: int = 1,
        padding: int | tuple[int, int, int, int] = 0,
        bias: bool = True,
        side: int | None = None,
        enlarged: Enlarged = "",
    ) -> None:
        self.weight = Parameter((outputs, inputs, kernel, kernel), "conv")
        self.bias = Parameter((outputs,), "vector") if bias else None
        self._stride = stride
        self._padding = padding
        self._side = side
        self._enlarged = enlarged
        self._transformed: Activations | None = None
        self._sums: Activations | None = None

    def loaded(self) -> None:
        weight = self.weight.buffer
        if (weight.shape[0], self._stride, self._padding) != (3, 1, 1):
            return
        inputs, outputs = weight.shape[2:]
        block = winograd_block(
            weight.device, weight.dtype, inputs, outputs, self._side, doubles=bool(self._enlarged)
        )
        if block:
            self._transformed = winograd_weights(weight, block)
            self.weight.release()
        elif self._enlarged == "twice":
            self._sums = upsampling_weights(weight)
            self.weight.release()

    def __call__(
        self,
        x: Activations,
        *,
        second: Activations | None = None,
        per_image: Activations | None = None,
        per_image_first: int = 0,
        residual: Activations | None = None,
        upsample: tuple[int, int] | None = None,
        activation: str | None = None,
    ) -> Activations:
        bias = self.bias.buffer if self.bias else None
        if self._sums is not None:
            twice = upsample == (2 * x.shape[1], 2 * x.shape[2])
            if not twice or second is not None or per_image is not None:
                raise ShapeError(f"convolution of {x.shape} enlarged to {upsample}: wants twice")
            return upsampling_conv2d(
                *(x, self._sums),
                bias=bias,
                residual=residual,
                activation=activation,
                wrap=_wrap.get(),
            )
        if self._transformed is not None:
            return winograd_conv2d(
                x,
                self._transformed,
                bias=bias,
                second=second,
                per_image=per_image,
                per_image_first=per_image_first,
                residual=residual,
                upsample=upsample,
                activation=activation,
                wrap=_wrap.get(),
            )
        return conv2d(
            x,
            self.weight.buffer,
            bias=bias,
            stride=self._stride,
            padding=self._padding,
            second=second,
            per_image=per_image,
            per_image_first=per_image_first,
            residual=residual,
            upsample=upsample,
            activation=activation,
            wrap=_wrap.get() if self._padding else "",
        )


class PointwiseConv(Module):
    """A 1x1 convolution whose file shape is (out, in, 1, 1): a `Linear` over the channels."""

    def __init__(self, inputs: int, outputs: int) -> None:
        self.weight = Parameter((outputs, inputs, 1, 1), "conv")
        self.bias = Parameter((outputs,), "vector")

    def __call__(self, x: Activations, *, residual: Activations | None = None) -> Activations:
        weight = self.weight.buffer
        return gemm(x, weight.view(weight.shape[2:]), bias=self.bias.buffer, residual=residual)


class GroupNorm(Module):
    """Group normalisation over (N, H, W, C), optionally with SiLU and a second source."""

    def __init__(self, groups: int, channels: int, eps: float) -> None:
        self.weight = Parameter((channels,), "vector")
        self.bias = Parameter((channels,), "vector")
        self._groups = groups
        self._eps = eps

    def __call__(
        self, x: Activations, *, silu: bool = False, second: Activations | None = None
    ) -> Activations:
        return group_norm(
            x,
            self._groups,
            self.weight.buffer,
            self.bias.buffer,
            self._eps,
            silu=silu,
            second=second,
        )


class LayerNorm(Module):
    """Layer normalisation over the last axis."""

    def __init__(self, channels: int, eps: float = 1e-5) -> None:
        self.weight = Parameter((channels,), "vector")
        self.bias = Parameter((channels,), "vector")
        self._eps = eps

    def __call__(self, x: Activations) -> Activations:
        return layer_norm(x, self.weight.buffer, self.bias.buffer, eps=self._eps)


class Embedding(Module):
    """Rows of a table by number."""

    def __init__(self, rows: int, channels: int) -> None:
        self.weight = Parameter((rows, channels))

    def __call__(self, ids: Buffer[i32]) -> Activations:
        return embedding(ids, self.weight.buffer)
