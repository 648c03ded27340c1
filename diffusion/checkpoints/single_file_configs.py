"""A single file's configs, worked out from the names and shapes of its tensors.

A single file says nothing of itself: which family it is, how wide and how deep follows from
shapes, the rest (counts of heads, activation, noise) from the family. The dictionaries made here
are what the diffusers layout keeps in its JSON files.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Final

from diffusion.checkpoints.names import family
from diffusion.errors import FilePath, ModelFormatError, Shape, quoted

Shapes = Mapping[str, Shape]
Json = dict[str, object]

UNET: Final = "model.diffusion_model."
VAE: Final = "first_stage_model."
_WHOLE: Final = "use a complete Stable Diffusion 1.x, 2.x or XL checkpoint"
_MAX_BLOCKS: Final = 64


@dataclass(frozen=True, slots=True)
class TextEncoder:
    """Where a text encoder lies: ``part`` of the diffusers layout, ``prefix`` in the file."""

    part: str
    prefix: str
    open_clip: bool

    @property
    def signs(self) -> tuple[str, ...]:
        """Names that the parameter of shape (tokens, width) may have, the usual one first.

        transformers' ``text_model.`` is missing in files of its first and its newest versions.
        """
        names = ("",) if self.open_clip else ("text_model.embeddings.", "embeddings.")
        return tuple(f"{self.prefix}{name}token_embedding.weight" for name in names)


@dataclass(frozen=True, slots=True)
class Family:
    """What single files of one family have in common.

    ``context``: width of the text that the UNet attends to, which tells the families apart.
    ``layers``: of the text encoder, the most that are used (SD 2.x takes the last but one's
    output). ``side``: in pixels, as trained.
    """

    title: str
    context: int
    pipeline: str
    encoders: tuple[TextEncoder, ...]
    side: int
    scaling_factor: float
    layers: int = 128


FAMILIES: Final = (
    Family(
        "Stable Diffusion 1.x",
        768,
        "StableDiffusion",
        (TextEncoder("text_encoder", "cond_stage_model.transformer.", False),),
        512,
        0.18215,
    ),
    Family(
        "Stable Diffusion 2.x",
        1024,
        "StableDiffusion",
        (TextEncoder("text_encoder", "cond_stage_model.model.", True),),
        768,
        0.18215,
        layers=23,
    ),
    Family(
        "Stable Diffusion XL",
        2048,
        "StableDiffusionXL",
        (
            TextEncoder("text_encoder", "conditioner.embedders.0.transformer.", False),
            TextEncoder("text_encoder_2", "conditioner.embedders.1.model.", True),
        ),
        1024,
        0.13025,
    ),
    Family(
        "Stable Diffusion XL refiner",
        1280,
        "StableDiffusionXL",
        (TextEncoder("text_encoder_2", "conditioner.embedders.0.model.", True),),
        1024,
        0.13025,
    ),
)
_INPUTS: Final = {4: "", 9: "Inpaint"}
_OTHER_INPUTS: Final = {5: "a depth model", 7: "an upscaling model", 8: "an editing model"}


def detect(shapes: Shapes, file: FilePath) -> Family:
    """The family of a single file. Raises ``ModelFormatError`` that says what the file is else."""
    first = shapes.get(f"{UNET}input_blocks.0.0.weight", ())
    if len(first) != 4:
        found = family(shapes)
        kind = f"looks like {found}" if found else "is no checkpoint of a family that is known"
        raise ModelFormatError(file, "names", f"{kind}, and a whole model is wanted", _WHOLE)
    if first[1] not in _INPUTS:
        kind = _OTHER_INPUTS.get(first[1], f"a model with {first[1]} input channels")
        raise ModelFormatError(file, "names", f"is {kind}, which is not supported", _WHOLE)
    context = _context(shapes)
    for each in FAMILIES:
        if each.context == context:
            _check_whole(each, shapes, file)
            return each
    reason = f"attends to a text of width {context}, and no family that is known does"
    raise ModelFormatError(file, "shapes", reason, _WHOLE)


def _context(shapes: Shapes) -> int | None:
    """Width of the text: the inputs of the cross-attentions' keys."""
    keys = (
        shape
        for name, shape in shapes.items()
        if name.startswith(UNET) and name.endswith(".attn2.to_k.weight")
    )
    return next((shape[1] for shape in keys if len(shape) == 2), None)


def _check_whole(found: Family, shapes: Shapes, file: FilePath) -> None:
    signs = {encoder.signs: "text encoder" for encoder in found.encoders}
    signs[(f"{VAE}decoder.conv_in.weight",)] = "VAE"
    for names, part in signs.items():
        if not any(name in shapes for name in names):
            reason = f"is of {found.title} and has no {part} ({quoted(names[0], 120)} is missing)"
            raise ModelFormatError(file, "names", reason, _WHOLE)


