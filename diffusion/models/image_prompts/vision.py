"""CLIP's image encoder, a vision transformer (Dosovitskiy et al. 2020, arXiv 2010.11929)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from diffusion.models.clip import Encoder
from diffusion.models.image_prompts.config import ClipVisionConfig
from diffusion.models.layers import Activations, LayerNorm, Linear
from diffusion.models.module import Module
from diffusion.models.weights import Parameter
from gpustd import add, concat, gemm, repeat_batch, slice_axis

__all__ = ["ClipVisionModel", "cut_patches"]


def cut_patches(pixels: NDArray[np.float32], side: int) -> NDArray[np.float32]:
    """Return the patches (B, rows * columns, side * side * C) of pictures (B, H, W, C)."""
    batch, height, width, channels = pixels.shape
    blocks = pixels.reshape(batch, height // side, side, width // side, side, channels)
    ordered = blocks.transpose(0, 1, 3, 2, 4, 5)
    return np.ascontiguousarray(ordered.reshape(batch, -1, side * side * channels))


class _PatchEmbedding(Module):
    """A convolution whose stride is its kernel: one product over the pixels of each patch."""

    def __init__(self, config: ClipVisionConfig) -> None:
        side = config.patch_size
        self.weight = Parameter((config.hidden_size, 3, side, side), "conv")

    def __call__(self, patches: Activations) -> Activations:
        weight: Any = self.weight.buffer
        height, width, inputs, outputs = weight.shape
        return gemm(patches, weight.view((height * width * inputs, outputs)))


class _Positions(Module):
    """A learned vector for each place: the picture's own token first, then the patches."""

    def __init__(self, config: ClipVisionConfig) -> None:
        self.weight = Parameter((config.patches**2 + 1, config.hidden_size))


class _Embeddings(Module):
    """The picture's own token and those of the patches, with their places."""

    def __init__(self, config: ClipVisionConfig) -> None:
        self.class_embedding = Parameter((config.hidden_size,))
        self.patch_embedding = _PatchEmbedding(config)
        self.position_embedding = _Positions(config)

    def __call__(self, patches: Activations) -> Activations:
        own, places = self.class_embedding.buffer, self.position_embedding.weight.buffer
        batch, width = patches.shape[0], own.shape[0]
        first = repeat_batch(own.view((1, 1, width)), batch)
        tokens = concat([first, self.patch_embedding(patches)], 1)
        return add(tokens, repeat_batch(places.view((1, *places.shape)), batch))


class _VisionTransformer(Module):
    """Embeddings, a first norm (``pre_layrnorm``, as the files spell it), layers, a last norm."""

    def __init__(self, config: ClipVisionConfig) -> None:
        self.embeddings = _Embeddings(config)
        self.pre_layrnorm = LayerNorm(config.hidden_size, config.layer_norm_eps)
        self.encoder = Encoder(config, causal=False)
        self.post_layernorm = LayerNorm(config.hidden_size, config.layer_norm_eps)

    def __call__(self, patches: Activations) -> Activations:
        states = self.pre_layrnorm(self.embeddings(patches))
        return self.encoder(states, end=len(self.encoder.layers) - 1)


class ClipVisionModel(Module):
    """The encoder from patches (B, S, side * side * 3) to states or embeddings.

    A call returns the states (B, S + 1, hidden) before the last layer.
    """

    def __init__(self, config: ClipVisionConfig) -> None:
        self.vision_model = _VisionTransformer(config)
        self.visual_projection = Linear(
            config.hidden_size, config.projection_dim, bias=False, few_rows=True
        )

    def __call__(self, patches: Activations) -> Activations:
        return self.vision_model(patches)

    def embed(self, patches: Activations) -> Activations:
        """Return the embeddings (B, projection) of whole pictures, from the last layer."""
        model = self.vision_model
        states = model.encoder(model(patches), first=len(model.encoder.layers) - 1)
        own = slice_axis(states, 1, 0, 1)
        normed = model.post_layernorm(own.view((own.shape[0], own.shape[2])))
        return self.visual_projection(normed)
