"""The configs of VAE, text encoder and scheduler, read from a model folder's own JSON files.

Fields have the files' names unless their rule says otherwise, and the defaults are those of
diffusers' and transformers' classes. A ``_..._NEUTRAL`` table lists options that change what a
network or a noise schedule computes, with the values that mean "not used". Any other value is
refused by name. What `diffusion.models.fields` says of unknown keys holds for UNet, VAE and
scheduler. A text encoder's config may hold any unknown key: transformers writes its generic options
(training, generation, form of the output) into every config and adds some with each release. The
network is CLIP's whatever they hold; the keys that would change it are in the neutral table.
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

_MAX_VOCABULARY: Final = 2**20

_VAE_NEUTRAL: Final[dict[str, object]] = {
    "act_fn": ("silu", "swish"),
    "latents_mean": None,
    "latents_std": None,
    "mid_block_add_attention": True,
    "shift_factor": None,
    "use_post_quant_conv": True,
    "use_quant_conv": True,
}
_TINY_NEUTRAL: Final[dict[str, object]] = {
    "act_fn": "relu",
    "shift_factor": (0, None),
    "upsample_fn": "nearest",
    "upsampling_scaling_factor": 2,
}
_TINY_IGNORED: Final = ("block_out_channels", "force_upcast", "latent_magnitude", "latent_shift")
"""Repetitions of other keys, and options of the bytes that latents may be stored in."""

_TEXT_NEUTRAL: Final[dict[str, object]] = {
    "add_cross_attention": False,
    "is_decoder": False,
    "is_encoder_decoder": False,
    "model_type": "clip_text_model",
    "position_embedding_type": ("absolute", None),
    "pruned_heads": ({}, None),
    "quantization_config": None,
    "rope_parameters": None,
    "rope_scaling": None,
    "sliding_window": None,
}
_SCHEDULER_NEUTRAL: Final[dict[str, object]] = {
    "interpolation_type": "linear",
    "thresholding": False,
    "timestep_type": "discrete",
    "trained_betas": None,
    "use_dynamic_shifting": False,
    "use_flow_sigmas": False,
}
_SCHEDULER_IGNORED: Final = (
    "algorithm_type clip_sample clip_sample_range disable_corrector dynamic_thresholding_ratio "
    "euler_at_final final_sigmas_type flow_shift lambda_min_clipped lower_order_final "
    "noise_sampler_seed original_inference_steps predict_x0 predictor_order corrector_order "
    "sample_max_value shift_terminal sigma_max sigma_min skip_prk_steps solver_order solver_p "
    "solver_type tau_func time_shift_type timestep_scaling "
    "use_beta_sigmas use_exponential_sigmas use_karras_sigmas use_lu_lambdas variance_type"
).split()
"""Options of one sampler of another tool. The sampler is the caller's choice here, not the
folder's. ``clip_sample`` has no place in latent space: diffusers' own pipeline turns it off.
"""

_LEADING: Final = ("DDIMScheduler", "DDPMScheduler", "LCMScheduler", "PNDMScheduler")
"""Classes whose time steps are spaced ``leading`` by default; the others' are ``linspace``."""


