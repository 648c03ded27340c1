"""The UNet's config, read from ``unet/config.json``: SD 1.x, 2.x, XL and their like.

The laws are those of `diffusion.models.config`. diffusers gives a setting as one value for all
levels or as a list with one for each; here they are always tuples, highest resolution first.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Self

from diffusion.errors import FilePath
from diffusion.models.fields import (
    MAX_BLOCKS,
    MAX_CHANNELS,
    MAX_LAYERS,
    MAX_SIDE,
    MAX_TOTAL,
    Fields,
)

_SILU: Final = ("silu", "swish")
_DOWN: Final = ("CrossAttnDownBlock2D", "DownBlock2D")
_MID: Final = ("UNetMidBlock2DCrossAttn", "UNetMidBlock2D")
_UP: Final = ("CrossAttnUpBlock2D", "UpBlock2D")

_FIXED: Final[dict[str, object]] = {
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

_SKIPPED: Final = (
    "addition_embed_type_num_heads",
    "dropout",
    "mid_block_only_cross_attention",
    "upcast_attention",
)
"""Training only, or part of an option or of a kind of block that is not read; and the wish for
attention scores in f32, which they are here in any case.
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

    in_channels: int
    out_channels: int
    sample_size: int
    block_out_channels: tuple[int, ...]
    down_block_types: tuple[str, ...]
    mid_block_type: str | None
    up_block_types: tuple[str, ...]
    layers_per_block: tuple[int, ...]
    heads: tuple[int, ...]
    down_depths: tuple[tuple[int, ...], ...]
    mid_depth: int
    up_depths: tuple[tuple[int, ...], ...]
    only_cross_attention: tuple[bool, ...]
    cross_attention_dim: int
    norm_num_groups: int
    norm_eps: float
    use_linear_projection: bool
    downsample_padding: int
    flip_sin_to_cos: bool
    freq_shift: float
    time_cond_proj_dim: int | None
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
        channels = fields.integers("block_out_channels", 1, MAX_CHANNELS, MAX_BLOCKS)
        count = len(channels)
        layers = fields.integers_of("layers_per_block", 1, MAX_LAYERS, count, 2)
        down_depths = _depths(fields, "transformer_layers_per_block", layers, 1)
        fields.choice("act_fn", _SILU, "silu")
        fields.fixed(_FIXED)
        fields.skip(_SKIPPED)
        time_width, added_width = _added(fields)
        mid = fields.choice_or_none("mid_block_type", _MID, _MID[0])
        config = cls(
            in_channels=fields.integer("in_channels", 1, MAX_CHANNELS, 4),
            out_channels=fields.integer("out_channels", 1, MAX_CHANNELS, 4),
            sample_size=fields.integer("sample_size", 1, MAX_SIDE),
            block_out_channels=channels,
            down_block_types=fields.choices("down_block_types", _DOWN, count),
            mid_block_type=mid,
            up_block_types=fields.choices("up_block_types", _UP, count),
            layers_per_block=layers,
            heads=_heads(fields, channels),
            down_depths=down_depths,
            mid_depth=down_depths[-1][0] if mid == _MID[0] else 0,
            up_depths=_up_depths(fields, layers, down_depths),
            only_cross_attention=fields.flags("only_cross_attention", count, False),
            cross_attention_dim=_context(fields, count),
            norm_num_groups=fields.groups(channels),
            norm_eps=fields.number("norm_eps", 1e-12, 1, 1e-5),
            use_linear_projection=fields.flag("use_linear_projection", False),
            downsample_padding=fields.integer("downsample_padding", 0, 1, 1),
            flip_sin_to_cos=fields.flag("flip_sin_to_cos", True),
            freq_shift=fields.number("freq_shift", 0, 1, 0),
            time_cond_proj_dim=fields.integer_or_none("time_cond_proj_dim", 4, MAX_CHANNELS),
            addition_time_embed_dim=time_width,
            projection_class_embeddings_input_dim=added_width,
        )
        fields.finish()
        _check_total(config, fields)
        return config


def _check_total(config: UNetConfig, fields: Fields) -> None:
    """Bound the number of blocks, each of which is made before the weights are compared."""
    rows = (*config.down_depths, *config.up_depths)
    total = config.mid_depth + sum(len(row) + sum(row) for row in rows)
    if total > MAX_TOTAL:
        key = "layers_per_block"
        fields.fail(key, f"makes {total} blocks with the transformers, and {MAX_TOTAL} may be")


def _heads(fields: Fields, channels: tuple[int, ...]) -> tuple[int, ...]:
    """``attention_head_dim``: one count of heads for all blocks, or one for each."""
    heads = fields.integers_of("attention_head_dim", 1, MAX_CHANNELS, len(channels), 8)
    if any(width % count for width, count in zip(channels, heads, strict=True)):
        fields.fail("attention_head_dim", f"{list(heads)} do not divide {list(channels)} channels")
    return heads


def _context(fields: Fields, count: int) -> int:
    """``cross_attention_dim``: the text's width; all levels see one text, so a list repeats it."""
    widths = fields.integers_of("cross_attention_dim", 1, MAX_CHANNELS, count)
    if len(set(widths)) > 1:
        fields.fail("cross_attention_dim", f"{list(widths)} differ, and there is one text")
    return widths[0]


def _depths(
    fields: Fields, key: str, layers: tuple[int, ...], default: int | None = None
) -> tuple[tuple[int, ...], ...]:
    """Depths of the levels, each a number or a list with one for each residual block."""
    rows = fields.rows(key, 0, MAX_LAYERS, len(layers), default)
    for level, (row, count) in enumerate(zip(rows, layers, strict=True)):
        if len(row) not in (1, count):
            fields.fail(key, f"has {len(row)} entries at level {level}, and {count} must be there")
    return tuple(
        row * count if len(row) == 1 else row for row, count in zip(rows, layers, strict=True)
    )


def _up_depths(
    fields: Fields, layers: tuple[int, ...], down: tuple[tuple[int, ...], ...]
) -> tuple[tuple[int, ...], ...]:
    """Depths of the way up, which has one residual block more a level, highest resolution first.

    The file has them the other way round, or leaves them out: then the way down is mirrored.
    """
    key = "reverse_transformer_layers_per_block"
    counts = tuple(count + 1 for count in layers)
    if fields.has(key):
        return _depths(fields, key, counts[::-1])[::-1]
    fields.skip((key,))
    if any(len(set(row)) > 1 for row in down):
        fields.fail(key, "is missing, and transformer_layers_per_block differs within a level")
    return tuple(row[:1] * count for row, count in zip(down, counts, strict=True))


def _added(fields: Fields) -> tuple[int | None, int | None]:
    """Widths of SDXL's added embeddings, or None twice."""
    keys = ("addition_time_embed_dim", "projection_class_embeddings_input_dim")
    if fields.choice_or_none("addition_embed_type", ("text_time",), None) is None:
        fields.fixed(dict.fromkeys(keys))
        return None, None
    width = fields.integer(keys[0], 4, MAX_CHANNELS)
    return width, fields.integer(keys[1], 1, 8 * MAX_CHANNELS)
