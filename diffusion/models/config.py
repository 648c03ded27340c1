"""The configs of VAE, text encoder and scheduler, read from a model folder's own JSON files.

Field names are those of the files. Only what a model computes with is kept; options that this
project does not build are in a ``_..._FIXED`` table with the one value that is supported, and any
other value is refused by name. Defaults are those of diffusers' classes, since its older versions
leave newer keys out. All numbers are bounded before anything is sized from them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Self

from diffusion.errors import FilePath
from diffusion.models.fields import MAX_BLOCKS, MAX_CHANNELS, MAX_LAYERS, MAX_SIDE, Fields

_MAX_VOCABULARY: Final = 2**20

_SILU: Final = ("silu", "swish")

_VAE_FIXED: Final[dict[str, object]] = {
    "latents_mean": None,
    "latents_std": None,
    "mid_block_add_attention": True,
    "shift_factor": None,
    "use_post_quant_conv": True,
    "use_quant_conv": True,
}

_TINY_FIXED: Final[dict[str, object]] = {
    "act_fn": "relu",
    "shift_factor": (0, None),
    "upsample_fn": "nearest",
    "upsampling_scaling_factor": 2,
}

_TINY_SKIPPED: Final = ("block_out_channels", "force_upcast", "latent_magnitude", "latent_shift")
"""Said twice, or of the bytes that latents may be kept in."""

_SCHEDULER_FIXED: Final[dict[str, object]] = {
    "interpolation_type": "linear",
    "thresholding": False,
    "timestep_type": "discrete",
    "trained_betas": None,
    "use_dynamic_shifting": False,
    "use_flow_sigmas": False,
}

_SCHEDULER_SKIPPED: Final = (
    "algorithm_type",
    "clip_sample",
    "clip_sample_range",
    "disable_corrector",
    "dynamic_thresholding_ratio",
    "euler_at_final",
    "final_sigmas_type",
    "flow_shift",
    "lambda_min_clipped",
    "lower_order_final",
    "original_inference_steps",
    "predict_x0",
    "sample_max_value",
    "shift_terminal",
    "sigma_max",
    "sigma_min",
    "skip_prk_steps",
    "solver_order",
    "solver_p",
    "solver_type",
    "time_shift_type",
    "timestep_scaling",
    "use_beta_sigmas",
    "use_exponential_sigmas",
    "use_karras_sigmas",
    "use_lu_lambdas",
    "variance_type",
)
"""Options of one sampler of another tool. The sampler is the caller's choice here, not the
folder's; and ``clip_sample`` has no place in latent space (diffusers' own pipeline turns it off).
"""

_LEADING: Final = ("DDIMScheduler", "DDPMScheduler", "LCMScheduler", "PNDMScheduler")
"""Classes whose time steps are spaced ``leading`` by default; the others' are ``linspace``."""

_TEXT_FIXED: Final[dict[str, object]] = {
    "add_cross_attention": False,
    "is_decoder": False,
    "is_encoder_decoder": False,
    "model_type": "clip_text_model",
    "pruned_heads": {},
}

_TEXT_SKIPPED: Final = (
    "architectures",
    "attention_dropout",
    "bad_words_ids",
    "begin_suppress_tokens",
    "bos_token_id",
    "chunk_size_feed_forward",
    "cross_attention_hidden_size",
    "decoder_start_token_id",
    "diversity_penalty",
    "do_sample",
    "dropout",
    "dtype",
    "early_stopping",
    "encoder_no_repeat_ngram_size",
    "eos_token_id",
    "exponential_decay_length_penalty",
    "finetuning_task",
    "forced_bos_token_id",
    "forced_eos_token_id",
    "gradient_checkpointing",
    "id2label",
    "initializer_factor",
    "initializer_range",
    "label2id",
    "length_penalty",
    "max_length",
    "min_length",
    "no_repeat_ngram_size",
    "num_beam_groups",
    "num_beams",
    "num_return_sequences",
    "output_attentions",
    "output_hidden_states",
    "output_scores",
    "pad_token_id",
    "prefix",
    "problem_type",
    "remove_invalid_values",
    "repetition_penalty",
    "return_dict",
    "return_dict_in_generate",
    "sep_token_id",
    "suppress_tokens",
    "task_specific_params",
    "temperature",
    "tf_legacy_loss",
    "tie_encoder_decoder",
    "tie_word_embeddings",
    "tokenizer_class",
    "top_k",
    "top_p",
    "torch_dtype",
    "torchscript",
    "transformers_version",
    "typical_p",
    "use_bfloat16",
    "use_cache",
)
"""What transformers writes into every config (training, generation, output form) and what the
tokenizer's own files say better (token ids: SD 1.5's config has wrong ones).
"""


