"""Loading a model's networks from a checked folder onto a device."""

from __future__ import annotations

from dataclasses import replace

from diffusion.checkpoints import ModelFolder, SeparateVae, Weights
from diffusion.errors import ModelFormatError
from diffusion.models.clip import ClipTextModel, ProjectedClipTextModel
from diffusion.models.module import Module, load
from diffusion.models.unet import UNet
from diffusion.pipeline.autoencoder import Autoencoder, vae_of
from diffusion.pipeline.networks import Networks
from diffusion.schedules import NoiseSchedule
from diffusion.text.encoder import TextEncoder
from diffusion.text.encoders import TextEncoders
from diffusion.text.tokenizer import ClipTokenizer
from gpucore import Device, DType, f16, f32

__all__ = ["best_dtype", "load_networks", "load_tokenizers"]


def best_dtype(device: Device) -> type[DType]:
    """Return the type that networks compute in by default: f16 on cards that have it, else f32.

    Software renderers have f16 too, but take ten times as long for it.
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

    ``dtype``: None for `best_dtype`. The VAE of an XL model whose config says ``force_upcast`` is
    f32 in any case, because its activations overflow f16. ``vae`` takes the place of the model's
    own; ``preview`` is for `Networks.for_preview` alone.
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
        for module, weights, module_dtype in pairs:
            load(module, weights.read, device, module_dtype)
    device.trim()
    text = [
        TextEncoder(device, tokenizer, module, folder.is_xl)
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
    """Return an autoencoder without weights, in f32 where an XL model's config asks for that."""
    upcast = folder.is_xl and source.config.force_upcast
    return Autoencoder(source, vae_of(source.config), f32 if upcast else dtype, device)


def load_tokenizers(folder: ModelFolder) -> list[ClipTokenizer]:
    """Return the tokenizers of a model's text encoders.

    A prompt is cut into tokens once for all encoders, so the tokenizers must know the same tokens.
    Raises `ModelFormatError`.
    """
    tokenizers = [
        ClipTokenizer(folder.tokenizers[part], config.max_position_embeddings, folder.padding(part))
        for part, config in folder.text_encoders.items()
    ]
    for tokenizer, (part, config) in zip(tokenizers, folder.text_encoders.items(), strict=True):
        if tokenizer.highest >= config.vocab_size:
            file = folder.tokenizers[part] / "vocab.json"
            reason = f"goes up to {tokenizer.highest}, and the encoder knows {config.vocab_size}"
            raise ModelFormatError(file, "vocabulary", reason, "give the model its own tokenizer")
    if not all(each.shares_tokens(tokenizers[0]) for each in tokenizers):
        file = folder.tokenizers["text_encoder_2"] / "vocab.json"
        reason = "differs from that of the first tokenizer"
        raise ModelFormatError(file, "vocabulary", reason, "download both tokenizers again")
    return tokenizers