@dataclass(frozen=True, slots=True)
class VaeConfig:
    """The autoencoder. ``sample_size``: side in pixels; latents are ``scaling_factor`` × z.

    ``force_upcast``: the model's makers found that its activations overflow f16.
    """

    in_channels: Annotated[int, Integer(1, MAX_CHANNELS, default=3)]
    out_channels: Annotated[int, Integer(1, MAX_CHANNELS, default=3)]
    latent_channels: Annotated[int, Integer(1, MAX_CHANNELS, default=4)]
    sample_size: Annotated[int, Integer(1, MAX_SIDE, default=32)]
    block_out_channels: Annotated[tuple[int, ...], ListOf(Integer(1, MAX_CHANNELS))]
    layers_per_block: Annotated[int, Integer(1, MAX_LAYERS, default=1)]
    norm_num_groups: Annotated[int, Integer(1, MAX_CHANNELS, default=32)]
    scaling_factor: Annotated[float, Number(1e-6, 1e6, default=0.18215)]
    force_upcast: Annotated[bool, Flag(default=True)]

    @property
    def downscale(self) -> int:
        """Pixels per latent pixel along a side: one halving between each two blocks."""
        return 1 << (len(self.block_out_channels) - 1)

    @classmethod
    def from_json(cls, mapping: Mapping[str, object], file: FilePath) -> Self:
        """Read ``vae/config.json``. Raises ``ModelFormatError`` naming ``file`` and the key."""
        fields = Fields(mapping, file)
        fields.require_neutral(_VAE_NEUTRAL)
        config = cls(**fields.read_all(cls))
        for key, kind in (
            ("down_block_types", "DownEncoderBlock2D"),
            ("up_block_types", "UpDecoderBlock2D"),
        ):
            fields.take(key, PerLevel(Word((kind,)), repeat=False))
        check_groups(fields, config.norm_num_groups, config.block_out_channels)
        fields.refuse_unknown(TOOL_KEYS | AVERAGING_KEYS)
        return config


@dataclass(frozen=True, slots=True)
class TinyVaeConfig:
    """A tiny autoencoder (TAESD). One entry a resolution: the encoder's from the highest down.

    ``encoder_blocks`` and ``decoder_blocks``: how many blocks of three convolutions.
    ``has_encoder``: False for a decoder alone, which is published as a file of its own.
    """

    in_channels: Annotated[int, Integer(1, MAX_CHANNELS, default=3)]
    out_channels: Annotated[int, Integer(1, MAX_CHANNELS, default=3)]
    latent_channels: Annotated[int, Integer(1, MAX_CHANNELS, default=4)]
    encoder_channels: Annotated[
        tuple[int, ...],
        ListOf(Integer(1, MAX_CHANNELS), key="encoder_block_out_channels", default=[64] * 4),
    ]
    decoder_channels: Annotated[
        tuple[int, ...],
        ListOf(Integer(1, MAX_CHANNELS), key="decoder_block_out_channels", default=[64] * 4),
    ]
    encoder_blocks: Annotated[
        tuple[int, ...],
        ListOf(Integer(1, MAX_LAYERS), key="num_encoder_blocks", default=[1, 3, 3, 3]),
    ]
    decoder_blocks: Annotated[
        tuple[int, ...],
        ListOf(Integer(1, MAX_LAYERS), key="num_decoder_blocks", default=[3, 3, 3, 1]),
    ]
    scaling_factor: Annotated[float, Number(1e-6, 1e6, default=1.0)]
    has_encoder: bool = True

    @property
    def downscale(self) -> int:
        """Pixels per latent pixel along a side: one halving between each two blocks."""
        return 1 << (len(self.decoder_channels) - 1)

    @property
    def force_upcast(self) -> bool:
        """Always False: its activations are small."""
        return False

    @classmethod
    def from_json(cls, mapping: Mapping[str, object], file: FilePath) -> Self:
        """Read a tiny autoencoder's ``config.json``. Raises ``ModelFormatError``."""
        fields = Fields(mapping, file)
        fields.require_neutral(_TINY_NEUTRAL)
        fields.ignore(_TINY_IGNORED)
        config = cls(**fields.read_all(cls))
        fields.refuse_unknown(TOOL_KEYS | AVERAGING_KEYS)
        for key, channels, blocks in (
            ("encoder_block_out_channels", config.encoder_channels, config.encoder_blocks),
            ("decoder_block_out_channels", config.decoder_channels, config.decoder_blocks),
        ):
            if len(set(channels)) > 1 or len(channels) != len(blocks):
                reason = f"must be equal channels for each of {list(blocks)} blocks, got "
                fields.fail(key, f"{reason}{list(channels)}")
        if len(config.encoder_channels) != len(config.decoder_channels):
            reason = (
                f"must have as many entries as the encoder's, got {len(config.decoder_channels)}"
            )
            fields.fail("decoder_block_out_channels", reason)
        return config


