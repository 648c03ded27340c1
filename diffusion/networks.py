"""The networks of one model on one device, loaded from a checked folder."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from diffusion.checkpoints import ModelFolder, Weights
from diffusion.models.clip import ClipTextModel
from diffusion.models.layers import Activations
from diffusion.models.module import Module, load
from diffusion.models.unet import UNet
from diffusion.models.vae import Vae
from diffusion.prompts import Chunk, Emphasis, weigh
from diffusion.schedules import NoiseSchedule
from diffusion.tokenizer import ClipTokenizer
from gpucore import Device, DType, f16, f32, i32
from gpustd import concat

__all__ = ["Networks", "load_networks"]

_ROWS = 16
"""Chunks of text that are encoded at once; more would only take memory."""


@dataclass(frozen=True)
class Networks:
    """A Stable Diffusion model: its folder's configs, networks, tokenizer and noise levels."""

    device: Device
    dtype: type[DType]
    folder: ModelFolder
    tokenizer: ClipTokenizer
    text_encoder: ClipTextModel
    unet: UNet
    vae: Vae
    noise: NoiseSchedule

    def encode_text(self, texts: list[str]) -> Activations:
        """Embeddings (texts, tokens, width) of the last layer, after the final norm.

        The texts are plain, and cut where they are longer than the model takes.
        """
        return self._encode(self.tokenizer(texts))

    def encode_prompts(self, prompts: Sequence[Sequence[Chunk]], emphasis: Emphasis) -> Activations:
        """Embeddings (prompts, chunks * tokens, width), each token's times its weight.

        Shorter prompts are filled up with empty chunks. Weights are applied on the host, only
        where one is not 1.
        """
        most = max(map(len, prompts))
        chunks = [chunk for each in prompts for chunk in (*each, *[Chunk()] * (most - len(each)))]
        rows = [self.tokenizer.row(chunk.tokens) for chunk in chunks]
        groups = [self._encode(rows[i : i + _ROWS]) for i in range(0, len(rows), _ROWS)]
        states = groups[0] if len(groups) == 1 else concat(groups, 0)
        weights = np.ones(states.shape[:2])
        for row, chunk in zip(weights, chunks, strict=True):
            row[1 : 1 + len(chunk.weights)] = chunk.weights
        if (weights != 1).any():
            weighed = weigh(states.read(), weights, emphasis.keeps_mean)
            states = self.device.buffer_from_array(weighed, self.dtype)
        return states.view((len(prompts), most * states.shape[1], states.shape[2]))

    def _encode(self, rows: list[list[int]]) -> Activations:
        """Embeddings (rows, tokens, width) of rows of token ids."""
        ids = np.array(rows, np.int32)
        positions = np.broadcast_to(np.arange(ids.shape[1]), ids.shape)
        up = self.device.buffer_from_array
        with self.device.region("text encoder"):
            return self.text_encoder(up(ids, i32), up(positions, i32))

    def encode_images(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        """Moments (B, h, w, 8) of images (B, H, W, 3) in [-1, 1]: means, logs of variances."""
        moments = self.vae.moments(self.device.buffer_from_array(images, self.dtype))
        return moments.read().astype(np.float32)


def load_networks(
    folder: ModelFolder, device: Device, dtype: type[DType] | None = None
) -> Networks:
    """Check all weights against the model's parameters, then upload them.

    ``dtype`` is f16 where the device computes well with it, else f32.
    Raises `ModelFormatError`, `ModelMismatchError`.
    """
    chosen = dtype or (f16 if device.has_f16 and not device.is_cpu else f32)
    text_encoder, unet, vae = (
        ClipTextModel(folder.text_encoder),
        UNet(folder.unet),
        Vae(folder.vae),
    )
    pairs: Iterable[tuple[Module, Weights]] = [
        (text_encoder, folder.weights("text_encoder")),
        (unet, folder.weights("unet")),
        (vae, folder.weights("vae")),
    ]
    for module, weights in pairs:
        weights.check({name: parameter.shape for name, parameter in module.parameters()})
    with device.region("loading"):
        for module, weights in pairs:
            load(module, weights.read, device, chosen)
    return Networks(
        device=device,
        dtype=chosen,
        folder=folder,
        tokenizer=ClipTokenizer(folder.tokenizer, folder.text_encoder.max_position_embeddings),
        text_encoder=text_encoder,
        unet=unet,
        vae=vae,
        noise=NoiseSchedule.from_config(folder.scheduler),
    )
