"""The UNet's config, read from ``unet/config.json``: SD 1.x, 2.x, XL and their like.

`diffusion.models.fields` says which unknown keys are passed over. diffusers gives a setting as one
value for all levels or as a list with one for each. Here they are always tuples, highest resolution
first.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Final, Self

from diffusion.errors import FilePath
from diffusion.models.fields import (
    AVERAGING_KEYS,
    MAX_CHANNELS,
    MAX_LAYERS,
    MAX_SIDE,
    MAX_TOTAL,
    TOOL_KEYS,
    Fields,
    Flag,
    Integer,
    ListOf,
    Number,
    PerLevel,
    Word,
    check_groups,
)

_DOWN: Final = ("CrossAttnDownBlock2D", "DownBlock2D")
_MID: Final = ("UNetMidBlock2DCrossAttn", "UNetMidBlock2D")
_UP: Final = ("CrossAttnUpBlock2D", "UpBlock2D")

_NEUTRAL: Final[dict[str, object]] = {
    "act_fn": ("silu", "swish"),
    "attention_type": "default",
    "center_input_sample": False,
    "class_embed_type": None,
    "class_embeddings_concat": False,
    "conv_in_kernel": 3,
    "conv_out_kernel": 3,
    "cross_attention_norm": None,
    "dual_cross_attention": False,
    "encoder_hid_dim": None,
    "encoder_hid_dim_type": None,
    "mid_block_scale_factor": 1,
    "num_attention_heads": None,
    "num_class_embeds": None,
    "resnet_out_scale_factor": 1,
    "resnet_skip_time_act": False,
    "resnet_time_scale_shift": "default",
    "time_embedding_act_fn": None,
    "time_embedding_dim": None,
    "time_embedding_type": "positional",
    "timestep_post_act": None,
}

_IGNORED: Final = (
    "addition_embed_type_num_heads",
    "dropout",
    "mid_block_only_cross_attention",
    "upcast_attention",
)
"""Keys of training, and of options and blocks that are not supported. ``upcast_attention`` asks
for attention scores in f32, which they are here in any case.
"""


@dataclass(frozen=True, slots=True)
class UNetConfig:
    """The denoising network. One entry per resolution in ``block_out_channels``, ``heads`` etc.

    ``heads`` is the file's ``attention_head_dim``: in this family it counts heads, whatever its
    name says. ``sample_size``: the side in latent pixels that the model was trained at.
    ``down_depths`` and ``up_depths``: transformer blocks after each residual block of each level,
    both from the highest resolution down; ``mid_depth`` is 0 where the middle has no transformer.
    ``time_cond_proj_dim``: width of the guidance embedding of a consistency model.
    ``addition_time_embed_dim`` and ``projection_class_embeddings_input_dim``: width of the
    embedding of one size number, and of all of them with the pooled text (SDXL).
    """

    block_out_channels: Annotated[tuple[int, ...], ListOf(Integer(1, MAX_CHANNELS))]
    in_channels: Annotated[int, Integer(1, MAX_CHANNELS, default=4)]
    out_channels: Annotated[int, Integer(1, MAX_CHANNELS, default=4)]
    sample_size: Annotated[int, Integer(1, MAX_SIDE)]
    down_block_types: Annotated[tuple[str, ...], PerLevel(Word(_DOWN), repeat=False)]
    mid_block_type: Annotated[str | None, Word(_MID, default=_MID[0], nullable=True)]
    up_block_types: Annotated[tuple[str, ...], PerLevel(Word(_UP), repeat=False)]
    layers_per_block: Annotated[tuple[int, ...], PerLevel(Integer(1, MAX_LAYERS), default=2)]
    heads: Annotated[
        tuple[int, ...], PerLevel(Integer(1, MAX_CHANNELS), key="attention_head_dim", default=8)
    ]
    down_depths: tuple[tuple[int, ...], ...]
    mid_depth: int
    up_depths: tuple[tuple[int, ...], ...]
    only_cross_attention: Annotated[tuple[bool, ...], PerLevel(Flag(), default=False)]
    cross_attention_dim: int
    norm_num_groups: Annotated[int, Integer(1, MAX_CHANNELS, default=32)]
    norm_eps: Annotated[float, Number(1e-12, 1, default=1e-5)]
    use_linear_projection: Annotated[bool, Flag(default=False)]
    downsample_padding: Annotated[int, Integer(0, 1, default=1)]
    flip_sin_to_cos: Annotated[bool, Flag(default=True)]
    freq_shift: Annotated[float, Number(0, 1, default=0)]
    time_cond_proj_dim: Annotated[int | None, Integer(4, MAX_CHANNELS, default=None, nullable=True)]
    addition_time_embed_dim: int | None
    projection_class_embeddings_input_dim: int | None

    @property
    def time_embed_dim(self) -> int:
        """Width of the time embedding: four times the first block's channels."""
        return 4 * self.block_out_channels[0]

    @classmethod
    def from_json(cls, mapping: Mapping[str, object], file: FilePath) -> Self:
        """Read ``unet/config.json``. Raises ``ModelFormatError`` naming ``file`` and the key."""
        fields = Fields(mapping, file)
        fields.require_neutral(_NEUTRAL)
        fields.ignore(_IGNORED)
        values = fields.read_all(cls)
        layers = values["layers_per_block"]
        down_depths = _read_depths(fields, "transformer_layers_per_block", layers, 1)
        time_width, added_width = _read_added_widths(fields)
        config = cls(
            **values,
            down_depths=down_depths,
            mid_depth=down_depths[-1][0] if values["mid_block_type"] == _MID[0] else 0,
            up_depths=_read_up_depths(fields, layers, down_depths),
            cross_attention_dim=_read_text_width(fields),
            addition_time_embed_dim=time_width,
            projection_class_embeddings_input_dim=added_width,
        )
        check_groups(fields, config.norm_num_groups, config.block_out_channels)
        fields.refuse_unknown(TOOL_KEYS | AVERAGING_KEYS)
        _check_heads(config, fields)
        _check_total(config, fields)
        return config


