"""The UNet's spatial transformer: self-attention, cross-attention to the prompt, GEGLU."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from diffusion.models.fused_linear import FusedLinear
from diffusion.models.layers import (
    Activations,
    GroupNorm,
    LayerNorm,
    Linear,
    PointwiseConv,
    repeat_images,
)
from diffusion.models.lite.inputs import change_input, has_changes
from diffusion.models.module import Module
from diffusion.models.self_attention import attend, column_sums
from diffusion.models.weights import Parameter
from gpucore import Buffer, f32
from gpustd import add, attention, concat, multiply, self_attention, slice_axis

__all__ = ["AttentionKeys", "CrossAttention", "ImageKeys", "PromptKeys", "SpatialTransformer"]


class ImageKeys(NamedTuple):
    """Keys and values (rows, T, width) of an image prompt, for attention of its own.

    ``region`` (1, S, 1): where it counts among the S queries; None for everywhere.
    """

    keys: Buffer[Any]
    values: Buffer[Any]
    region: Buffer[Any] | None


class AttentionKeys(NamedTuple):
    """Keys and values (rows, S, width) of the prompt, and those of image prompts beside it."""

    keys: Buffer[Any]
    values: Buffer[Any]
    images: tuple[ImageKeys, ...] = ()


# What each cross-attention reads of the prompt: it does not change over the steps.
PromptKeys = Mapping["CrossAttention", AttentionKeys]


class SelfAttention(Module):
    """Multi-head attention over its input, with a residual; one product gives q, k and v."""

    _qkv: FusedLinear

    def __init__(self, width: int, heads: int) -> None:
        self.to_q = Linear(width, width, bias=False)
        self.to_k = Linear(width, width, bias=False)
        self.to_v = Linear(width, width, bias=False)
        self.to_out = [Linear(width, width)]
        self._heads = heads

    def rearranged_parameters(self) -> list[Parameter]:
        return FusedLinear.read_parameters([self.to_q, self.to_k, self.to_v])

    def after_load(self) -> None:
        self._qkv = FusedLinear([self.to_q, self.to_k, self.to_v])

    def column_sums(self, x: Activations, images: int) -> Buffer[f32]:
        """Return how much each token of the first images is looked at, as `column_sums` does."""
        return column_sums(self._project(x), self._heads, images)

    def _project(self, x: Activations) -> Activations:
        """Return queries, keys and values (B, S, 3 C) side by side."""
        layers = (self.to_q, self.to_k, self.to_v)
        if not has_changes(layers):
            return self._qkv(x)
        inputs = [change_input(layer, x) for layer in layers]
        rows = max(each.shape[0] for each in inputs)
        return self._qkv.of_each([repeat_images(each, rows) for each in inputs])

    def __call__(
        self, x: Activations, residual: Activations | None, perturbed: int = 0
    ) -> Activations:
        projected = self._project(x)
        attended = self_attention(projected, heads=self._heads)
        if perturbed:
            attended = _with_values(attended, projected, perturbed)
        if residual is not None:
            residual = repeat_images(residual, attended.shape[0])
        return self.to_out[0](attended, residual=residual)


def _with_values(attended: Activations, projected: Activations, images: int) -> Activations:
    """Return ``attended`` with the values of ``projected`` (B, S, 3 C) in the last images."""
    count, _, width = attended.shape
    values = slice_axis(slice_axis(projected, 2, 2 * width, 3 * width), 0, count - images, count)
    if images == count:
        return values
    return concat([slice_axis(attended, 0, 0, count - images), values], 0)


class CrossAttention(Module):
    """Multi-head attention to keys and values computed before, with a residual.

    With fewer images than prompts, images are repeated: each prompt has a result of its own.
    """

    def __init__(self, width: int, context: int, heads: int) -> None:
        self.to_q = Linear(width, width, bias=False)
        self.to_k = Linear(context, width, bias=False)
        self.to_v = Linear(context, width, bias=False)
        self.to_out = [Linear(width, width)]
        self._heads = heads

    def keys(self, context: Activations) -> AttentionKeys:
        """Return keys and values of a context (B, S, context)."""
        return AttentionKeys(self.to_k(context), self.to_v(context))

    def __call__(self, x: Activations, residual: Activations, prompt: AttentionKeys) -> Activations:
        prompts = prompt.keys.shape[0]
        queries = repeat_images(self.to_q(change_input(self.to_q, x)), prompts)
        attended = attention(queries, prompt.keys, prompt.values, heads=self._heads)
        for each in prompt.images:
            seen = attention(queries, each.keys, each.values, heads=self._heads)
            attended = add(attended, seen if each.region is None else multiply(seen, each.region))
        return self.to_out[0](attended, residual=repeat_images(residual, prompts))


class GatedProjection(Module):
    """Linear layer with GEGLU (Shazeer 2020, arXiv 2002.05202)."""

    def __init__(self, width: int, inner: int) -> None:
        self.proj = Linear(width, 2 * inner)

    def __call__(self, x: Activations) -> Activations:
        return self.proj(x, activation="geglu")


class FeedForward(Module):
    """Gated projection to four times the width, and back; entry 1 of ``net`` is a dropout."""

    def __init__(self, width: int) -> None:
        self._gate = GatedProjection(width, 4 * width)
        self._back = Linear(4 * width, width)
        self.net = [self._gate, None, self._back]

    def __call__(self, x: Activations, residual: Activations) -> Activations:
        return self._back(self._gate(x), residual=residual)


class TransformerBlock(Module):
    """Self-attention, cross-attention, feed-forward, each normalised first and added.

    ``only_cross``: the first attention attends to the prompt too.
    """

    def __init__(self, width: int, context: int, heads: int, *, only_cross: bool = False) -> None:
        self.norm1 = LayerNorm(width)
        self.attn1 = (
            CrossAttention(width, context, heads) if only_cross else SelfAttention(width, heads)
        )
        self.norm2 = LayerNorm(width)
        self.attn2 = CrossAttention(width, context, heads)
        self.norm3 = LayerNorm(width)
        self.ff = FeedForward(width)

    def cross_attentions(self) -> Iterator[CrossAttention]:
        """Yield the attentions to the prompt."""
        if isinstance(self.attn1, CrossAttention):
            yield self.attn1
        yield self.attn2

    def __call__(self, x: Activations, prompt: PromptKeys, perturbed: int = 0) -> Activations:
        if isinstance(self.attn1, CrossAttention):
            x = self.attn1(self.norm1(x), x, prompt[self.attn1])
        elif perturbed:
            x = self.attn1(self.norm1(x), x, perturbed)
        else:
            x = attend(self.attn1, self.norm1(x), x)
        x = self.attn2(self.norm2(x), x, prompt[self.attn2])
        return self.ff(self.norm3(x), x)


class SpatialTransformer(Module):
    """``depth`` transformer blocks over the pixels of (N, H, W, C), added to their input.

    ``perturbed``: in the last images, self-attention returns its values as they are.
    """

    def __init__(
        self,
        width: int,
        context: int,
        heads: int,
        groups: int,
        *,
        linear: bool,
        depth: int = 1,
        only_cross: bool = False,
    ) -> None:
        self.norm = GroupNorm(groups, width, 1e-6)
        projection = Linear if linear else PointwiseConv
        self.proj_in = projection(width, width)
        self.transformer_blocks = [
            TransformerBlock(width, context, heads, only_cross=only_cross) for _ in range(depth)
        ]
        self.proj_out = projection(width, width)

    def cross_attentions(self) -> Iterator[CrossAttention]:
        """Yield the attentions to the prompt."""
        for block in self.transformer_blocks:
            yield from block.cross_attentions()

    def column_sums(self, x: Activations, images: int) -> Buffer[f32]:
        """Return how much each place (images, H, W, 1) is looked at by the first self-attention."""
        count, height, width, channels = x.shape
        h = self.proj_in(self.norm(x).view((count, height * width, channels)))
        first = self.transformer_blocks[0]
        assert isinstance(first.attn1, SelfAttention)
        sums = first.attn1.column_sums(first.norm1(h), images)
        return sums.view((images, height, width, 1))

    def __call__(self, x: Activations, prompt: PromptKeys, perturbed: int = 0) -> Activations:
        images, height, width, channels = x.shape
        tokens = x.view((images, height * width, channels))
        h = self.proj_in(self.norm(x).view(tokens.shape))
        for block in self.transformer_blocks:
            h = block(h, prompt, perturbed)
        h = self.proj_out(h, residual=repeat_images(tokens, h.shape[0]))
        return h.view((h.shape[0], height, width, channels))
