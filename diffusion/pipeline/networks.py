"""The networks of one model on one device."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from diffusion.checkpoints import ModelFolder
from diffusion.errors import SettingsError
from diffusion.memory import EVERYTHING, Placement
from diffusion.models.config import TinyVaeConfig, VaeConfig
from diffusion.models.layers import Activations
from diffusion.models.low_rank import updates
from diffusion.models.module import Module, is_loaded
from diffusion.models.quantized.presence import has_quantized_weights
from diffusion.models.tiny_vae import TinyVae
from diffusion.models.unet import UNet, guidance_features, size_features
from diffusion.models.vae import Vae
from diffusion.pipeline.autoencoder import Autoencoder
from diffusion.prompts import Chunk, Emphasis
from diffusion.schedules import NoiseSchedule
from diffusion.tasks.rgb_preview import LatentColours
from diffusion.text.conditioning import Conditioning, Sizes
from diffusion.text.encoder import EncodedText
from diffusion.text.encoders import TextEncoders
from diffusion.text.encoding_updates import current_encoding
from diffusion.text.prompt_embeddings import PromptEmbeddings
from diffusion.text.tokenizer import ClipTokenizer
from gpucore import Device, DType
from gpustd import concat, slice_axis
from gpustd.matmul.conv import Wrap

__all__ = ["Networks"]


@dataclass(frozen=True)
class Networks:
    """A Stable Diffusion model: its folder's configs, networks, tokenizers and noise levels.

    ``dtype``: the type that UNet and text encoders compute in. ``preview``: a quick autoencoder for
    previews. ``seamless``: axes along which a picture's opposite edges meet.
    ``colours``: those of latents, for previews without a network. ``weights``: the format that
    weights were quantised in at loading. ``placement``: of the weights.
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
    colours: LatentColours | None = None
    weights: str | None = None
    placement: Placement = EVERYTHING

    @property
    def vae(self) -> Vae | TinyVae:
        """The network that encodes images and decodes latents."""
        return self.autoencoder.network

    @property
    def vae_config(self) -> VaeConfig | TinyVaeConfig:
        """The config of ``vae``, which may differ from the folder's."""
        return self.autoencoder.source.config

    @property
    def vae_dtype(self) -> type[DType]:
        """The type that ``vae`` computes in."""
        return self.autoencoder.dtype

    @property
    def for_preview(self) -> Networks:
        """The same networks, with the VAE for previews if there is one."""
        return replace(self, autoencoder=self.preview or self.autoencoder)

    @property
    def tokenizer(self) -> ClipTokenizer:
        """The tokenizer that cuts prompts into chunks."""
        return self.text.tokenizer

    @property
    def has_quantized_weights(self) -> bool:
        """Tell whether layers of the UNet or of a text encoder have quantised weights."""
        networks = (self.unet, *(encoder.network for encoder in self.text.encoders))
        return any(has_quantized_weights(network) for network in networks)

    @property
    def is_loaded(self) -> bool:
        """Tell whether all networks have weights: not after they found no room at another place."""
        return all(map(is_loaded, self.weight_modules().values()))

    def weight_modules(self) -> dict[str, Module]:
        """Return all networks by their names in the model's folder."""
        encoders = zip(self.folder.text_encoders, self.text.encoders, strict=True)
        found: dict[str, Module] = {part: encoder.network for part, encoder in encoders}
        found |= {"unet": self.unet, "vae": self.vae}
        return found if self.preview is None else {**found, "preview": self.preview.network}

    def release(self) -> None:
        """Give the memory of captured text encoders and autoencoders back."""
        self.text.release()
        self.autoencoder.release()
        if self.preview:
            self.preview.release()

    def encode_text(self, texts: list[str]) -> Activations:
        """Return embeddings (texts, tokens, width) of plain texts, cut where they are too long."""
        return self.text.encode_text(texts).context

    def encode_prompts(self, prompts: Sequence[Sequence[Chunk]], emphasis: Emphasis) -> Activations:
        """Return what `TextEncoders.encode_prompts` does: (prompts, chunks * tokens, width)."""
        return self.text.encode_prompts(prompts, emphasis).context

    def encode_conditioning(
        self,
        prompts: Sequence[Sequence[Chunk]],
        emphasis: Emphasis,
        sizes: Sizes,
        *,
        guidance: float = 1.0,
        skip: int = 0,
    ) -> Conditioning:
        """Return the UNet's conditioning by one prompt, or by a negative prompt and then others.

        ``guidance`` counts for models that embed it. ``skip``: see `TextEncoders.encode_prompts`.
        """
        encoded = self.encode_texts(prompts, emphasis, skip)
        return self._conditioning(encoded, sizes, guidance)

    def encode_texts(
        self, prompts: Sequence[Sequence[Chunk]], emphasis: Emphasis, skip: int = 0
    ) -> EncodedText:
        """Return embeddings of one prompt, or of a negative prompt and then others."""
        encoded = self.text.encode_prompts(prompts, emphasis, skip)
        negative = prompts[0] if len(prompts) > 1 else None
        empty = negative is not None and not any(chunk.tokens for chunk in negative)
        if not (self.folder.zeros_for_empty_prompt and empty):
            return encoded
        pooled = None if encoded.pooled is None else self._zero_first_row(encoded.pooled)
        return EncodedText(self._zero_first_row(encoded.context), pooled)

    def conditioning_of(
        self, embeddings: PromptEmbeddings, sizes: Sizes, *, guided: bool, guidance: float = 1.0
    ) -> Conditioning:
        """Return the UNet's conditioning by a caller's embeddings. Raises `SettingsError`.

        ``guided``: the negative prompt's row goes first, as classifier-free guidance needs it.
        """
        last = list(self.folder.text_encoders.values())[-1]
        pooled_width = last.projection_dim if self.folder.is_xl else None
        embeddings.check(self.folder.unet.cross_attention_dim, pooled_width)
        if guided and embeddings.negative is None:
            hint = "give an array of the prompt's shape, or a guidance of 1"
            raise SettingsError("embeddings.negative", None, hint)
        context = self._upload_rows(embeddings.negative if guided else None, embeddings.prompt)
        pooled = None
        if embeddings.pooled is not None:
            negative = embeddings.negative_pooled if guided else None
            pooled = self._upload_rows(negative, embeddings.pooled)
        return self._conditioning(EncodedText(context, pooled), sizes, guidance)

    def _upload_rows(self, *rows: NDArray[np.floating] | None) -> Activations:
        """Return the rows that are given, one below the other."""
        given = [row for row in rows if row is not None]
        return self.device.buffer_from_array(np.stack(given), self.dtype)

    def _conditioning(self, encoded: EncodedText, sizes: Sizes, guidance: float) -> Conditioning:
        context, pooled = encoded
        vectors = None if pooled is None else self._join_sizes(pooled, sizes)
        added = None
        if vectors is not None:
            encoding = current_encoding()
            beside = None if encoding is None else encoding.rows(self.device, vectors.shape[0])
            with self.device.region("unet"), updates(beside):
                added = self.unet.embed_added(vectors)
        rows = self._guidance_rows(context.shape[0], guidance)
        return Conditioning(context, added, rows, vectors)

    @property
    def embeds_guidance(self) -> bool:
        """Tell whether the UNet reads the guidance as an input, and needs no negative prompt."""
        return self.folder.unet.time_cond_proj_dim is not None

    def _zero_first_row(self, rows: Activations) -> Activations:
        """Return ``rows`` with zeros in the first one."""
        first = self.device.buffer_from_array(np.zeros((1, *rows.shape[1:])), rows.dtype)
        return concat([first, slice_axis(rows, 0, 1, rows.shape[0])], 0)

    def _join_sizes(self, pooled: Activations, sizes: Sizes) -> Activations:
        """Return pooled text (rows, width) with the features of sizes beside it."""
        count, scored = pooled.shape[0], self.folder.asks_for_score
        negatives = [row == 0 and count > 1 for row in range(count)]
        numbers = [sizes.numbers(scored=scored, negative=negative) for negative in negatives]
        features = np.stack([size_features(each, self.folder.unet) for each in numbers])
        size_rows = self.device.buffer_from_array(features, self.dtype)
        return concat([pooled, size_rows], 1)

    def _guidance_rows(self, count: int, guidance: float) -> Activations | None:
        """Return ``count`` rows of guidance features; None for a UNet that reads none."""
        if not self.embeds_guidance:
            return None
        rows = np.tile(guidance_features(guidance, self.folder.unet), (count, 1))
        return self.device.buffer_from_array(rows, self.dtype)

    def encode_images(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return moments (B, h, w, 2 C) of images (B, H, W, 3) in [-1, 1].

        Means come first, then logarithms of variances.
        """
        moments = self.autoencoder.moments(self.device.buffer_from_array(images, self.vae_dtype))
        return moments.read().astype(np.float32)
