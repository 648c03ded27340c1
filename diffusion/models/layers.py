"""The layers of text encoder, UNet and VAE."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from typing import Any, Literal

from diffusion.ambient import Ambient
from diffusion.models.low_rank import update_of_conv, update_of_rows
from diffusion.models.module import Module, Parameter, Table
from gpucore import Buffer, ShapeError, i32
from gpustd import (
    embedding,
    fused_conv2d,
    gemm,
    group_norm,
    layer_norm,
    repeat_batch,
    upsampling_conv2d,
    upsampling_weights,
    winograd_conv2d,
    winograd_weights,
)
from gpustd.matmul.conv import Padding, Window, Wrap
from gpustd.matmul.winograd import winograd_block

__all__ = [
    "Activations",
    "Conv2d",
    "Embedding",
    "GroupNorm",
    "LayerNorm",
    "Linear",
    "Part",
    "PointwiseConv",
    "Upsampling",
    "apply_parts",
    "repeat_images",
    "seamless_axes",
    "seamless_padding",
]

# f16 or f32, the same one throughout a network.
Activations = Buffer[Any]
Part = Callable[[Activations], Activations]
Upsampling = Literal["", "twice", "about"]

_wrap: Ambient[Wrap] = Ambient("wrap", "")


def seamless_padding(axes: Wrap) -> AbstractContextManager[None]:
    """Pad convolutions inside the context with the image's opposite side, along ``axes``."""
    return _wrap.around(axes)


def seamless_axes() -> Wrap:
    """Return the axes of the `seamless_padding` around."""
    return _wrap.get()


def repeat_images(x: Activations, images: int) -> Activations:
    """Return the images of ``x``, all of them again and again, until there are ``images``."""
    return x if x.shape[0] == images else repeat_batch(x, images // x.shape[0])


def apply_parts(parts: Iterable[Part], x: Activations) -> Activations:
    """Return the result of ``parts``, applied to ``x`` one after another."""
    for part in parts:
        x = part(x)
    return x


class Linear(Module):
    """``x @ weight.T + bias`` over the last axis, with a fused activation and residual.

    ``few_rows``: inputs have few rows, such as one for each picture; see `gpustd.gemm`.
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
            addend=update_of_rows(self, x),
            few_rows=self._few_rows,
        )


class Conv2d(Module):
    """A square convolution over (N, H, W, C), padded as `seamless_padding` says.

    ``side``: of its images at the size that the model was trained at, if that is known. The
    algorithm that is fastest there is chosen when the weights are loaded. ``upsampling``: its
    images are upsampled first, "twice" by two exactly, "about" to an odd size at times.
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
        upsampling: Upsampling = "",
    ) -> None:
        self.weight = Parameter((outputs, inputs, kernel, kernel), "conv")
        self.bias = Parameter((outputs,), "vector") if bias else None
        self._stride = stride
        self._padding = padding
        self._side = side
        self._upsampling = upsampling
        self._winograd_weights: Activations | None = None
        self._upsampling_weights: Activations | None = None

    def rearranged_parameters(self) -> list[Parameter]:
        return [self.weight]

    def after_load(self) -> None:
        weight = self.weight.buffer
        if (weight.shape[0], self._stride, self._padding) != (3, 1, 1):
            return
        inputs, outputs = weight.shape[2:]
        block = winograd_block(
            weight.device, weight.dtype, inputs, outputs, self._side, doubles=bool(self._upsampling)
        )
        if block:
            self._winograd_weights = winograd_weights(weight, block)
            self.weight.release()
        elif self._upsampling == "twice":
            self._upsampling_weights = upsampling_weights(weight)
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
        residual = update_of_conv(self, x, self._window(upsample), second, residual)
        if self._upsampling_weights is not None:
            twice = upsample == (2 * x.shape[1], 2 * x.shape[2])
            if not twice or second is not None or per_image is not None:
                raise ShapeError(
                    f"convolution of {x.shape}: upsample must be twice its size, got {upsample}; "
                    "give neither second nor per_image"
                )
            return upsampling_conv2d(
                x,
                self._upsampling_weights,
                bias=bias,
                residual=residual,
                activation=activation,
                wrap=_wrap.get(),
            )
        if self._winograd_weights is not None:
            return winograd_conv2d(
                x,
                self._winograd_weights,
                bias=bias,
                second=second,
                per_image=per_image,
                per_image_first=per_image_first,
                residual=residual,
                upsample=upsample,
                activation=activation,
                wrap=_wrap.get(),
            )
        return fused_conv2d(
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

    def _window(self, upsample: tuple[int, int] | None) -> Window:
        """Return the positions of the kernel on its image, as they are now."""
        given = self._padding
        padding = Padding(*((given,) * 4 if isinstance(given, int) else given))
        return Window(self._stride, padding, upsample, _wrap.get() if given else "")


class PointwiseConv(Module):
    """A 1x1 convolution whose file shape is (out, in, 1, 1): a `Linear` over the channels."""

    def __init__(self, inputs: int, outputs: int) -> None:
        self.weight = Parameter((outputs, inputs, 1, 1), "conv")
        self.bias = Parameter((outputs,), "vector")

    def __call__(self, x: Activations, *, residual: Activations | None = None) -> Activations:
        weight = self.weight.buffer
        return gemm(
            x,
            weight.view(weight.shape[2:]),
            bias=self.bias.buffer,
            residual=residual,
            addend=update_of_rows(self, x),
        )


class GroupNorm(Module):
    """Group normalisation over (N, H, W, C), optionally with SiLU and a second input."""

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
    """A table whose rows are looked up by number."""

    def __init__(self, rows: int, channels: int) -> None:
        self.weight = Table(rows, channels)

    def __call__(self, ids: Buffer[i32]) -> Activations:
        return embedding(ids, self.weight.parts)
