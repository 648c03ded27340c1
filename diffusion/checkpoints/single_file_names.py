"""Names inside single-file checkpoints and in the diffusers layout, each made from the other.

Single files keep the names of the code that the models were trained with: CompVis latent-diffusion
(SD 1.x), Stability stablediffusion (2.x) and generative-models (XL), the last two with open_clip's
text encoder. A network's blocks are counted differently there, so that the table follows from its
layout: which blocks attend, and how many layers each has.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Final

from diffusion.checkpoints.header import TensorEntry

Pairs = Iterator[tuple[str, str]]
"""A module's name in a single file, and in the diffusers layout."""

_RESNET: Final = (
    ("in_layers.0", "norm1"),
    ("in_layers.2", "conv1"),
    ("emb_layers.1", "time_emb_proj"),
    ("out_layers.0", "norm2"),
    ("out_layers.3", "conv2"),
    ("skip_connection", "conv_shortcut"),
)
_VAE_RESNET: Final = (
    *((name, name) for name in ("norm1", "conv1", "norm2", "conv2")),
    ("nin_shortcut", "conv_shortcut"),
)
_VAE_ATTENTION: Final = (
    ("norm", "group_norm"),
    ("q", "to_q"),
    ("k", "to_k"),
    ("v", "to_v"),
    ("proj_out", "to_out.0"),
)
_CLIP_LAYER: Final = (
    ("ln_1", "layer_norm1"),
    ("ln_2", "layer_norm2"),
    ("mlp.c_fc", "mlp.fc1"),
    ("mlp.c_proj", "mlp.fc2"),
    ("attn.out_proj", "self_attn.out_proj"),
)
_FUSED: Final = ("q_proj", "k_proj", "v_proj")


class NamePairs:
    """A table of modules' names that goes both ways; what stands below a module keeps its name."""

    def __init__(self, pairs: Iterable[tuple[str, str]]) -> None:
        self._diffusers = MappingProxyType(dict(pairs))
        self._single = MappingProxyType({new: old for old, new in self._diffusers.items()})
        self._parts = max(name.count(".") + 1 for pair in self._diffusers.items() for name in pair)

    def diffusers(self, name: str) -> str | None:
        """The diffusers name of a single file's parameter; None for one that is not known."""
        return _below(name, self._diffusers, self._parts)

    def single(self, name: str) -> str | None:
        """The single file's name of a diffusers parameter; None for one that is not known."""
        return _below(name, self._single, self._parts)


def _below(name: str, table: Mapping[str, str], most: int) -> str | None:
    """The name with the longest of its leading parts that the table has replaced.

    ``most``: parts of the table's names.
    """
    start = ".".join(name.split(".", most)[:most])
    while start:
        if start in table:
            return table[start] + name[len(start) :]
        start = start.rpartition(".")[0]
    return None


def unet_names(
    down_types: Sequence[str], up_types: Sequence[str], layers: Sequence[int]
) -> NamePairs:
    """The UNet's names, from its config's block types and ``layers_per_block`` of each level."""
    return NamePairs(_unet(down_types, up_types, layers))


def _unet(down_types: Sequence[str], up_types: Sequence[str], layers: Sequence[int]) -> Pairs:
    for index, name in ((0, "linear_1"), (2, "linear_2")):
        yield f"time_embed.{index}", f"time_embedding.{name}"
        yield f"label_emb.0.{index}", f"add_embedding.{name}"
    yield "input_blocks.0.0", "conv_in"
    number = 1
    for level, kind in enumerate(down_types):
        block = f"down_blocks.{level}"
        for layer in range(layers[level]):
            yield from _layer(f"input_blocks.{number}", block, layer, kind)
            number += 1
        if level < len(down_types) - 1:
            yield f"input_blocks.{number}.0.op", f"{block}.downsamplers.0.conv"
            number += 1
    yield from _joined("middle_block.0", "mid_block.resnets.0", _RESNET)
    yield "middle_block.1", "mid_block.attentions.0"
    yield from _joined("middle_block.2", "mid_block.resnets.1", _RESNET)
    number = 0
    for level, kind in enumerate(up_types):
        block, last = f"up_blocks.{level}", layers[-1 - level]
        for layer in range(last + 1):
            yield from _layer(f"output_blocks.{number + layer}", block, layer, kind)
        number += last
        if level < len(up_types) - 1:
            place = 2 if "CrossAttn" in kind else 1
            yield f"output_blocks.{number}.{place}.conv", f"{block}.upsamplers.0.conv"
        number += 1
    yield "out.0", "conv_norm_out"
    yield "out.2", "conv_out"


