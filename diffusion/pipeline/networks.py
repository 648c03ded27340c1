"""The networks of one model on one device, loaded from a checked folder."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from diffusion.checkpoints import ModelFolder, SeparateVae, Weights
from diffusion.errors import ModelFormatError
from diffusion.models.clip import ClipTextModel, ProjectedClipTextModel
from diffusion.models.config import TinyVaeConfig, VaeConfig
from diffusion.models.layers import Activations
from diffusion.models.module import Module, load
from diffusion.models.tiny_vae import TinyVae
from diffusion.models.unet import UNet, guidance_features, size_features
from diffusion.models.vae import Vae
from diffusion.pipeline.vae_graphs import VaeGraphs, Way
from diffusion.prompts import Chunk, Emphasis
from diffusion.schedules import NoiseSchedule
from diffusion.text.conditioning import Conditioning, Sizes
from diffusion.text.encoders import TextEncoder, TextEncoders
from diffusion.text.tokenizer import ClipTokenizer
from gpucore import Device, DType, f16, f32
from gpustd import concat, slice_axis
from gpustd.matmul.conv import Wrap

__all__ = ["Autoencoder", "Networks", "best_dtype", "load_networks", "load_tokenizers"]


@dataclass(frozen=True)
class Autoencoder:
    """A VAE, where it comes from and what it computes in."""

    source: SeparateVae
    network: Vae | TinyVae
    dtype: type[DType]
    device: Device
    _graphs: VaeGraphs = field(default_factory=VaeGraphs, init=False, repr=False, compare=False)

    def decode(self, latents: Activations) -> Activations:
        """Images (B, 8 h, 8 w, 3) of latents (B, h, w, C) in its scale; they hold until the next.

        Seamless along the axes of the `wrapped` around.
        """
        return self._run("decode", self.network.decode, latents)

    def moments(self, images: Activations) -> Activations:
        """Moments (B, h, w, 2 C) of images (B, 8 h, 8 w, 3), likewise."""
        return self._run("encode", self.network.moments, images)

    def _run(self, name: str, way: Way, x: Activations) -> Activations:
        """A tiny VAE asks the host amid its work, and is not captured."""
        return way(x) if isinstance(self.network, TinyVae) else self._graphs.run(name, way, x)

    def release(self) -> None:
        """Give the captured graphs' memory back: call it after the weights change, too."""
        self._graphs.release()

    @functools.cached_property
    def exact(self) -> Vae | TinyVae:
        """The same in f32; loaded when it is first asked for."""
        if self.dtype is f32:
            return self.network
        network = _vae(self.source.config)
        with self.device.region("loading"):
            load(network, self.source.weights.read, self.device, f32)
        return network


