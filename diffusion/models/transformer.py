"""The UNet's spatial transformer: self-attention, cross-attention to the prompt, GEGLU."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from diffusion.models.layers import Activations, GroupNorm, LayerNorm, Linear, PointwiseConv
from diffusion.models.module import Module
from gpucore import Buffer
from gpustd import attention

__all__ = ["Attention", "PromptKeys", "SpatialTransformer"]

# Keys and values of the prompt for each cross-attention: they do not change over the steps.
PromptKeys = Mapping["Attention", tuple[Buffer[Any], Buffer[Any]]]


class Attention(Module):
    """Multi-head attention with a residual.

    ``context`` is the width that keys and values come from: ``width`` itself, or the text's.
    """

    def __init__(self, width: int, context: int, heads: int) -> None:
        self.to_q = Linear(width, width, bias=False)
        self.to_k = Linear(context, width, bias=False)
        self.to_v = Linear(context, width, bias=False)
        self.to_out = [Linear(width, width)]
        self._heads = heads

    def keys(self, context: Activations) -> tuple[Activations, Activations]:
        """Keys and values of a context (B, S, context)."""
        return self.to_k(context), self.to_v(context)

    def __call__(
        self,
        x: Activations,
        residual: Activations,
        keys: tuple[Activations, Activations] | None = None,
    ) -> Activations:
        k, v = keys or self.keys(x)
        return self.to_out[0](attention(self.to_q(x), k, v, heads=self._heads), residual=residual)


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
    """Self-attention, cross-attention, feed-forward, each normalised first and added."""

    def __init__(self, width: int, context: int, heads: int) -> None:
        self.norm1 = LayerNorm(width)
        self.attn1 = Attention(width, width, heads)
        self.norm2 = LayerNorm(width)
        self.attn2 = Attention(width, context, heads)
        self.norm3 = LayerNorm(width)
        self.ff = FeedForward(width)

    def __call__(self, x: Activations, prompt: PromptKeys) -> Activations:
        x = self.attn1(self.norm1(x), x)
        x = self.attn2(self.norm2(x), x, prompt[self.attn2])
        return self.ff(self.norm3(x), x)


class SpatialTransformer(Module):
    """Transformer blocks over the pixels of (N, H, W, C), added to their input."""

    def __init__(
        self, width: int, context: int, heads: int, groups: int, *, linear: bool, depth: int = 1
    ) -> None:
        self.norm = GroupNorm(groups, width, 1e-6)
        projection = Linear if linear else PointwiseConv
        self.proj_in = projection(width, width)
        self.transformer_blocks = [TransformerBlock(width, context, heads) for _ in range(depth)]
        self.proj_out = projection(width, width)

    def cross_attentions(self) -> Iterator[Attention]:
        """The attentions that look at the prompt."""
        for block in self.transformer_blocks:
            yield block.attn2

    def __call__(self, x: Activations, prompt: PromptKeys) -> Activations:
        images, height, width, channels = x.shape
        tokens = x.view((images, height * width, channels))
        h = self.proj_in(self.norm(x).view(tokens.shape))
        for block in self.transformer_blocks:
            h = block(h, prompt)
        return self.proj_out(h, residual=tokens).view(x.shape)
