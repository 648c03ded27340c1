"""The golden models beyond Stable Diffusion 1.x, and what is computed with them.

Tiny relatives of SD 2.x, SDXL, its refiner, an inpainting model, a consistency model, and UNets
whose levels differ in depth. `families.npz` holds the results:

- `model + "/text/..."`: what diffusers' pipeline makes of PROMPT and NEGATIVE (`TextCase`).
- `"refined/latents"`, `"refined/image"`: REFINED_STEPS steps, the first REFINED_SWITCH by
  `xl_base`, the rest by `xl_refiner`, latents 8x12, with NEGATIVE: the base's last, and the image.
- `UNetCase.name`: one call of a UNet, (batch, 4, height, width).
- `TinyVAECase.name + "/latents"`, `"/decoded"`: a tiny autoencoder's, channels first.
- `RunCase.name + "/sigmas"`, `"/latents"`, `"/image"`: as in `cases.PipelineCase`, with diffusers'
  own EulerDiscreteScheduler on the model folder's scheduler config.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from tests.goldens import weights
from tests.goldens.configs import text_encoder, unet, vae

PartConfig = Mapping[str, object]
CROSS, PLAIN = "CrossAttnDownBlock2D", "DownBlock2D"
CROSS_UP, PLAIN_UP = "CrossAttnUpBlock2D", "UpBlock2D"
LENGTH = 77
POOLED = 16
"""Width of the pooled text of the XL models."""
SIZE_WIDTH = 8
"""Width of the embedding of one size number."""
REFINED_STEPS, REFINED_SWITCH = 5, 3


@dataclass(frozen=True)
class Family:
    """One model: the config entries in which its parts differ from the libraries' defaults.

    `pipeline`: diffusers' class; `flags`: entries of `model_index.json`; `scheduler`: entries in
    which its noise differs from `NOISE`. A model of one network alone has no pipeline.
    """

    parts: Mapping[str, PartConfig]
    pipeline: str = "StableDiffusionPipeline"
    flags: Mapping[str, object] = field(default_factory=dict)
    scheduler: Mapping[str, object] = field(default_factory=dict)

    @property
    def encoders(self) -> list[str]:
        """Its text encoders."""
        return [part for part in self.parts if part.startswith("text_encoder")]


NOISE: Mapping[str, object] = {
    "_class_name": "EulerDiscreteScheduler",
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "beta_start": 0.00085,
    "interpolation_type": "linear",
    "num_train_timesteps": 1000,
    "prediction_type": "epsilon",
    "steps_offset": 1,
    "timestep_spacing": "trailing",
    "trained_betas": None,
    "use_karras_sigmas": False,
}

_TEXT = text_encoder(24, 3, 3)
_TEXT_2 = text_encoder(40, 3, 5, activation="gelu") | {"eos_token_id": 2, "projection_dim": POOLED}
_VAE = vae([8, 16], 1, 4, 0.18215)
_XL_VAE = vae([8, 16], 1, 4, 0.13025) | {"force_upcast": True}


def _xl(sizes: int) -> dict[str, object]:
    return {
        "addition_embed_type": "text_time",
        "addition_time_embed_dim": SIZE_WIDTH,
        "projection_class_embeddings_input_dim": POOLED + sizes * SIZE_WIDTH,
        "use_linear_projection": True,
    }


FAMILIES: Mapping[str, Family] = {
    "sd2": Family(
        {
            "text_encoder": text_encoder(40, 2, 5, activation="gelu"),
            "unet": unet([16, 32], [True, False], [1, 2], 8, 40)
            | {"use_linear_projection": True, "upcast_attention": True, "layers_per_block": 2},
            "vae": _VAE,
        },
        scheduler={"prediction_type": "v_prediction"},
    ),
    "xl_base": Family(
        {
            "text_encoder": _TEXT,
            "text_encoder_2": _TEXT_2,
            "unet": unet([16, 32, 48], [False, True, True], [1, 2, 4], 8, 64)
            | _xl(6)
            | {"transformer_layers_per_block": [1, 2, 3]},
            "vae": _XL_VAE,
        },
        "StableDiffusionXLPipeline",
        {"force_zeros_for_empty_prompt": True},
        {"timestep_spacing": "leading"},
    ),
    "xl_refiner": Family(
        {
            "text_encoder_2": _TEXT_2,
            "unet": unet([16, 16, 24, 24], [False, True, True, False], [2, 2, 3, 3], 4, 40)
            | _xl(5)
            | {"transformer_layers_per_block": 2},
            "vae": _XL_VAE,
        },
        "StableDiffusionXLImg2ImgPipeline",
        {"force_zeros_for_empty_prompt": False, "requires_aesthetics_score": True},
        {"timestep_spacing": "leading"},
    ),
    "consistency": Family(
        {
            "text_encoder": _TEXT,
            "unet": unet([16, 24], [True, True], 2, 8, 24) | {"time_cond_proj_dim": 32},
            "vae": _VAE,
        },
    ),
    "inpaint": Family(
        {"unet": unet([16, 24], [True, False], 2, 8, 24) | {"in_channels": 9}}, pipeline=""
    ),
    # Depths within a level differ, one block attends to the text twice, and the middle is one
    # residual block, as in SSD-1B.
    "asymmetric": Family(
        {
            "unet": unet([16, 16, 24], [False, True, True], [1, 2, 3], 8, 24)
            | {
                "layers_per_block": [1, 2, 2],
                "mid_block_type": "UNetMidBlock2D",
                "only_cross_attention": [False, True, False],
                "reverse_transformer_layers_per_block": [[2, 1, 3], [2, 1, 1], 1],
                "transformer_layers_per_block": [0, [2, 1], [1, 3]],
                "use_linear_projection": True,
            }
        },
        pipeline="",
    ),
    "no_middle": Family(
        {
            "unet": unet([16, 24], [True, True], 2, 8, 24)
            | {
                "cross_attention_dim": [24, 24],
                "mid_block_type": None,
                "up_block_types": [CROSS_UP, PLAIN_UP],
            }
        },
        pipeline="",
    ),
    "taesd": Family(
        {
            "tiny_vae": {
                "decoder_block_out_channels": [8, 8],
                "encoder_block_out_channels": [8, 8],
                "num_decoder_blocks": [2, 1],
                "num_encoder_blocks": [1, 2],
            }
        },
        pipeline="",
    ),
}
WITH_UNET = [model for model, family in FAMILIES.items() if "unet" in family.parts]


@dataclass(frozen=True)
class UNetCase:
    """One call of a UNet with one timestep. Sizes are the latent's."""

    model: str
    timestep: float
    batch: int = 1
    height: int = 8
    width: int = 8
    guidance: float = 7.5
    """Embedded by the consistency model."""

    @property
    def name(self) -> str:
        """The case's key."""
        size = f"{self.batch}x{self.height}x{self.width}"
        return f"{self.model}/unet/{size}-t{self.timestep:g}"

    @property
    def config(self) -> PartConfig:
        """The UNet's."""
        return FAMILIES[self.model].parts["unet"]

    def latents(self) -> weights.Array:
        """Return the input: (batch, channels, height, width)."""
        channels = self.config.get("in_channels", 4)
        assert isinstance(channels, int)
        shape = (self.batch, channels, self.height, self.width)
        return weights.normal(f"{self.model}/latents", shape)

    def text(self) -> weights.Array:
        """Return text states (batch, tokens, width)."""
        width = self.config["cross_attention_dim"]
        width = width[0] if isinstance(width, list) else width
        assert isinstance(width, int)
        return weights.normal(f"{self.model}/text states", (self.batch, LENGTH, width))

    def pooled(self) -> weights.Array | None:
        """Return pooled text (batch, POOLED) of an XL model."""
        if "addition_embed_type" not in self.config:
            return None
        return weights.normal(f"{self.model}/pooled", (self.batch, POOLED))

    def sizes(self) -> list[float]:
        """Return the size numbers that an XL model takes, the same for each image."""
        return [512.0, 768.0, 32.0, 0.0, 6.0 if self.model == "xl_refiner" else 480.0, 720.0][
            : 5 if self.model == "xl_refiner" else 6
        ]