@dataclass(frozen=True, slots=True)
class ClipTextConfig:
    """The text encoder. ``hidden_act``: ``quick_gelu`` (SD 1.x) or ``gelu`` (SD 2.x).

    ``projection_dim``: width of the pooled text, where a model has the projection (SDXL's second).
    Token numbers are read from the tokenizer's files: SD 1.5's config has wrong ones.
    """

    vocab_size: Annotated[int, Integer(2, _MAX_VOCABULARY, default=49408)]
    hidden_size: Annotated[int, Integer(1, MAX_CHANNELS, default=512)]
    intermediate_size: Annotated[int, Integer(1, 8 * MAX_CHANNELS, default=2048)]
    num_hidden_layers: Annotated[int, Integer(1, MAX_LAYERS, default=12)]
    num_attention_heads: Annotated[int, Integer(1, MAX_CHANNELS, default=8)]
    max_position_embeddings: Annotated[int, Integer(3, 4096, default=77)]
    hidden_act: Annotated[str, Word(("quick_gelu", "gelu"), default="quick_gelu")]
    layer_norm_eps: Annotated[float, Number(1e-12, 1, default=1e-5)]
    projection_dim: Annotated[int, Integer(1, MAX_CHANNELS, default=512)]

    @classmethod
    def from_json(cls, mapping: Mapping[str, object], file: FilePath) -> Self:
        """Read ``text_encoder/config.json``. Raises ``ModelFormatError``."""
        fields = Fields(mapping, file)
        fields.require_neutral(_TEXT_NEUTRAL)
        config = cls(**fields.read_all(cls))
        if config.hidden_size % config.num_attention_heads:
            reason = f"must divide {config.hidden_size} channels, got {config.num_attention_heads}"
            fields.fail("num_attention_heads", reason)
        return config


@dataclass(frozen=True, slots=True)
class SchedulerConfig:
    """The noise that the model was trained with; which sampler to use is the caller's choice.

    ``beta_schedule``: how the variances run from ``beta_start`` to ``beta_end``.
    ``prediction_type``: what the network's output means. ``steps_offset`` and
    ``set_alpha_to_one`` are DDIM's: added to each time step, and the last step's target.
    ``rescale_betas_zero_snr``: the last time step is noise alone (Lin et al. 2023).
    """

    num_train_timesteps: Annotated[int, Integer(2, 100_000)]
    beta_start: Annotated[float, Number(1e-9, 0.999)]
    beta_end: Annotated[float, Number(1e-9, 0.999)]
    beta_schedule: Annotated[str, Word(("scaled_linear", "linear"))]
    prediction_type: Annotated[str, Word(("epsilon", "v_prediction", "sample"), default="epsilon")]
    steps_offset: Annotated[int, Integer(0, 1000, default=0)]
    set_alpha_to_one: Annotated[bool, Flag()]
    timestep_spacing: Annotated[str, Word(("leading", "linspace", "trailing"))]
    rescale_betas_zero_snr: Annotated[bool, Flag(default=False)]

    @classmethod
    def from_json(cls, mapping: Mapping[str, object], file: FilePath) -> Self:
        """Read ``scheduler/scheduler_config.json``. Raises ``ModelFormatError``."""
        owner = mapping.get("_class_name")
        defaults = {
            "set_alpha_to_one": owner != "PNDMScheduler",
            "timestep_spacing": "leading" if owner in _LEADING else "linspace",
        }
        fields = Fields({**defaults, **mapping}, file)
        fields.require_neutral(_SCHEDULER_NEUTRAL)
        fields.ignore(_SCHEDULER_IGNORED)
        config = cls(**fields.read_all(cls))
        if config.beta_end < config.beta_start:
            reason = f"must be at least beta_start, {config.beta_start:g}, got {config.beta_end:g}"
            fields.fail("beta_end", reason)
        fields.refuse_unknown()
        return config
