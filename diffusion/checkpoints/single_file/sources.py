"""The tensors of a single file, as the sources of a model's parameters."""

import re
from collections.abc import Iterator
from itertools import count
from typing import Final

from diffusion.checkpoints.parameter_names import CLIP_NAMES, translate_name
from diffusion.checkpoints.safetensors import SafetensorsFile
from diffusion.checkpoints.single_file.families import VAE_PREFIX, TextEncoder
from diffusion.checkpoints.single_file.module_names import is_vae_projection, vae_names
from diffusion.checkpoints.single_file.name_pairs import NamePairs
from diffusion.checkpoints.single_file.open_clip import FUSED, open_clip_names, split_open_clip
from diffusion.checkpoints.weights import ParameterSource

_MARKS: Final = ("v_pred", "ztsnr")
"""Empty tensors that model makers add: it predicts velocity; its last step has no signal."""

_LEFTOVERS: Final = re.compile(
    r"model_ema\..*|(?:first_stage_model\.)?loss\..*|logvar|global_step|denoiser\.sigmas"
    r"|betas|lvlb_weights|(?:sqrt_|log_)?(?:one_minus_|recip_|recipm1_)?alphas_cumprod(?:_prev)?"
    r"|posterior_(?:variance|log_variance_clipped|mean_coef[12])|.*\.logit_scale"
)
"""Tensors that training leaves in a checkpoint and no picture needs."""

_CLIP_LEFTOVERS: Final = re.compile(
    r".*\.(?:logit_scale|attn_mask|position_ids)|cond_stage_model\.model\.text_projection"
    r"|(?:cond_stage_model|conditioner\.embedders\.0)\.transformer\.text_projection\.weight"
)
"""Tensors of text encoders that no picture needs: SD takes no projected text from these."""


def is_leftover(name: str) -> bool:
    """Tell whether a tensor is one that training leaves in a checkpoint and no picture needs."""
    return name in _MARKS or _LEFTOVERS.fullmatch(name) is not None


def renamed_sources(
    file: SafetensorsFile, prefix: str, names: NamePairs
) -> Iterator[ParameterSource]:
    """Yield the tensors under a prefix; those whose names are not known keep them."""
    for stored in file.names:
        if stored.startswith(prefix) and not is_leftover(stored):
            name = names.diffusers(stored.removeprefix(prefix)) or stored
            yield ParameterSource(name, file, stored, file.entry(stored))


def vae_sources(file: SafetensorsFile, levels: int) -> Iterator[ParameterSource]:
    """Yield the VAE's tensors; its attention's convolutions of 1x1 become matrices."""
    pattern = f"{VAE_PREFIX}encoder.down.0.block.{{}}.conv2.weight"
    layers = next(n for n in count() if pattern.format(n) not in file.entries)
    for source in renamed_sources(file, VAE_PREFIX, vae_names(levels, layers)):
        entry, shape = source.entry, source.entry.shape
        is_1x1 = len(shape) == 4 and shape[2:] == (1, 1) and entry.axes is None
        if is_1x1 and is_vae_projection(source.name):
            yield source._replace(entry=entry.reshape(*shape[:2]))
        else:
            yield source


def text_sources(
    file: SafetensorsFile, encoder: TextEncoder, layers: int
) -> Iterator[ParameterSource]:
    """Yield a text encoder's tensors; those of layers above the first ``layers`` are left out."""
    names = open_clip_names(layers)
    for stored in file.names:
        if not stored.startswith(encoder.prefix) or _CLIP_LEFTOVERS.fullmatch(stored):
            continue
        name, entry = stored.removeprefix(encoder.prefix), file.entry(stored)
        if encoder.renamed:
            yield from _renamed_sources(file, stored, encoder, layers)
        elif not encoder.open_clip:
            yield ParameterSource(translate_name(name, CLIP_NAMES), file, stored, entry)
        elif not _is_above(name, layers):
            for new, part in split_open_clip(name, entry, names):
                yield ParameterSource(new or stored, file, stored, part)


def _renamed_sources(
    file: SafetensorsFile, stored: str, encoder: TextEncoder, layers: int
) -> Iterator[ParameterSource]:
    """Yield the parameters in one of open_clip's tensors that has transformers' name."""
    name, entry = stored.removeprefix(encoder.prefix), file.entry(stored)
    layer = re.match(r"text_model\.encoder\.layers\.(\d{1,4})\.", name)
    fused = re.fullmatch(r"(.*\.self_attn)\.in_proj\.(weight|bias)", name)
    projects = name == "text_model.text_projection"
    if layer is not None and int(layer[1]) >= layers:
        return
    if projects and encoder.part == "text_encoder":  # SD 2.x takes no projected text
        return
    if fused and entry.can_split(3):
        for index, part in enumerate(FUSED):
            new = f"{fused[1]}.{part}.{fused[2]}"
            yield ParameterSource(new, file, stored, entry.part(index, 3))
    elif projects and len(entry.shape) == 2:
        yield ParameterSource("text_projection.weight", file, stored, entry.transpose())
    else:
        yield ParameterSource(translate_name(name, CLIP_NAMES), file, stored, entry)


def _is_above(name: str, layers: int) -> bool:
    """Tell whether a name is of a layer that the model does not use."""
    found = re.match(r"transformer\.resblocks\.(\d{1,4})\.", name)
    return found is not None and int(found[1]) >= layers
