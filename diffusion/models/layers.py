"""The layers of text encoder, UNet and VAE."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from typing import Any, Final, Literal, NamedTuple

from diffusion.ambient import Ambient
from diffusion.models.low_rank import update_of_conv, update_of_rows
from diffusion.models.module import Module, residence
from diffusion.models.quantized.factor import Factor
from diffusion.models.weights import Parameter, Table, Weight
from gpucore import Buffer, DType, ShapeError, i32
from gpustd import (
    QuantizedWeight,
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

_LEAST_SIDE_OF_BLOCKS: Final = 32
"""Side of images where Winograd's weights, made of blocks at each call, are worth their time."""

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
        self.weight = Factor((outputs, inputs), "linear")
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
            self.weight.factor,
            bias=self.bias.buffer if self.bias else None,
            activation=activation,
            residual=residual,
            update=update_of_rows(self),
            few_rows=self._few_rows,
        )


class Transform(NamedTuple):
    """Weights of a quicker convolution, made of the file's: their kind, and Winograd's block."""

    kind: Literal["winograd", "upsampling"]
    block: int = 2

    def __call__(self, weight: Activations) -> Activations:
        """Return the transformed weights."""
        if self.kind == "upsampling":
            return upsampling_weights(weight)
        return winograd_weights(weight, self.block)


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
        self.weight = Factor((outputs, inputs, kernel, kernel), "conv")
        self.bias = Parameter((outputs,), "vector") if bias else None
        self._stride = stride
        self._padding = padding
        self._side = side
        self._upsampling = upsampling
        self._transform: Transform | None = None
        self._transformed: Weight | None = None

    def rearranged_parameters(self) -> list[Parameter]:
        return [self.weight]

    def after_load(self) -> None:
        self._transformed = None
        self._transform = self._choose_transform()
        # Beside blocks, each call makes them: they would take more than quantising saves.
        keeps = residence.get().transformed and not self.weight.is_quantized
        if self._transform is not None and keeps:
            self._transformed = Weight(self._transform(self.weight.buffer))
            self.weight.release()

    def _choose_transform(self) -> Transform | None:
        """Return what makes the weights of the fastest algorithm; None for those of the file."""
        weight = self.weight.factor
        if (weight.shape[0], self._stride, self._padding) != (3, 1, 1):
            return None
        inputs, outputs = weight.shape[2:]
        dtype, doubles = self.weight.dtype, bool(self._upsampling)
        block = winograd_block(weight.device, dtype, inputs, outputs, self._side, doubles=doubles)
        if block and (not self.weight.is_quantized or (self._side or 0) >= _LEAST_SIDE_OF_BLOCKS):
            return Transform("winograd", block)
        return Transform("upsampling") if self._upsampling == "twice" else None

    @property
    def is_transformed(self) -> bool:
        """Tell whether it computes with weights that are made of the file's."""
        return self._transform is not None

    @property
    def transformed_weight(self) -> Weight | None:
        """The transformed weights, where they are kept."""
        return self._transformed

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
        transform = self._transform
        if transform is not None and transform.kind == "upsampling":
            twice = upsample == (2 * x.shape[1], 2 * x.shape[2])
            if not twice or second is not None or per_image is not None:
                raise ShapeError(
                    f"convolution of {x.shape}: upsample must be twice its size, got {upsample}; "
                    "give neither second nor per_image"
                )
            return upsampling_conv2d(
                x,
                self._transformed_now(transform, x.dtype),
                bias=bias,
                residual=residual,
                activation=activation,
                wrap=_wrap.get(),
            )
        if transform is not None:
            return winograd_conv2d(
                x,
                self._transformed_now(transform, x.dtype),
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
            self.weight.factor,
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

    def _transformed_now(self, transform: Transform, dtype: type[DType]) -> Activations:
        """Return the transformed weights, made now where they are not kept."""
        if self._transformed is not None:
            return self._transformed.buffer
        weight = self.weight.factor
        return transform(weight.expand(dtype) if isinstance(weight, QuantizedWeight) else weight)

    def _window(self, upsample: tuple[int, int] | None) -> Window:
        """Return the positions of the kernel on its image, as they are now."""
        given = self._padding
        padding = Padding(*((given,) * 4 if isinstance(given, int) else given))
        return Window(self._stride, padding, upsample, _wrap.get() if given else "")


class PointwiseConv(Module):
    """A 1x1 convolution whose file shape is (out, in, 1, 1): a `Linear` over the channels."""

    def __init__(self, inputs: int, outputs: int) -> None:
        self.weight = Factor((outputs, inputs, 1, 1), "conv")
        self.bias = Parameter((outputs,), "vector")

    def __call__(self, x: Activations, *, residual: Activations | None = None) -> Activations:
        weight = self.weight.factor
        return gemm(
            x,
            weight.view((weight.shape[2], weight.shape[3])),
            bias=self.bias.buffer,
            residual=residual,
            update=update_of_rows(self),
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