@dataclass(frozen=True, slots=True)
class VaeConfig:
    """The autoencoder. ``sample_size``: side in pixels; latents are ``scaling_factor`` × z.

    ``force_upcast``: the model's makers found that its activations overflow f16.
    """

    in_channels: int
    out_channels: int
    latent_channels: int
    sample_size: int
    block_out_channels: tuple[int, ...]
    layers_per_block: int
    norm_num_groups: int
    scaling_factor: float
    force_upcast: bool

    @property
    def downscale(self) -> int:
        """Pixels per latent pixel along a side: one halving between each two blocks."""
        return 1 << (len(self.block_out_channels) - 1)

    @classmethod
    def from_json(cls, mapping: Mapping[str, object], file: FilePath) -> Self:
        """Read ``vae/config.json``. Raises ``ModelFormatError`` naming ``file`` and the key."""
        fields = Fields(mapping, file)
        channels = fields.integers("block_out_channels", 1, MAX_CHANNELS, MAX_BLOCKS)
        fields.choices("down_block_types", ("DownEncoderBlock2D",), len(channels))
        fields.choices("up_block_types", ("UpDecoderBlock2D",), len(channels))
        fields.choice("act_fn", _SILU, "silu")
        fields.fixed(_VAE_FIXED)
        config = cls(
            in_channels=fields.integer("in_channels", 1, MAX_CHANNELS, 3),
            out_channels=fields.integer("out_channels", 1, MAX_CHANNELS, 3),
            latent_channels=fields.integer("latent_channels", 1, MAX_CHANNELS, 4),
            sample_size=fields.integer("sample_size", 1, MAX_SIDE, 32),
            block_out_channels=channels,
            layers_per_block=fields.integer("layers_per_block", 1, MAX_LAYERS, 1),
            norm_num_groups=fields.groups(channels),
            scaling_factor=fields.number("scaling_factor", 1e-6, 1e6, 0.18215),
            force_upcast=fields.flag("force_upcast", True),
        )
        fields.finish()
        return config


@dataclass(frozen=True, slots=True)
class TinyVaeConfig:
    """A tiny autoencoder (TAESD). One entry a resolution: the encoder's from the highest down.

    ``encoder_blocks`` and ``decoder_blocks``: how many blocks of three convolutions.
    """

    in_channels: int
    out_channels: int
    latent_channels: int
    encoder_channels: tuple[int, ...]
    decoder_channels: tuple[int, ...]
    encoder_blocks: tuple[int, ...]
    decoder_blocks: tuple[int, ...]
    scaling_factor: float

    @property
    def downscale(self) -> int:
        """Pixels per latent pixel along a side: one halving between each two blocks."""
        return 1 << (len(self.decoder_channels) - 1)

    @property
    def force_upcast(self) -> bool:
        """Its activations are small."""
        return False

    @classmethod
    def from_json(cls, mapping: Mapping[str, object], file: FilePath) -> Self:
        """Read a tiny autoencoder's ``config.json``. Raises ``ModelFormatError``."""
        fields = Fields(mapping, file)
        fields.fixed(_TINY_FIXED)
        fields.skip(_TINY_SKIPPED)
        encoder = _tiny_levels(fields, "encoder", (1, 3, 3, 3))
        decoder = _tiny_levels(fields, "decoder", (3, 3, 3, 1))
        config = cls(
            in_channels=fields.integer("in_channels", 1, MAX_CHANNELS, 3),
            out_channels=fields.integer("out_channels", 1, MAX_CHANNELS, 3),
            latent_channels=fields.integer("latent_channels", 1, MAX_CHANNELS, 4),
            encoder_channels=encoder[0],
            decoder_channels=decoder[0],
            encoder_blocks=encoder[1],
            decoder_blocks=decoder[1],
            scaling_factor=fields.number("scaling_factor", 1e-6, 1e6, 1.0),
        )
        fields.finish()
        if len(encoder[0]) != len(decoder[0]):
            fields.fail("decoder_block_out_channels", "has another count than the encoder's")
        return config


