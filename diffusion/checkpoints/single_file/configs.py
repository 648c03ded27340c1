"""A single file's configs, worked out from the names and shapes of its tensors.

A single file does not describe itself. Its family, widths and depths follow from shapes; the rest
(counts of heads, activation, noise) follows from the family. The dictionaries made here are those
that the diffusers layout keeps in its JSON files. A file that this project wrote carries its
folder's configs in its metadata (``CONFIG_KEY``), and those are taken.

No shape tells whether an SD 2.x UNet predicts noise or velocity. The caller's choice comes first,
then the metadata (``modelspec.prediction_type``), then a tensor named ``v_pred``. Without any of
them the numbers of one bias tell, by the test of ComfyUI: their standard deviation is above 0.09
where a UNet with 4 input channels predicts velocity. Where that bias is missing, the size of
training tells: velocity at 768 pixels, noise at 512.

The size of SD 2.x is ``modelspec.resolution``. Without that it is 512 where the file's name holds
the word ``base`` or ``512``, or the model inpaints, or that bias tells of noise; else 768.
"""

import re
from itertools import count
from typing import Final, Literal

import numpy as np

from diffusion.checkpoints.json_files import parse_json_object
from diffusion.checkpoints.safetensors import SafetensorsFile
from diffusion.checkpoints.safetensors.element_types import WEIGHTS
from diffusion.checkpoints.single_file.families import (
    COMPLETE_HINT,
    GUIDANCE_NAME,
    UNET_PREFIX,
    VAE_PREFIX,
    Family,
    Shapes,
    TextEncoder,
    detect_family,
    find_text_encoders,
    pipeline_class,
)
from diffusion.checkpoints.single_file.unet_config import Json, derive_unet_config
from diffusion.errors import FilePath, ModelFormatError
from diffusion.models.fields import MAX_CHANNELS

Prediction = Literal["epsilon", "sample", "v_prediction"]

_TELLING_BIAS: Final = "output_blocks.11.1.transformer_blocks.0.norm1.bias"
_LEAST_DEVIATION: Final = 0.09
CONFIG_KEY: Final = "avila.config"
"""Metadata: the JSON files of the diffusers layout, as one object by their names."""


def stored_configs(file: SafetensorsFile) -> Json | None:
    """Return the configs that a file's metadata carries; None where it has none."""
    text = file.metadata.get(CONFIG_KEY)
    return None if text is None else parse_json_object(text.encode(), file.path)


def derive_configs(file: SafetensorsFile, prediction: Prediction | None) -> Json:
    """Return the configs of a file that holds none, by name. Raises ``ModelFormatError``."""
    shapes = {name: entry.shape for name, entry in file.entries.items()}
    family = detect_family(shapes, file.path)
    pipeline = pipeline_class(family, shapes)
    inpaints = "Inpaint" in pipeline
    by_bias = None if inpaints else _prediction_by_bias(family, file)
    small = inpaints or by_bias == "epsilon"
    side = _side(family, file, small=small)
    chosen = prediction or _stored_prediction(file) or by_bias
    if chosen is None:
        chosen = "v_prediction" if family.text_width == 1024 and side > 512 else "epsilon"
    configs: Json = {
        "model_index.json": _model_index(pipeline, family, consistency=GUIDANCE_NAME in shapes),
        "unet/config.json": derive_unet_config(family, shapes, file.path, side),
        "vae/config.json": _vae_config(family, shapes, file.path, side),
        "scheduler/scheduler_config.json": _scheduler_config(
            chosen, zero_snr="ztsnr" in file.entries, consistency=GUIDANCE_NAME in shapes
        ),
    }
    for encoder in find_text_encoders(shapes):
        config = _text_config(family, encoder, shapes, file.path)
        configs[f"{encoder.part}/config.json"] = config
    return configs


def _side(family: Family, file: SafetensorsFile, *, small: bool) -> int:
    """Return the pixels along a side at which the model was trained; ``small``: SD 2.x at 512."""
    resolution = re.fullmatch(r"(\d{3,4})x\1", file.metadata.get("modelspec.resolution", ""))
    if resolution:
        return int(resolution[1])
    small = small or bool(re.search(r"(?i)(?<![a-z0-9])(?:base|512)(?![a-z0-9])", file.path.stem))
    return 512 if family.side == 768 and small else family.side


def _stored_prediction(file: SafetensorsFile) -> Prediction | None:
    """Return what the network predicts, if the file says so."""
    stored = file.metadata.get("modelspec.prediction_type", "")
    if stored in ("epsilon", "v"):
        return "epsilon" if stored == "epsilon" else "v_prediction"
    return "v_prediction" if "v_pred" in file.entries else None