@dataclass(frozen=True)
class Networks:
    """A Stable Diffusion model: its folder's configs, networks, tokenizers and noise levels.

    ``seamless``: axes along which UNet and VAE are to see a picture's opposite edges side by side.
    """

    device: Device
    dtype: type[DType]
    folder: ModelFolder
    text: TextEncoders
    unet: UNet
    autoencoder: Autoencoder
    preview: Autoencoder | None
    noise: NoiseSchedule
    seamless: Wrap = ""

    @property
    def vae(self) -> Vae | TinyVae:
        """What makes latents of images, and images of latents."""
        return self.autoencoder.network

    @property
    def vae_config(self) -> VaeConfig | TinyVaeConfig:
        """The config of ``vae``, which may be another than the folder's."""
        return self.autoencoder.source.config

    @property
    def vae_dtype(self) -> type[DType]:
        """What ``vae`` computes in."""
        return self.autoencoder.dtype

    @property
    def for_preview(self) -> Networks:
        """The same, with the VAE for previews if there is one."""
        return replace(self, autoencoder=self.preview or self.autoencoder)

    @property
    def tokenizer(self) -> ClipTokenizer:
        """What prompts are cut into chunks with."""
        return self.text.tokenizer

    def release(self) -> None:
        """Give the memory of captured text encoders and autoencoders back."""
        self.text.release()
        self.autoencoder.release()
        if self.preview:
            self.preview.release()

    def encode_text(self, texts: list[str]) -> Activations:
        """Embeddings (texts, tokens, width) of plain texts, cut where they are too long."""
        return self.text.encode_text(texts).context

    def encode_prompts(self, prompts: Sequence[Sequence[Chunk]], emphasis: Emphasis) -> Activations:
        """Embeddings (prompts, chunks * tokens, width); see `TextEncoders.encode_prompts`."""
        return self.text.encode_prompts(prompts, emphasis).context

    def condition(
        self,
        prompts: Sequence[Sequence[Chunk]],
        emphasis: Emphasis,
        sizes: Sizes,
        *,
        guidance: float = 1.0,
        skip: int = 0,
    ) -> Conditioning:
        """What the UNet is told: of one prompt, or of a negative prompt and then one or more.

        ``guidance`` counts for models that embed it. ``skip``: see `TextEncoders.encode_prompts`.
        """
        context, pooled = self.text.encode_prompts(prompts, emphasis, skip)
        negative = prompts[0] if len(prompts) > 1 else None
        empty = negative is not None and not any(chunk.tokens for chunk in negative)
        if self.folder.zeros_for_empty_prompt and empty:
            context = self._zeros_first(context)
            pooled = None if pooled is None else self._zeros_first(pooled)
        added = None if pooled is None else self._embed_added(pooled, sizes)
        return Conditioning(context, added, self._guidance_rows(len(prompts), guidance))

    @property
    def embeds_guidance(self) -> bool:
        """Tell whether the UNet is told the guidance, and is not to be called without a prompt."""
        return self.folder.unet.time_cond_proj_dim is not None

    def _zeros_first(self, rows: Activations) -> Activations:
        """The same with zeros in the first row."""
        first = self.device.buffer_from_array(np.zeros((1, *rows.shape[1:])), rows.dtype)
        return concat([first, slice_axis(rows, 0, 1, rows.shape[0])], 0)

    def _embed_added(self, pooled: Activations, sizes: Sizes) -> Activations:
        """Pooled text (rows, width) and sizes, embedded: (rows, time width)."""
        count, scored = pooled.shape[0], self.folder.asks_for_score
        negatives = [row == 0 and count > 1 for row in range(count)]
        numbers = [sizes.numbers(scored=scored, negative=negative) for negative in negatives]
        features = np.stack([size_features(each, self.folder.unet) for each in numbers])
        on_device = self.device.buffer_from_array(features, self.dtype)
        with self.device.region("unet"):
            return self.unet.embed_added(concat([pooled, on_device], 1))

    def _guidance_rows(self, count: int, guidance: float) -> Activations | None:
        if not self.embeds_guidance:
            return None
        rows = np.tile(guidance_features(guidance, self.folder.unet), (count, 1))
        return self.device.buffer_from_array(rows, self.dtype)

    def encode_images(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        """Moments (B, h, w, 8) of images (B, H, W, 3) in [-1, 1]: means, logs of variances."""
        moments = self.autoencoder.moments(self.device.buffer_from_array(images, self.vae_dtype))
        return moments.read().astype(np.float32)


def best_dtype(device: Device) -> type[DType]:
    """What networks compute in where nothing is chosen: f16 on cards that have it, else f32.

    Software renderers have f16, and take ten times as long for it.
    """
    return f16 if device.has_f16 and not device.is_cpu else f32


def load_networks(
    folder: ModelFolder,
    device: Device,
    dtype: type[DType] | None = None,
    *,
    vae: SeparateVae | None = None,
    preview: SeparateVae | None = None,
) -> Networks:
    """Check all weights against the model's parameters, then upload them.

    ``dtype`` is `best_dtype` where it is None. The VAE of an XL model whose
    config says ``force_upcast`` is f32 in any case: its activations overflow f16. ``vae`` takes the
    place of the model's own; ``preview`` is for `Networks.for_preview` alone.
    Raises `ModelFormatError`, `ModelMismatchError`.
    """
    chosen = dtype or best_dtype(device)
    unet = UNet(folder.unet)
    sources = [
        vae or SeparateVae(folder.vae, folder.weights("vae")),
        *([preview] if preview else []),
    ]
    vaes = [_autoencoder(source, folder, chosen, device) for source in sources]
    encoders = {
        part: (ProjectedClipTextModel if part == "text_encoder_2" else ClipTextModel)(config)
        for part, config in folder.text_encoders.items()
    }
    pairs: list[tuple[Module, Weights, type[DType]]] = [
        *((module, folder.weights(part), chosen) for part, module in encoders.items()),
        (unet, folder.weights("unet"), chosen),
        *((vae.network, vae.source.weights, vae.dtype) for vae in vaes),
    ]
    for module, weights, _ in pairs:
        weights.check({name: parameter.shape for name, parameter in module.parameters()})
    tokenizers = load_tokenizers(folder)
    with device.region("loading"):
        for module, weights, wanted in pairs:
            load(module, weights.read, device, wanted)
    device.trim()
    text = [
        TextEncoder(tokenizer, module, folder.is_xl)
        for tokenizer, module in zip(tokenizers, encoders.values(), strict=True)
    ]
    return Networks(
        device=device,
        dtype=chosen,
        folder=folder,
        text=TextEncoders(device, chosen, tuple(text)),
        unet=unet,
        autoencoder=vaes[0],
        preview=vaes[1] if preview else None,
        noise=replace(NoiseSchedule.from_config(folder.scheduler), large=folder.is_xl),
    )


def _autoencoder(
    source: SeparateVae, folder: ModelFolder, dtype: type[DType], device: Device
) -> Autoencoder:
    upcast = folder.is_xl and source.config.force_upcast
    return Autoencoder(source, _vae(source.config), f32 if upcast else dtype, device)


def _vae(config: VaeConfig | TinyVaeConfig) -> Vae | TinyVae:
    return TinyVae(config) if isinstance(config, TinyVaeConfig) else Vae(config)


def load_tokenizers(folder: ModelFolder) -> list[ClipTokenizer]:
    """The encoders' tokenizers. A prompt is cut once for all, so they must know the same tokens.

    Raises ``ModelFormatError``.
    """
    found = [
        ClipTokenizer(folder.tokenizers[part], config.max_position_embeddings, folder.padding(part))
        for part, config in folder.text_encoders.items()
    ]
    for tokenizer, (part, config) in zip(found, folder.text_encoders.items(), strict=True):
        if tokenizer.highest >= config.vocab_size:
            file = folder.tokenizers[part] / "vocab.json"
            reason = f"goes up to {tokenizer.highest}, and the encoder knows {config.vocab_size}"
            raise ModelFormatError(file, "vocabulary", reason, "give the model its own tokenizer")
    if not all(each.shares_tokens(found[0]) for each in found):
        file = folder.tokenizers["text_encoder_2"] / "vocab.json"
        reason = "differs from that of the first tokenizer"
        raise ModelFormatError(file, "vocabulary", reason, "download both tokenizers again")
    return found