def _tiny_levels(
    fields: Fields, half: str, blocks: tuple[int, ...]
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Channels, all equal as diffusers builds it, and blocks of each resolution."""
    key = f"{half}_block_out_channels"
    channels = fields.integers_or(key, 1, MAX_CHANNELS, (64,) * len(blocks))
    found = fields.integers_or(f"num_{half}_blocks", 1, MAX_LAYERS, blocks)
    if len(set(channels)) > 1 or len(found) != len(channels):
        fields.fail(key, f"{list(channels)} for {list(found)} blocks: equal channels for each")
    return channels, found


@dataclass(frozen=True, slots=True)
class ClipTextConfig:
    """The text encoder. ``hidden_act``: ``quick_gelu`` (SD 1.x) or ``gelu`` (SD 2.x).

    ``projection_dim``: width of the pooled text, where a model has the projection (SDXL's second).
    """

    vocab_size: int
    hidden_size: int
    intermediate_size: int
    num_hidden_layers: int
    num_attention_heads: int
    max_position_embeddings: int
    hidden_act: str
    layer_norm_eps: float
    projection_dim: int

    @classmethod
    def from_json(cls, mapping: Mapping[str, object], file: FilePath) -> Self:
        """Read ``text_encoder/config.json``. Raises ``ModelFormatError``."""
        fields = Fields(mapping, file)
        fields.fixed(_TEXT_FIXED)
        fields.skip(_TEXT_SKIPPED)
        config = cls(
            vocab_size=fields.integer("vocab_size", 2, _MAX_VOCABULARY, 49408),
            hidden_size=fields.integer("hidden_size", 1, MAX_CHANNELS, 512),
            intermediate_size=fields.integer("intermediate_size", 1, 8 * MAX_CHANNELS, 2048),
            num_hidden_layers=fields.integer("num_hidden_layers", 1, MAX_LAYERS, 12),
            num_attention_heads=fields.integer("num_attention_heads", 1, MAX_CHANNELS, 8),
            max_position_embeddings=fields.integer("max_position_embeddings", 3, 4096, 77),
            hidden_act=fields.choice("hidden_act", ("quick_gelu", "gelu"), "quick_gelu"),
            layer_norm_eps=fields.number("layer_norm_eps", 1e-12, 1, 1e-5),
            projection_dim=fields.integer("projection_dim", 1, MAX_CHANNELS, 512),
        )
        fields.finish()
        if config.hidden_size % config.num_attention_heads:
            reason = f"{config.num_attention_heads} does not divide {config.hidden_size} channels"
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

    num_train_timesteps: int
    beta_start: float
    beta_end: float
    beta_schedule: str
    prediction_type: str
    steps_offset: int
    set_alpha_to_one: bool
    timestep_spacing: str
    rescale_betas_zero_snr: bool

    @classmethod
    def from_json(cls, mapping: Mapping[str, object], file: FilePath) -> Self:
        """Read ``scheduler/scheduler_config.json``. Raises ``ModelFormatError``."""
        fields = Fields(mapping, file)
        fields.fixed(_SCHEDULER_FIXED)
        fields.skip(_SCHEDULER_SKIPPED)
        start = fields.number("beta_start", 1e-9, 0.999)
        owner = mapping.get("_class_name")
        config = cls(
            num_train_timesteps=fields.integer("num_train_timesteps", 2, 100_000),
            beta_start=start,
            beta_end=fields.number("beta_end", start, 0.999),
            beta_schedule=fields.choice("beta_schedule", ("scaled_linear", "linear")),
            prediction_type=fields.choice(
                "prediction_type", ("epsilon", "v_prediction", "sample"), "epsilon"
            ),
            steps_offset=fields.integer("steps_offset", 0, 1000, 0),
            set_alpha_to_one=fields.flag("set_alpha_to_one", owner != "PNDMScheduler"),
            timestep_spacing=fields.choice(
                "timestep_spacing",
                ("leading", "linspace", "trailing"),
                "leading" if owner in _LEADING else "linspace",
            ),
            rescale_betas_zero_snr=fields.flag("rescale_betas_zero_snr", False),
        )
        fields.finish()
        return config