def _prediction_by_bias(family: Family, file: SafetensorsFile) -> Prediction | None:
    """Return what the numbers of an SD 2.x UNet tell; None for other files."""
    entry = file.entries.get(UNET_PREFIX + _TELLING_BIAS)
    if family.text_width != 1024 or entry is None or entry.dtype not in WEIGHTS:
        return None
    if len(entry.shape) != 1 or entry.shape[0] > MAX_CHANNELS:
        return None
    deviation = file.read_entry(entry).astype(np.float64).std()
    return "v_prediction" if deviation > _LEAST_DEVIATION else "epsilon"


def _vae_config(family: Family, shapes: Shapes, file: FilePath, side: int) -> Json:
    """Return ``vae/config.json``; ``side`` in pixels."""
    channels: list[int] = []
    pattern = VAE_PREFIX + "encoder.down.{}.block.{}.conv2.weight"
    while len(shape := shapes.get(pattern.format(len(channels), 0), ())) == 4:
        channels.append(shape[0])
    latents = shapes[f"{VAE_PREFIX}decoder.conv_in.weight"]
    if not channels or len(latents) != 4:
        raise ModelFormatError(file, "names", "must have a VAE of a known layout", COMPLETE_HINT)
    return {
        "_class_name": "AutoencoderKL",
        "act_fn": "silu",
        "block_out_channels": channels,
        "down_block_types": ["DownEncoderBlock2D"] * len(channels),
        "in_channels": 3,
        "latent_channels": latents[1],
        "layers_per_block": next(n for n in count() if pattern.format(0, n) not in shapes),
        "norm_num_groups": 32,
        "out_channels": 3,
        "sample_size": side,
        "scaling_factor": family.scaling_factor,
        "up_block_types": ["UpDecoderBlock2D"] * len(channels),
    }


def _text_config(family: Family, encoder: TextEncoder, shapes: Shapes, file: FilePath) -> Json:
    """Return ``text_encoder/config.json`` or ``text_encoder_2/config.json``."""
    embedding = next(name for name in encoder.embedding_names if name in shapes)
    prefix = embedding.removesuffix("token_embedding.weight").removesuffix("embeddings.")
    own = encoder.has_own_names
    positions = "positional_embedding" if own else "embeddings.position_embedding"
    layer = "transformer.resblocks" if own else "encoder.layers"
    inner = "mlp.c_fc" if own else "mlp.fc1"
    tokens = shapes[embedding]
    length = shapes.get(f"{prefix}{positions}{'' if own else '.weight'}", ())
    wide = shapes.get(f"{prefix}{layer}.0.{inner}.weight", ())
    if not len(tokens) == len(length) == len(wide) == 2:
        reason = f"must have a text encoder of a known layout under {encoder.prefix}"
        raise ModelFormatError(file, "names", reason, COMPLETE_HINT)
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
        "num_hidden_layers": min(layers, family.layers),
        "vocab_size": tokens[0],
    }
    projection = shapes.get(f"{prefix}text_projection", ())
    if len(projection) == 2:
        config["projection_dim"] = projection[1]
    return config


def _scheduler_config(prediction: str, *, zero_snr: bool, consistency: bool) -> Json:
    """Return ``scheduler/scheduler_config.json``: the noise that all families were trained with."""
    config: Json = {
        "_class_name": _scheduler_class(consistency),
        "beta_end": 0.012,
        "beta_schedule": "scaled_linear",
        "beta_start": 0.00085,
        "clip_sample": False,
        "num_train_timesteps": 1000,
        "prediction_type": prediction,
        "set_alpha_to_one": consistency,
        "steps_offset": 1,
    }
    if zero_snr:
        config["rescale_betas_zero_snr"] = True
    return config


def _scheduler_class(consistency: bool) -> str:
    """Return the class of a scheduler; ``consistency``: the model needs steps of its own kind."""
    return "LCMScheduler" if consistency else "DDIMScheduler"


def _model_index(pipeline: str, family: Family, *, consistency: bool) -> Json:
    """Return ``model_index.json``."""
    index: Json = {
        "_class_name": pipeline,
        "scheduler": ["diffusers", _scheduler_class(consistency)],
        "unet": ["diffusers", "UNet2DConditionModel"],
        "vae": ["diffusers", "AutoencoderKL"],
    }
    if family.pipeline == "StableDiffusion":
        index["safety_checker"] = [None, None]
        index["feature_extractor"] = [None, None]
    else:
        index |= {"text_encoder": [None, None], "tokenizer": [None, None]}
        index["force_zeros_for_empty_prompt"] = len(family.encoders) == 2
        index["requires_aesthetics_score"] = len(family.encoders) == 1
    for encoder in family.encoders:
        suffix = encoder.part.removeprefix("text_encoder")
        kind = "CLIPTextModelWithProjection" if suffix else "CLIPTextModel"
        index[encoder.part] = ["transformers", kind]
        index[f"tokenizer{suffix}"] = ["transformers", "CLIPTokenizer"]
    return index