@dataclass(frozen=True)
class TextCase:
    """The encoding of a prompt and a negative one (None: not given) by a pipeline."""

    model: str
    negative: str | None
    clip_skip: int | None = None

    @property
    def name(self) -> str:
        """First part of the keys `/context` (2, tokens, width), negative first, and `/pooled`."""
        negative = "none" if self.negative is None else "given"
        return f"{self.model}/text/{negative}-{self.clip_skip or 0}"


@dataclass(frozen=True)
class TinyVAECase:
    """One encoding and one decoding by a tiny autoencoder. Sizes are the latent's."""

    batch: int
    height: int
    width: int
    model: str = "taesd"
    factor: int = 2

    @property
    def name(self) -> str:
        """The first half of the case's keys."""
        return f"{self.model}/tiny_vae/{self.batch}x{self.height}x{self.width}"

    def image(self) -> weights.Array:
        """Return the encoder's input: (batch, 3, height, width) in [-1, 1)."""
        shape = (self.batch, 3, self.factor * self.height, self.factor * self.width)
        return weights.uniform(f"{self.model}/image", shape)

    def latents(self) -> weights.Array:
        """Return the decoder's input, some of it beyond ±3."""
        noise = weights.initial_noise(batch=self.batch, height=self.height, width=self.width)
        return noise * np.float32(2)


