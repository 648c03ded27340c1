"""Every spelling of a model's modules in adapter files.

Underscores are never turned back into dots (``to_out_0``, ``proj_in`` would be ambiguous). Each
module of the model is spelled in every dialect instead, and files are looked up in that table.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from diffusion.checkpoints.single_file.module_names import unet_names
from diffusion.models.module import Module
from diffusion.models.unet_config import UNetConfig
from diffusion.models.weights import Table

__all__ = ["AdaptedModule", "spell_modules"]

_SGM: Final = ("diffusion_model.", "model.diffusion_model.")
_OLD_PROJECTIONS: Final = {
    ".q_proj": ".to_q",
    ".k_proj": ".to_k",
    ".v_proj": ".to_v",
    ".out_proj": ".to_out",
}
"""What diffusers before 0.22 called a text encoder's projections."""
_CLIP: Final = {
    "text_encoder": ("clip_l", "clip_h"),
    "text_encoder_2": ("clip_g",),
}
_NUMBER: Final = {"text_encoder": "1", "text_encoder_2": "2"}


class AdaptedModule(NamedTuple):
    """A module that adapters change: the ``part`` of the model, and its name in the part."""

    part: str
    name: str


def spell_modules(networks: Mapping[str, Module], config: UNetConfig) -> dict[str, AdaptedModule]:
    """Return the modules of a model by all their spellings.

    ``networks``: the UNet and the text encoders, by the names of their parts.
    """
    found: dict[str, AdaptedModule] = {}
    sgm = unet_names(config.down_block_types, config.up_block_types, config.layers_per_block)
    encoders = [part for part in networks if part != "unet"]
    for part, network in networks.items():
        for name, parameter in network.parameters():
            module, _, leaf = name.rpartition(".")
            if leaf != "weight" or isinstance(parameter, Table):
                continue
            if part == "unet":
                spellings = _unet_spellings(module, sgm.single(module))
            else:
                spellings = _text_spellings(module, part, only=len(encoders) == 1)
            for spelling in spellings:
                found.setdefault(spelling, AdaptedModule(part, module))
    return found


def _unet_spellings(module: str, sgm: str | None) -> Iterator[str]:
    """Yield the spellings of a module of the UNet."""
    flat = module.replace(".", "_")
    yield from (f"lora_unet_{flat}", f"lycoris_{flat}")
    dotted = [module]
    if module.endswith(".to_out.0"):
        dotted.append(module.removesuffix(".0"))
    for name in dotted:
        yield from (
            f"unet.{name}",
            name,
            f"base_model.model.{name}",
            f"base_model.model.unet.{name}",
        )
    if sgm is not None:
        yield f"lora_unet_{sgm.replace('.', '_')}"
        yield from (prefix + sgm for prefix in _SGM)


def _text_spellings(module: str, part: str, *, only: bool) -> Iterator[str]:
    """Yield the spellings of a module of a text encoder. ``only``: the model has no other one."""
    flat, number = module.replace(".", "_"), _NUMBER[part]
    yield from (f"lora_te{number}_{flat}", f"lycoris_te{number}_{flat}")
    names = [module, module.removeprefix("text_model.")]
    for new, old in _OLD_PROJECTIONS.items():
        if module.endswith(new):
            names += [each.removesuffix(new) + old for each in names]
    for name in names:
        yield f"{part}.{name}"
        yield from (f"text_encoders.{clip}.transformer.{name}" for clip in _CLIP[part])
    if only:
        yield from (f"lora_te_{flat}", f"lora_te1_{flat}", f"text_encoder.{module}")
        yield from (module, f"base_model.model.{module}")