def pipeline_class(found: Family, shapes: Shapes) -> str:
    """The class that ``model_index.json`` names."""
    kind = _INPUTS[shapes[f"{UNET}input_blocks.0.0.weight"][1]]
    if not kind and found.title.endswith("refiner"):
        kind = "Img2Img"
    return f"{found.pipeline}{kind}Pipeline"


def unet_config(found: Family, shapes: Shapes, file: FilePath, side: int) -> Json:
    """``unet/config.json``; ``side`` in pixels."""
    inner = {name.removeprefix(UNET): s for name, s in shapes.items() if name.startswith(UNET)}
    levels = _levels(inner, file)
    channels = [level.channels for level in levels]
    projections = (s for name, s in inner.items() if name.endswith(".1.proj_in.weight"))
    config: Json = {
        "_class_name": "UNet2DConditionModel",
        "act_fn": "silu",
        "attention_head_dim": 8 if found.context == 768 else [max(1, c // 64) for c in channels],
        "block_out_channels": channels,
        "cross_attention_dim": found.context,
        "down_block_types": [_kind(level.depths, "Down") for level in levels],
        "in_channels": inner["input_blocks.0.0.weight"][1],
        "layers_per_block": _one_or_all([len(level.depths) for level in levels]),
        "norm_eps": 1e-5,
        "norm_num_groups": 32,
        "out_channels": (inner.get("out.2.weight") or (4,))[0],
        "sample_size": side // 8,
        "use_linear_projection": len(next(projections, ())) == 2,
    }
    if "middle_block.0.in_layers.0.weight" not in inner:
        config["mid_block_type"] = None
    config |= _up_and_depths(inner, levels)
    added = inner.get("label_emb.0.0.weight", ())
    if len(added) == 2:
        config["addition_embed_type"] = "text_time"
        config["addition_time_embed_dim"] = 256
        config["projection_class_embeddings_input_dim"] = added[1]
    return config


@dataclass(frozen=True, slots=True)
class _Level:
    """One resolution; ``depths``: transformer blocks after each of its residual blocks."""

    channels: int
    depths: tuple[int, ...]


def _levels(inner: Shapes, file: FilePath) -> list[_Level]:
    """The levels of the way down."""
    levels: list[_Level] = []
    depths: list[int] = []
    channels = 0
    for number in range(1, _MAX_BLOCKS):
        place = f"input_blocks.{number}"
        convolution = inner.get(f"{place}.0.out_layers.3.weight", ())
        if len(convolution) == 4:
            channels = convolution[0]
            depths.append(_depth(inner, f"{place}.1"))
        elif depths:
            levels.append(_Level(channels, tuple(depths)))
            depths = []
        else:
            break
    if not levels:
        raise ModelFormatError(file, "names", "has a UNet of an unknown layout", _WHOLE)
    return levels


def _up_and_depths(inner: Shapes, levels: list[_Level]) -> Json:
    """The kinds of the blocks of the way up, and how deep all transformers are.

    The last level's depth is also the middle's, so that it counts where the level has none.
    """
    number, up = 0, []
    for level in reversed(levels):
        layers = len(level.depths) + 1
        up.append([_depth(inner, f"output_blocks.{number + n}.1") for n in range(layers)])
        number += layers
    config: Json = {"up_block_types": [_kind(depths, "Up") for depths in up]}
    middle = _depth(inner, "middle_block.1") or 1
    rest = [1] * (len(levels) - 1) + [middle]
    down = [
        [depth or other for depth in level.depths]
        for level, other in zip(levels, rest, strict=True)
    ]
    up = [[depth or 1 for depth in depths] for depths in up]
    if any(len(set(depths)) > 1 for depths in (*down, *up)):
        config["transformer_layers_per_block"] = down
        config["reverse_transformer_layers_per_block"] = up
    else:
        config["transformer_layers_per_block"] = _one_or_all([depths[0] for depths in down])
    return config


def _kind(depths: Sequence[int], way: str) -> str:
    return f"CrossAttn{way}Block2D" if any(depths) else f"{way}Block2D"


def _one_or_all(numbers: list[int]) -> int | list[int]:
    """A list as the layout writes it: one number where all are equal."""
    return numbers[0] if len(set(numbers)) == 1 else numbers


def _depth(inner: Shapes, place: str) -> int:
    """How many transformer blocks stand at a place."""
    sign = "{}.transformer_blocks.{}.norm1.weight"
    return next(depth for depth in count() if sign.format(place, depth) not in inner)


def vae_config(found: Family, shapes: Shapes, file: FilePath, side: int) -> Json:
    """``vae/config.json``; ``side`` in pixels."""
    channels: list[int] = []
    sign = VAE + "encoder.down.{}.block.{}.conv2.weight"
    while len(shape := shapes.get(sign.format(len(channels), 0), ())) == 4:
        channels.append(shape[0])
    latents = shapes[f"{VAE}decoder.conv_in.weight"]
    if not channels or len(latents) != 4:
        raise ModelFormatError(file, "names", "has a VAE of an unknown layout", _WHOLE)
    return {
        "_class_name": "AutoencoderKL",
        "act_fn": "silu",
        "block_out_channels": channels,
        "down_block_types": ["DownEncoderBlock2D"] * len(channels),
        "in_channels": 3,
        "latent_channels": latents[1],
        "layers_per_block": next(n for n in count() if sign.format(0, n) not in shapes),
        "norm_num_groups": 32,
        "out_channels": 3,
        "sample_size": side,
        "scaling_factor": found.scaling_factor,
        "up_block_types": ["UpDecoderBlock2D"] * len(channels),
    }


def text_config(found: Family, encoder: TextEncoder, shapes: Shapes, file: FilePath) -> Json:
    """``text_encoder/config.json`` or ``text_encoder_2/config.json``."""
    sign = next(sign for sign in encoder.signs if sign in shapes)
    prefix = sign.removesuffix("token_embedding.weight").removesuffix("embeddings.")
    positions = "positional_embedding" if encoder.open_clip else "embeddings.position_embedding"
    layer = "transformer.resblocks" if encoder.open_clip else "encoder.layers"
    inner = "mlp.c_fc" if encoder.open_clip else "mlp.fc1"
    tokens = shapes[sign]
    length = shapes.get(f"{prefix}{positions}{'' if encoder.open_clip else '.weight'}", ())
    wide = shapes.get(f"{prefix}{layer}.0.{inner}.weight", ())
    if not len(tokens) == len(length) == len(wide) == 2:
        reason = f"has a text encoder of an unknown layout under {encoder.prefix}"
        raise ModelFormatError(file, "names", reason, _WHOLE)
    layers = next(n for n in count() if f"{prefix}{layer}.{n}.{inner}.weight" not in shapes)
    config: Json = {
        "architectures": [
            "CLIPTextModelWithProjection" if encoder.part[-1] == "2" else "CLIPTextModel"
        ],
        "hidden_act": "gelu" if encoder.open_clip else "quick_gelu",
        "hidden_size": tokens[1],
        "intermediate_size": wide[0],
        "layer_norm_eps": 1e-5,
        "max_position_embeddings": length[0],
        "model_type": "clip_text_model",
        "num_attention_heads": max(1, tokens[1] // 64),
        "num_hidden_layers": min(layers, found.layers),
        "vocab_size": tokens[0],
    }
    projection = shapes.get(f"{prefix}text_projection", ())
    if len(projection) == 2:
        config["projection_dim"] = projection[1]
    return config


def scheduler_config(prediction: str, *, zero_snr: bool = False) -> Json:
    """``scheduler/scheduler_config.json``: the noise that all the families were trained with."""
    config: Json = {
        "_class_name": "DDIMScheduler",
        "beta_end": 0.012,
        "beta_schedule": "scaled_linear",
        "beta_start": 0.00085,
        "clip_sample": False,
        "num_train_timesteps": 1000,
        "prediction_type": prediction,
        "set_alpha_to_one": False,
        "steps_offset": 1,
    }
    if zero_snr:
        config["rescale_betas_zero_snr"] = True
    return config


def model_index(pipeline: str, found: Family) -> Json:
    """``model_index.json``."""
    index: Json = {
        "_class_name": pipeline,
        "scheduler": ["diffusers", "DDIMScheduler"],
        "unet": ["diffusers", "UNet2DConditionModel"],
        "vae": ["diffusers", "AutoencoderKL"],
    }
    if found.pipeline == "StableDiffusion":
        index["safety_checker"] = [None, None]
        index["feature_extractor"] = [None, None]
    else:
        index |= {"text_encoder": [None, None], "tokenizer": [None, None]}
        index["force_zeros_for_empty_prompt"] = len(found.encoders) == 2
        index["requires_aesthetics_score"] = len(found.encoders) == 1
    for encoder in found.encoders:
        two = encoder.part.removeprefix("text_encoder")
        kind = "CLIPTextModelWithProjection" if two else "CLIPTextModel"
        index[encoder.part] = ["transformers", kind]
        index[f"tokenizer{two}"] = ["transformers", "CLIPTokenizer"]
    return index