def _layer(place: str, block: str, layer: int, kind: str) -> Pairs:
    """A residual block and, where the block attends, its transformer."""
    yield from _joined(f"{place}.0", f"{block}.resnets.{layer}", _RESNET)
    if "CrossAttn" in kind:
        yield f"{place}.1", f"{block}.attentions.{layer}"


def _joined(old: str, new: str, leaves: Iterable[tuple[str, str]]) -> Pairs:
    for before, after in leaves:
        yield f"{old}.{before}", f"{new}.{after}"


def vae_names(levels: int, layers: int) -> NamePairs:
    """The VAE's names, from its number of levels and ``layers_per_block``."""
    return NamePairs(_vae(levels, layers))


def _vae(levels: int, layers: int) -> Pairs:
    yield from ((name, name) for name in ("quant_conv", "post_quant_conv"))
    for half in ("encoder", "decoder"):
        yield f"{half}.conv_in", f"{half}.conv_in"
        yield f"{half}.norm_out", f"{half}.conv_norm_out"
        yield f"{half}.conv_out", f"{half}.conv_out"
        for index in range(2):
            middle = f"{half}.mid_block.resnets.{index}"
            yield from _joined(f"{half}.mid.block_{index + 1}", middle, _VAE_RESNET)
        attention = f"{half}.mid_block.attentions.0"
        yield from _joined(f"{half}.mid.attn_1", attention, _VAE_ATTENTION)
    for level in range(levels):
        old, new = f"encoder.down.{level}", f"encoder.down_blocks.{level}"
        yield f"{old}.downsample.conv", f"{new}.downsamplers.0.conv"
        for layer in range(layers):
            yield from _joined(f"{old}.block.{layer}", f"{new}.resnets.{layer}", _VAE_RESNET)
        # The decoder's levels are counted from the finest in a single file.
        old, new = f"decoder.up.{levels - 1 - level}", f"decoder.up_blocks.{level}"
        yield f"{old}.upsample.conv", f"{new}.upsamplers.0.conv"
        for layer in range(layers + 1):
            yield from _joined(f"{old}.block.{layer}", f"{new}.resnets.{layer}", _VAE_RESNET)


def open_clip_names(layers: int) -> NamePairs:
    """open_clip's text encoder with that many layers; fused and bare tensors stand elsewhere."""
    return NamePairs(_open_clip(layers))


def _open_clip(layers: int) -> Pairs:
    yield "token_embedding", "text_model.embeddings.token_embedding"
    yield "positional_embedding", "text_model.embeddings.position_embedding.weight"
    yield "ln_final", "text_model.final_layer_norm"
    for layer in range(layers):
        old, new = f"transformer.resblocks.{layer}", f"text_model.encoder.layers.{layer}"
        yield from _joined(old, new, _CLIP_LAYER)


def is_vae_projection(name: str) -> bool:
    """Whether a diffusers name is a matrix that single files keep as a convolution of 1x1."""
    return ".attentions." in name and ".to_" in name and name.endswith(".weight")


def split_open_clip(
    name: str, entry: TensorEntry, names: NamePairs
) -> list[tuple[str | None, TensorEntry]]:
    """The diffusers parameters that one of open_clip's tensors holds.

    Queries, keys and values are one tensor there (``in_proj``), and the projection of the text is
    (in, out) and not (out, in).
    """
    start, dot, leaf = name.rpartition(".attn.in_proj_")
    if dot and entry.axes is None and entry.shape and entry.shape[0] % 3 == 0:
        layer = names.diffusers(f"{start}.ln_1.{leaf}")
        if layer is not None:
            attention = layer.removesuffix(f"layer_norm1.{leaf}") + "self_attn"
            return [
                (f"{attention}.{part}.{leaf}", entry.part(index, 3))
                for index, part in enumerate(_FUSED)
            ]
    if name == "text_projection" and len(entry.shape) == 2:
        return [("text_projection.weight", entry.transposed())]
    return [(names.diffusers(name), entry)]


def fused_open_clip(name: str, names: NamePairs) -> tuple[str, int | None] | None:
    """open_clip's name of a diffusers parameter, and which third of that tensor it is, if any.

    None for a name that is not known.
    """
    if name == "text_projection.weight":
        return "text_projection", None
    for index, part in enumerate(_FUSED):
        start, dot, leaf = name.rpartition(f".self_attn.{part}.")
        norm = names.single(f"{start}.layer_norm1") if dot else None
        if norm is not None:
            return f"{norm.removesuffix('ln_1')}attn.in_proj_{leaf}", index
    single = names.single(name)
    return None if single is None else (single, None)
