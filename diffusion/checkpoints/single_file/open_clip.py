"""Names inside open_clip's text encoder and in the diffusers layout, each made from the other."""

from typing import Final

from diffusion.checkpoints.safetensors import TensorEntry
from diffusion.checkpoints.single_file.name_pairs import NamePairs, Pairs, module_pairs

_CLIP_LAYER: Final = (
    ("ln_1", "layer_norm1"),
    ("ln_2", "layer_norm2"),
    ("mlp.c_fc", "mlp.fc1"),
    ("mlp.c_proj", "mlp.fc2"),
    ("attn.out_proj", "self_attn.out_proj"),
)
FUSED: Final = ("q_proj", "k_proj", "v_proj")
"""The parts of the tensors that hold queries, keys and values."""


def open_clip_names(layers: int) -> NamePairs:
    """Return the names of a text encoder with that many layers, but for fused and bare tensors."""
    return NamePairs(_open_clip_pairs(layers))


def _open_clip_pairs(layers: int) -> Pairs:
    """Yield the pairs of names of a text encoder."""
    yield "token_embedding", "text_model.embeddings.token_embedding"
    yield "positional_embedding", "text_model.embeddings.position_embedding.weight"
    yield "ln_final", "text_model.final_layer_norm"
    for layer in range(layers):
        old, new = f"transformer.resblocks.{layer}", f"text_model.encoder.layers.{layer}"
        yield from module_pairs(old, new, _CLIP_LAYER)


def split_open_clip(
    name: str, entry: TensorEntry, names: NamePairs
) -> list[tuple[str | None, TensorEntry]]:
    """Return the diffusers parameters that one of open_clip's tensors holds.

    Queries, keys and values are one tensor there (``in_proj``), and the projection of the text is
    (in, out) and not (out, in).
    """
    start, dot, leaf = name.rpartition(".attn.in_proj_")
    if dot and entry.can_split(3):
        layer = names.diffusers(f"{start}.ln_1.{leaf}")
        if layer is not None:
            attention = layer.removesuffix(f"layer_norm1.{leaf}") + "self_attn"
            return [
                (f"{attention}.{part}.{leaf}", entry.part(index, 3))
                for index, part in enumerate(FUSED)
            ]
    if name == "text_projection" and len(entry.shape) == 2:
        return [("text_projection.weight", entry.transpose())]
    return [(names.diffusers(name), entry)]


def open_clip_name(name: str, names: NamePairs) -> tuple[str, int | None] | None:
    """Return open_clip's name of a diffusers parameter, and which third of that tensor it is.

    The third is None for a whole tensor. The result is None for a name that is not known.
    """
    if name == "text_projection.weight":
        return "text_projection", None
    for index, part in enumerate(FUSED):
        start, dot, leaf = name.rpartition(f".self_attn.{part}.")
        norm = names.single(f"{start}.layer_norm1") if dot else None
        if norm is not None:
            return f"{norm.removesuffix('ln_1')}attn.in_proj_{leaf}", index
    single = names.single(name)
    return None if single is None else (single, None)
