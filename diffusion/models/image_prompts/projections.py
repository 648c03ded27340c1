"""From what an image encoder makes of a picture to tokens beside those of the text."""

from __future__ import annotations

from typing import Final

from diffusion.models.image_prompts.config import IpAdapterConfig, ResamplerConfig
from diffusion.models.layers import Activations, LayerNorm, Linear
from diffusion.models.module import Module
from diffusion.models.weights import Parameter
from gpucore import ShapeError
from gpustd import attention, concat, repeat_batch, slice_axis

__all__ = ["HEAD_WIDTH", "Resampler", "StateProjection", "TokenProjection"]

HEAD_WIDTH: Final = 64
"""Channels of a head of the resampler's attention, in all published adapters."""


class TokenProjection(Module):
    """The base adapter's: a picture's embedding (B, inputs) to tokens (B, T, context)."""

    def __init__(self, config: IpAdapterConfig) -> None:
        self.proj = Linear(config.inputs, config.tokens * config.context, few_rows=True)
        self.norm = LayerNorm(config.context)
        self._context = config.context

    def __call__(self, embeddings: Activations) -> Activations:
        tokens = self.proj(embeddings)
        return self.norm(tokens.view((tokens.shape[0], -1, self._context)))


class StateProjection(Module):
    """The full adapter's: each state (B, S, inputs) to a token (B, S, context)."""

    def __init__(self, config: IpAdapterConfig) -> None:
        self._widen = Linear(config.inputs, config.inputs)
        self._narrow = Linear(config.inputs, config.context)
        self._norm = LayerNorm(config.context)
        self.proj = [self._widen, None, self._narrow, self._norm]

    def __call__(self, states: Activations) -> Activations:
        return self._norm(self._narrow(self._widen(states, activation="gelu")))


class _PerceiverAttention(Module):
    """Attention of the latents to states and latents, with a residual (arXiv 2103.03206)."""

    def __init__(self, config: ResamplerConfig) -> None:
        self.norm1 = LayerNorm(config.width)
        self.norm2 = LayerNorm(config.width)
        self.to_q = Linear(config.width, config.inner, bias=False)
        self.to_kv = Linear(config.width, 2 * config.inner, bias=False)
        self.to_out = Linear(config.inner, config.width, bias=False)
        self._inner = config.inner

    def __call__(self, states: Activations, latents: Activations) -> Activations:
        own = self.norm2(latents)
        both = self.to_kv(concat([self.norm1(states), own], 1))
        keys = slice_axis(both, 2, 0, self._inner)
        values = slice_axis(both, 2, self._inner, 2 * self._inner)
        heads = self._inner // HEAD_WIDTH
        return self.to_out(attention(self.to_q(own), keys, values, heads=heads), residual=latents)


class _Block:
    """Attention and feed-forward layers; a file has them in lists, with a gap for GELU."""

    def __init__(self, config: ResamplerConfig) -> None:
        self.attend = _PerceiverAttention(config)
        self._norm = LayerNorm(config.width)
        self._widen = Linear(config.width, config.hidden, bias=False)
        self._narrow = Linear(config.hidden, config.width, bias=False)
        self.feed = [self._norm, self._widen, None, self._narrow]

    def __call__(self, states: Activations, latents: Activations) -> Activations:
        latents = self.attend(states, latents)
        wide = self._widen(self._norm(latents), activation="gelu")
        return self._narrow(wide, residual=latents)


class Resampler(Module):
    """The Plus adapter's: states (B, S, inputs) to as many tokens as it has latents."""

    def __init__(self, config: IpAdapterConfig) -> None:
        sizes = config.resampler
        if sizes is None:
            raise ShapeError("resampler: an adapter of the kind plus must have its sizes")
        self.latents = Parameter((1, config.tokens, sizes.width))
        self.proj_in = Linear(config.inputs, sizes.width)
        self.proj_out = Linear(sizes.width, config.context)
        self.norm_out = LayerNorm(config.context)
        self._blocks = [_Block(sizes) for _ in range(sizes.depth)]
        self.layers = [[each.attend, each.feed] for each in self._blocks]

    def __call__(self, states: Activations) -> Activations:
        latents = repeat_batch(self.latents.buffer, states.shape[0])
        states = self.proj_in(states)
        for block in self._blocks:
            latents = block(states, latents)
        return self.norm_out(self.proj_out(latents))
