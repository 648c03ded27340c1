"""The family of a control network, compared with the model's before anything is uploaded."""

from __future__ import annotations

from typing import Final

from diffusion.checkpoints.model_folder import ModelFolder
from diffusion.checkpoints.single_file.families import FAMILIES
from diffusion.checkpoints.weights import Weights
from diffusion.errors import ModelFormatError, quote
from diffusion.models.control_config import AdapterConfig, ControlNetConfig, begins_halved
from diffusion.models.lite import LiteConfig
from diffusion.models.xs import XsConfig

__all__ = ["check_family", "family_title"]

_COLOURS: Final = 3
_OTHER: Final = "give a control network that was made for this model's family"


def check_family(
    config: ControlNetConfig | AdapterConfig | LiteConfig | XsConfig,
    weights: Weights,
    model: ModelFolder,
) -> None:
    """Raise ``ModelFormatError`` for a network that was made for another family of models."""
    if isinstance(config, ControlNetConfig):
        _check_controlnet(config, weights, model)
    elif isinstance(config, XsConfig):
        _check_xs(config, weights, model)
    elif isinstance(config, LiteConfig):
        _check_lite(config, weights, model)
    else:
        _check_adapter(config, weights, model)


def _check_controlnet(config: ControlNetConfig, weights: Weights, model: ModelFolder) -> None:
    own, unet, path = config.unet, model.unet, weights.path
    for name, entry in weights.entries.items():
        is_key = name.endswith(".attn2.to_k.weight") and len(entry.shape) == 2
        if is_key and entry.shape[1] != unet.cross_attention_dim:
            _fail(path, "text width", unet.cross_attention_dim, entry.shape[1], entry.shape[1])
    added = unet.projection_class_embeddings_input_dim
    found = weights.entries.get("add_embedding.linear_1.weight")
    width = found.shape[1] if found is not None and len(found.shape) == 2 else None
    if width != added:
        _fail(path, "width of added inputs", added, width, 2048 if width else None)
    for field in ("cross_attention_dim", "block_out_channels", "layers_per_block"):
        expected, given = getattr(unet, field), getattr(own, field)
        if expected != given:
            _fail(path, field, expected, given, own.cross_attention_dim)
    if own.in_channels != model.vae.latent_channels:
        _fail(path, "in_channels", model.vae.latent_channels, own.in_channels, None)
    if config.hint_inputs != _COLOURS:
        _fail(path, "channels of the picture", _COLOURS, config.hint_inputs, None)
    if config.downscale != model.vae.downscale:
        _fail(path, "pixels per latent pixel", model.vae.downscale, config.downscale, None)


def _check_adapter(config: AdapterConfig, weights: Weights, model: ModelFolder) -> None:
    levels, path = model.unet.block_out_channels, weights.path
    halved = begins_halved(model.unet)
    expected = (*levels, levels[-1]) if halved else levels
    factor = model.vae.downscale * (1 + halved)
    if config.outputs != expected or config.downscale != factor:
        found = f"{list(config.outputs)} at 1/{config.downscale}"
        _fail(path, "channels", f"{list(expected)} at 1/{factor}", found, None)


def _check_xs(config: XsConfig, weights: Weights, model: ModelFolder) -> None:
    unet, path = model.unet, weights.path
    width = config.widths[0]
    levels = len(unet.block_out_channels)
    pairs = {
        "cross_attention_dim": ((unet.cross_attention_dim,) * levels, config.widths),
        "base_block_out_channels": (unet.block_out_channels, config.base_channels),
        "down_block_types": (unet.down_block_types, config.down_block_types),
        "layers_per_block": (unet.layers_per_block, (config.layers,) * levels),
        "channels of the picture": (_COLOURS, config.hint_inputs),
        "pixels per latent pixel": (model.vae.downscale, config.downscale),
        "mid_block_type": (unet.mid_block_type, "UNetMidBlock2DCrossAttn"),
        "channels of the latents": (model.vae.latent_channels, 4),
    }
    for field, (expected, found) in pairs.items():
        if expected != found:
            _fail(path, field, expected, found, width)


def _check_lite(config: LiteConfig, weights: Weights, model: ModelFolder) -> None:
    """Compare each module with the layer that it changes, whose name alone is known to fit."""
    for each in config.places:
        name = f"{each.name}.down.0.weight"
        found, expected = weights.entries[name].shape[1], each.place.width
        if found != expected:
            _fail(weights.path, f"inputs of {quote(name)}", expected, found, None)
        factor = model.vae.downscale << each.place.level
        if each.downscale != factor:
            field = f"pixels per token of {quote(each.name)}"
            _fail(weights.path, field, factor, each.downscale, None)


def _fail(path: object, field: str, expected: object, found: object, width: int | None) -> None:
    """Raise the error of a field that differs; ``width``: of the text, which tells the family."""
    title = family_title(width)
    made = f"it was made for {title}; " if title else ""
    reason = f"must be {_show(expected)} as in the model, got {_show(found)}"
    raise ModelFormatError(str(path), field, reason, f"{made}{_OTHER}")


def family_title(width: int | None) -> str | None:
    """Return the title of the family whose text has a width; None for none."""
    return next((each.title for each in FAMILIES if each.text_width == width), None)


def _show(value: object) -> object:
    return list(value) if isinstance(value, tuple) else value
