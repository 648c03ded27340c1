"""Loading a model's networks from a checked folder onto a device."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple, cast

from diffusion.checkpoints import ModelFolder, SeparateVae, Weights
from diffusion.checkpoints.model_folder import Part
from diffusion.errors import ModelFormatError
from diffusion.memory import EVERYTHING, Placement
from diffusion.models.clip import ClipTextModel, ProjectedClipTextModel
from diffusion.models.module import Module, is_loaded, load, release_weights
from diffusion.models.quantized import WHOLE, Quantizer, block_format_of
from diffusion.models.quantized.factor import Factor
from diffusion.models.unet import UNet
from diffusion.pipeline.autoencoder import Autoencoder, vae_of
from diffusion.pipeline.networks import Networks
from diffusion.schedules import NoiseSchedule
from diffusion.text.encoder import TextEncoder
from diffusion.text.encoders import TextEncoders
from diffusion.text.tokenizer import ClipTokenizer
from gpucore import Device, DType, f16, f32

__all__ = [
    "best_dtype",
    "load_autoencoder",
    "load_networks",
    "load_tokenizers",
    "place_networks",
    "reload_networks",
]


def best_dtype(device: Device) -> type[DType]:
    """Return the type that networks compute in by default: f16 on cards that have it, else f32.

    Software renderers have f16 too, but take ten times as long for it.
    """
    return f16 if device.has_f16 and not device.is_cpu else f32


def load_networks(
    folder: ModelFolder,
    device: Device,
    dtype: type[DType] | None = None,
    vae: SeparateVae | None = None,
    preview: SeparateVae | None = None,
    placement: Placement = EVERYTHING,
    weights: str | None = None,
    tokenizers: Sequence[ClipTokenizer] | None = None,
) -> Networks:
    """Check all weights against the model's parameters, then upload them.

    ``dtype``: None for `best_dtype`. The VAE of an XL model whose config says ``force_upcast`` is
    f32 in any case, because its activations overflow f16. ``vae`` takes the place of the model's
    own; ``preview`` is for `Networks.for_preview` alone. ``placement``: where weights lie.
    ``weights``: a name in `WEIGHT_NAMES` of the block format that weights of UNet and text encoders
    are quantised in, see `Quantizer`; ``f16`` expands those that are quantised in the file, which
    else stay so. ``tokenizers``: those of `load_tokenizers`, where they are loaded already.
    Raises `ModelFormatError`, `ModelMismatchError`.
    """
    chosen = dtype or best_dtype(device)
    unet = UNet(folder.unet)
    vae_sources = [
        vae or SeparateVae(folder.vae, folder.weights("vae")),
        *([preview] if preview else []),
    ]
    vaes = [_autoencoder(source, folder, chosen, device) for source in vae_sources]
    encoders = {
        part: (ProjectedClipTextModel if part == "text_encoder_2" else ClipTextModel)(config)
        for part, config in folder.text_encoders.items()
    }
    components = [
        *(Component(part, each, folder.weights(part), chosen) for part, each in encoders.items()),
        Component("unet", unet, folder.weights("unet"), chosen),
        *(Component("vae", each.network, each.source.weights, each.dtype) for each in vaes),
    ]
    for each in components:
        each.weights.check({name: parameter.shape for name, parameter in each.module.parameters()})
    tokenizers = tokenizers or load_tokenizers(folder)
    for each in components:
        each.load(device, placement, weights)
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
        weights=weights,
        placement=placement,
        noise=replace(NoiseSchedule.from_config(folder.scheduler), large=folder.is_xl),
    )


def load_autoencoder(source: SeparateVae, networks: Networks) -> Autoencoder:
    """Load another VAE for a model that is loaded. Raises as `load_networks`."""
    found = _autoencoder(source, networks.folder, networks.dtype, networks.device)
    shapes = {name: parameter.shape for name, parameter in found.network.parameters()}
    source.weights.check(shapes)
    with networks.device.region("loading"):
        load(found.network, source.weights.read, networks.device, found.dtype)
    networks.device.trim()
    return found


class Component(NamedTuple):
    """A network of a model, its file's weights, and the type that it computes in."""

    name: str
    module: Module
    weights: Weights
    dtype: type[DType]

    def load(self, device: Device, placement: Placement, weights: str | None) -> None:
        """Fill the network, whose weights lie where ``placement`` says; see `load_networks`."""
        source, quantizer = self.weights, self._quantizer(weights)
        keeps = weights != WHOLE
        parameters = self.module.parameters() if quantizer else []
        layers = {name: each.shape for name, each in parameters if isinstance(each, Factor)}

        def blocks(name: str) -> str | None:
            """Return the format of a weight that is or becomes quantised."""
            found = source.block_format(name) if keeps else None
            if found or quantizer is None or name not in layers:
                return found
            return quantizer.format_of(name, layers[name])

        around = placement.around(self.name)
        with device.region("loading"), around, source.reading(quantized=keeps) as stored:
            read = quantizer.reader(stored, frozenset(layers)) if quantizer else stored
            load(self.module, read, device, self.dtype, source.order, blocks)

    def _quantizer(self, weights: str | None) -> Quantizer | None:
        """Return what quantises this network's weights, if they are to be."""
        name = None if weights is None else block_format_of(weights)
        takes = name is not None and isinstance(self.module, (UNet, ClipTextModel))
        return Quantizer(name) if name is not None and takes else None


def place_networks(networks: Networks, placement: Placement) -> Networks:
    """Load anew those networks whose weights are to lie elsewhere; nothing may be captured of them.

    The networks are the same objects. Merged adapters are gone from those that were loaded. Where
    one finds no room, none of these keeps weights, and the next call loads them. Raises as
    `load_networks`.
    """
    folder, device = networks.folder, networks.device
    modules = networks.weight_modules()
    vaes = {"vae": networks.autoencoder, "preview": networks.preview}
    before = networks.placement
    moved = [
        name
        for name, module in modules.items()
        if not is_loaded(module) or before.differs_in(name, placement)
    ]
    for name in moved:
        release_weights(modules[name])
    device.trim()
    try:
        for name in moved:
            vae = vaes.get(name)
            source = folder.weights(cast(Part, name)) if vae is None else vae.source.weights
            dtype = networks.dtype if vae is None else vae.dtype
            Component(name, modules[name], source, dtype).load(device, placement, networks.weights)
    except BaseException:
        for name in moved:
            release_weights(modules[name])
        raise
    finally:
        device.trim()
    return replace(networks, placement=placement)


def reload_networks(networks: Networks, device: Device, placement: Placement) -> Networks:
    """Return the same networks, loaded anew from their files onto another device."""
    preview = None if networks.preview is None else networks.preview.source
    loaded = load_networks(
        networks.folder,
        device,
        networks.dtype,
        vae=networks.autoencoder.source,
        preview=preview,
        placement=placement,
        weights=networks.weights,
        tokenizers=[each.tokenizer for each in networks.text.encoders],
    )
    return replace(loaded, colours=networks.colours)


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