def _check_heads(config: UNetConfig, fields: Fields) -> None:
    """Refuse counts of heads that do not divide the channels of their levels."""
    channels, heads = config.block_out_channels, config.heads
    if any(width % count for width, count in zip(channels, heads, strict=True)):
        reason = f"must divide {list(channels)} channels, got {list(heads)}"
        fields.fail("attention_head_dim", reason)


def _check_total(config: UNetConfig, fields: Fields) -> None:
    """Bound the number of blocks, each of which is made before the weights are compared."""
    rows = (*config.down_depths, *config.up_depths)
    total = config.mid_depth + sum(len(row) + sum(row) for row in rows)
    if total > MAX_TOTAL:
        reason = f"must make at most {MAX_TOTAL} blocks with the transformers, got {total}"
        fields.fail("layers_per_block", reason)


def _read_text_width(fields: Fields) -> int:
    """Return ``cross_attention_dim``; all levels see one text, so a list repeats one width."""
    key = "cross_attention_dim"
    widths: tuple[int, ...] = fields.take(key, PerLevel(Integer(1, MAX_CHANNELS)))
    if len(set(widths)) > 1:
        fields.fail(key, f"must be the same for all levels, got {list(widths)}")
    return widths[0]


def _read_depths(
    fields: Fields, key: str, layers: tuple[int, ...], default: int | None = None
) -> tuple[tuple[int, ...], ...]:
    """Return the depths of each level's transformers, one for each of its residual blocks.

    The file gives a level a number, or a list with one for each residual block.
    """
    row_rule = ListOf(Integer(0, MAX_LAYERS), MAX_LAYERS)
    rows: tuple[tuple[int, ...], ...] = fields.take(key, PerLevel(row_rule, default=default))
    for level, (row, count) in enumerate(zip(rows, layers, strict=True)):
        if len(row) not in (1, count):
            reason = f"must have 1 or {count} entries at level {level}, got {len(row)}"
            fields.fail(key, reason)
    return tuple(
        row * count if len(row) == 1 else row for row, count in zip(rows, layers, strict=True)
    )


def _read_up_depths(
    fields: Fields, layers: tuple[int, ...], down: tuple[tuple[int, ...], ...]
) -> tuple[tuple[int, ...], ...]:
    """Return the depths of the way up, which has one residual block more a level.

    The file lists the lowest resolution first, or leaves them out: then the way down is mirrored.
    """
    key = "reverse_transformer_layers_per_block"
    counts = tuple(count + 1 for count in layers)
    if fields.has(key):
        return _read_depths(fields, key, counts[::-1])[::-1]
    fields.ignore((key,))
    if any(len(set(row)) > 1 for row in down):
        fields.fail(key, "is missing, and transformer_layers_per_block differs within a level")
    return tuple(row[:1] * count for row, count in zip(down, counts, strict=True))


def _read_added_widths(fields: Fields) -> tuple[int | None, int | None]:
    """Return the widths of SDXL's added embeddings, or None twice for other models."""
    keys = ("addition_time_embed_dim", "projection_class_embeddings_input_dim")
    kind = Word(("text_time",), default=None, nullable=True)
    if fields.take("addition_embed_type", kind) is None:
        fields.require_neutral(dict.fromkeys(keys))
        return None, None
    width = fields.take(keys[0], Integer(4, MAX_CHANNELS))
    return width, fields.take(keys[1], Integer(1, 8 * MAX_CHANNELS))