@dataclass(frozen=True)
class RunCase:
    """A whole run. `scheduler`: entries that differ from the model's. Sizes are the latent's.

    `skipped`: steps left out at the beginning, as the refiner does; the run then starts from
    initial noise times that step's σ.
    """

    model: str
    title: str
    steps: int
    guidance: float
    negative: str | None = None
    scheduler: Mapping[str, object] = field(default_factory=dict)
    batch: int = 1
    height: int = 8
    width: int = 8
    skipped: int = 0

    @property
    def name(self) -> str:
        """The first half of the case's keys."""
        return f"{self.model}/run/{self.title}"

    @property
    def noise(self) -> dict[str, object]:
        """The whole scheduler config."""
        return {**NOISE, **FAMILIES[self.model].scheduler, **self.scheduler}

    def initial_noise(self) -> weights.Array:
        """Return unit noise, to be scaled."""
        return weights.initial_noise(batch=self.batch, height=self.height, width=self.width)


TEXT_CASES = [
    TextCase("sd2", "blurry"),
    TextCase("sd2", "blurry", clip_skip=1),
    TextCase("xl_base", "blurry"),
    TextCase("xl_base", None),
    TextCase("xl_base", "blurry", clip_skip=1),
    TextCase("xl_refiner", None),
]
UNET_CASES = [
    *(UNetCase(model, 500.0, 2) for model in WITH_UNET),
    *(UNetCase(model, 12.75, 1, 9, 7) for model in WITH_UNET),
    UNetCase("consistency", 999.0, guidance=1.0),
]
TINY_VAE_CASES = [TinyVAECase(1, 8, 8), TinyVAECase(2, 7, 5)]
RUN_CASES = [
    RunCase("sd2", "v", 4, 5.0, "blurry"),
    RunCase("sd2", "zero_snr", 4, 5.0, "blurry", {"rescale_betas_zero_snr": True}),
    RunCase("sd2", "sample", 3, 5.0, "blurry", {"prediction_type": "sample"}),
    RunCase("sd2", "turbo", 2, 0.0, None, {"prediction_type": "epsilon"}, 2, 8, 12),
    RunCase("sd2", "turbo-1", 1, 0.0, None, {"prediction_type": "epsilon"}),
    RunCase("sd2", "linspace", 3, 5.0, "blurry", {"timestep_spacing": "linspace"}),
    RunCase("xl_base", "leading", 4, 5.0, None, batch=2, height=8, width=12),
    RunCase("xl_base", "negative", 3, 5.0, "blurry", {"timestep_spacing": "trailing"}),
    RunCase("xl_base", "turbo", 1, 0.0, None, {"timestep_spacing": "trailing"}),
    RunCase("xl_refiner", "end", 4, 5.0, None, skipped=2),
    RunCase("consistency", "embedded", 3, 8.0),
]
