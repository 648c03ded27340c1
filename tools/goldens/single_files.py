"""Names and shapes of full-size single files, and what diffusers makes of each tensor.

The single files' names are written here from the modules of the original code (CompVis
latent-diffusion, open_clip); diffusers' own converters then have to turn them into exactly the
parameters of its networks, or the script stops. No weights are made: a tensor is one row of tags,
expanded, that tells where each converted parameter came from.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from diffusers.loaders import single_file_utils
from numpy.typing import NDArray
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

Shape: TypeAlias = tuple[int, ...]
Named: TypeAlias = Iterator[tuple[str, Shape]]

VAE_WIDTHS = (128, 256, 512, 512)


@dataclass(frozen=True)
class Clip:
    """A text encoder: its place in the file, its sizes, and the layers that diffusers keeps."""

    part: str
    prefix: str
    width: int
    layers: int
    kept: int
    projects: bool = False


@dataclass(frozen=True)
class Model:
    """A full-size model; ``depths`` of the transformers at each level, 0 for none."""

    widths: tuple[int, ...]
    depths: tuple[int, ...]
    context: int
    encoders: tuple[Clip, ...]
    channels: int = 4
    added: int | None = None
    middle: int = 1


_CLIP_L = Clip("text_encoder", "cond_stage_model.transformer.", 768, 12, 12)
MODELS: Mapping[str, Model] = {
    "sd1": Model((320, 640, 1280, 1280), (1, 1, 1, 0), 768, (_CLIP_L,)),
    "sd1_inpaint": Model((320, 640, 1280, 1280), (1, 1, 1, 0), 768, (_CLIP_L,), channels=9),
    "sd2": Model(
        (320, 640, 1280, 1280),
        (1, 1, 1, 0),
        1024,
        (Clip("text_encoder", "cond_stage_model.model.", 1024, 24, 23),),
    ),
    "sdxl": Model(
        (320, 640, 1280),
        (0, 2, 10),
        2048,
        (
            Clip("text_encoder", "conditioner.embedders.0.transformer.", 768, 12, 12),
            Clip("text_encoder_2", "conditioner.embedders.1.model.", 1280, 32, 32, True),
        ),
        added=2816,
        middle=10,
    ),
    "sdxl_refiner": Model(
        (384, 768, 1536, 1536),
        (0, 4, 4, 0),
        1280,
        (Clip("text_encoder_2", "conditioner.embedders.0.model.", 1280, 32, 32, True),),
        added=2560,
        middle=4,
    ),
}


def _pair(name: str, *shape: int) -> Named:
    yield f"{name}.weight", shape
    yield f"{name}.bias", shape[:1]


def _resnet(name: str, inputs: int, outputs: int, time: int) -> Named:
    yield from _pair(f"{name}.in_layers.0", inputs)
    yield from _pair(f"{name}.in_layers.2", outputs, inputs, 3, 3)
    yield from _pair(f"{name}.emb_layers.1", outputs, time)
    yield from _pair(f"{name}.out_layers.0", outputs)
    yield from _pair(f"{name}.out_layers.3", outputs, outputs, 3, 3)
    if inputs != outputs:
        yield from _pair(f"{name}.skip_connection", outputs, inputs, 1, 1)


def _transformer(name: str, width: int, model: Model, depth: int) -> Named:
    square = (width, width) if model.context != 768 else (width, width, 1, 1)
    yield from _pair(f"{name}.norm", width)
    yield from _pair(f"{name}.proj_in", *square)
    for index in range(depth):
        block = f"{name}.transformer_blocks.{index}"
        for attention, context in (("attn1", width), ("attn2", model.context)):
            yield f"{block}.{attention}.to_q.weight", (width, width)
            yield f"{block}.{attention}.to_k.weight", (width, context)
            yield f"{block}.{attention}.to_v.weight", (width, context)
            yield from _pair(f"{block}.{attention}.to_out.0", width, width)
        yield from _pair(f"{block}.ff.net.0.proj", 8 * width, width)
        yield from _pair(f"{block}.ff.net.2", width, 4 * width)
        for number in (1, 2, 3):
            yield from _pair(f"{block}.norm{number}", width)
    yield from _pair(f"{name}.proj_out", *square)


def unet(model: Model) -> Named:
    """Return the UNet's tensors without their prefix, two residual blocks a level."""
    first, time = model.widths[0], 4 * model.widths[0]
    yield from _pair("time_embed.0", time, first)
    yield from _pair("time_embed.2", time, time)
    if model.added:
        yield from _pair("label_emb.0.0", time, model.added)
        yield from _pair("label_emb.0.2", time, time)
    yield from _pair("input_blocks.0.0", first, model.channels, 3, 3)
    skips, number, last = [first], 1, first
    for level, (width, depth) in enumerate(zip(model.widths, model.depths, strict=True)):
        for _ in range(2):
            yield from _resnet(f"input_blocks.{number}.0", last, width, time)
            if depth:
                yield from _transformer(f"input_blocks.{number}.1", width, model, depth)
            skips, number, last = [*skips, width], number + 1, width
        if level < len(model.widths) - 1:
            yield from _pair(f"input_blocks.{number}.0.op", width, width, 3, 3)
            skips, number = [*skips, width], number + 1
    yield from _resnet("middle_block.0", last, last, time)
    yield from _transformer("middle_block.1", last, model, model.middle)
    yield from _resnet("middle_block.2", last, last, time)
    yield from _way_up(model, skips, last)
    yield from _pair("out.0", first)
    yield from _pair("out.2", 4, first, 3, 3)


def _way_up(model: Model, skips: list[int], last: int) -> Named:
    number, time = 0, 4 * model.widths[0]
    for level in reversed(range(len(model.widths))):
        width, depth = model.widths[level], model.depths[level]
        for layer in range(3):
            block = f"output_blocks.{number}"
            yield from _resnet(f"{block}.0", last + skips.pop(), width, time)
            if depth:
                yield from _transformer(f"{block}.1", width, model, depth)
            if level and layer == 2:
                yield from _pair(f"{block}.{2 if depth else 1}.conv", width, width, 3, 3)
            number, last = number + 1, width


def _vae_resnet(name: str, inputs: int, outputs: int) -> Named:
    yield from _pair(f"{name}.norm1", inputs)
    yield from _pair(f"{name}.conv1", outputs, inputs, 3, 3)
    yield from _pair(f"{name}.norm2", outputs)
    yield from _pair(f"{name}.conv2", outputs, outputs, 3, 3)
    if inputs != outputs:
        yield from _pair(f"{name}.nin_shortcut", outputs, inputs, 1, 1)


def _vae_half(name: str, ends: tuple[int, int]) -> Named:
    width = VAE_WIDTHS[-1]
    first, last = (VAE_WIDTHS[0], width) if name == "encoder" else (width, VAE_WIDTHS[0])
    yield from _pair(f"{name}.conv_in", first, ends[0], 3, 3)
    for block in ("block_1", "block_2"):
        yield from _vae_resnet(f"{name}.mid.{block}", width, width)
    yield from _pair(f"{name}.mid.attn_1.norm", width)
    for part in ("q", "k", "v", "proj_out"):
        yield from _pair(f"{name}.mid.attn_1.{part}", width, width, 1, 1)
    yield from _pair(f"{name}.norm_out", last)
    yield from _pair(f"{name}.conv_out", ends[1], last, 3, 3)


def vae() -> Named:
    """Return the VAE's tensors without their prefix."""
    yield from _vae_half("encoder", (3, 8))
    yield from _vae_half("decoder", (4, 3))
    yield from _pair("quant_conv", 8, 8, 1, 1)
    yield from _pair("post_quant_conv", 4, 4, 1, 1)
    for level, width in enumerate(VAE_WIDTHS):
        before = VAE_WIDTHS[max(level - 1, 0)]
        for layer in range(2):
            block = f"encoder.down.{level}.block.{layer}"
            yield from _vae_resnet(block, width if layer else before, width)
        if level < 3:
            yield from _pair(f"encoder.down.{level}.downsample.conv", width, width, 3, 3)
        above = VAE_WIDTHS[min(level + 1, 3)]
        for layer in range(3):
            block = f"decoder.up.{level}.block.{layer}"
            yield from _vae_resnet(block, width if layer else above, width)
        if level:
            yield from _pair(f"decoder.up.{level}.upsample.conv", width, width, 3, 3)


def clip(encoder: Clip) -> Named:
    """Return a text encoder's tensors without prefix, as transformers or open_clip name them."""
    width = encoder.width
    if "transformer" in encoder.prefix:
        yield from _network(encoder)
        yield "text_model.embeddings.position_ids", (1, 77)
        return
    yield "positional_embedding", (77, width)
    yield "text_projection", (width, width)
    yield "logit_scale", ()
    yield "token_embedding.weight", (49408, width)
    yield from _pair("ln_final", width)
    for layer in range(encoder.layers):
        block = f"transformer.resblocks.{layer}"
        yield f"{block}.attn.in_proj_weight", (3 * width, width)
        yield f"{block}.attn.in_proj_bias", (3 * width,)
        yield from _pair(f"{block}.attn.out_proj", width, width)
        yield from _pair(f"{block}.ln_1", width)
        yield from _pair(f"{block}.mlp.c_fc", 4 * width, width)
        yield from _pair(f"{block}.mlp.c_proj", width, 4 * width)
        yield from _pair(f"{block}.ln_2", width)


def _network(encoder: Clip) -> Named:
    """Return the parameters of transformers' own network."""
    config = CLIPTextConfig(
        hidden_size=encoder.width,
        intermediate_size=4 * encoder.width,
        num_hidden_layers=encoder.kept,
        num_attention_heads=encoder.width // 64,
        projection_dim=encoder.width,
    )
    with torch.device("meta"):
        network = (CLIPTextModelWithProjection if encoder.projects else CLIPTextModel)(config)
    yield from ((name, tuple(value.shape)) for name, value in network.state_dict().items())


def _tag_tensor(number: int, shape: Shape) -> torch.Tensor:
    """Return a tensor whose first axis is split in three rows of tags: 4 number + 0, 1, 2."""
    if not shape or shape[0] % 3:
        return torch.tensor(4.0 * number).expand(shape)
    tags = torch.arange(3.0).repeat_interleave(shape[0] // 3) + 4 * number
    return tags.reshape(-1, *[1] * (len(shape) - 1)).expand(shape)


def _networks(model: Model) -> dict[str, dict[str, Shape]]:
    """Return the parameters of each of diffusers' networks."""
    names = ("CrossAttnDownBlock2D", "DownBlock2D"), ("CrossAttnUpBlock2D", "UpBlock2D")
    down, up = ([pair[not depth] for depth in model.depths] for pair in names)
    depths = [depth or 1 for depth in model.depths[:-1]] + [model.middle]
    with torch.device("meta"):
        network = UNet2DConditionModel(
            in_channels=model.channels,
            block_out_channels=model.widths,
            down_block_types=down,
            up_block_types=up[::-1],
            cross_attention_dim=model.context,
            transformer_layers_per_block=depths,
            use_linear_projection=model.context != 768,
            addition_embed_type="text_time" if model.added else None,
            addition_time_embed_dim=256 if model.added else None,
            projection_class_embeddings_input_dim=model.added,
        )
        autoencoder = AutoencoderKL(
            down_block_types=["DownEncoderBlock2D"] * 4,
            up_block_types=["UpDecoderBlock2D"] * 4,
            block_out_channels=VAE_WIDTHS,
            layers_per_block=2,
        )
    found = {"unet": network.state_dict(), "vae": autoencoder.state_dict()}
    shapes = {part: {n: tuple(v.shape) for n, v in state.items()} for part, state in found.items()}
    return shapes | {encoder.part: dict(_network(encoder)) for encoder in model.encoders}


def _convert(model: Model, state: dict[str, torch.Tensor]) -> dict[str, dict[str, torch.Tensor]]:
    """Convert a single file with diffusers' converters."""
    layout = {"layers_per_block": 2, "class_embed_type": None, "addition_embed_type": None}
    if model.added:
        layout["addition_embed_type"] = "text_time"
    found = {
        "unet": single_file_utils.convert_ldm_unet_checkpoint(dict(state), layout),
        "vae": single_file_utils.convert_ldm_vae_checkpoint(
            dict(state), {"down_block_types": [0] * 4, "up_block_types": [0] * 4}
        ),
    }
    for encoder in model.encoders:
        if "transformer" in encoder.prefix:
            made = single_file_utils.convert_ldm_clip_checkpoint(dict(state), encoder.prefix)
            made.pop("text_model.embeddings.position_ids")
        else:
            config = CLIPTextConfig(hidden_size=encoder.width)
            owner = type("Owner", (), {"config": config})
            made = single_file_utils.convert_open_clip_checkpoint(
                owner, dict(state), encoder.prefix
            )
            top = f"encoder.layers.{encoder.kept}."
            made = {name: value for name, value in made.items() if top not in name}
        found[encoder.part] = made
    return found


def describe(model: Model) -> dict[str, NDArray[Any]]:
    """Return the tensors of a model's single file, and where its parameters come from.

    ``single``, ``shapes``: the tensors; shapes are padded with -1. ``parameters`` (``part name``),
    ``parameter_shapes``; ``sources``: the number of the tensor that each comes from; ``thirds``:
    which third of that it is.
    """
    single = {f"model.diffusion_model.{name}": shape for name, shape in unet(model)}
    single |= {f"first_stage_model.{name}": shape for name, shape in vae()}
    for encoder in model.encoders:
        single |= {encoder.prefix + name: shape for name, shape in clip(encoder)}
    state = {name: _tag_tensor(n, shape) for n, (name, shape) in enumerate(single.items())}
    found, wanted = _convert(model, state), _networks(model)
    names, shapes, tags = [], [], []
    for part, parameters in wanted.items():
        made = {n: tuple(v.squeeze().shape) for n, v in found[part].items()}
        plain = {n: tuple(s for s in shape if s != 1) for n, shape in parameters.items()}
        if made != plain:
            raise SystemExit(f"{part}: {sorted(set(made.items()) ^ set(plain.items()))[:9]}")
        for name, shape in parameters.items():
            names.append(f"{part} {name}")
            shapes.append(shape)
            tags.append(int(found[part][name].flatten()[0]))
    return {
        "single": np.array(list(single)),
        "shapes": _pad_shapes(list(single.values())),
        "parameters": np.array(names),
        "parameter_shapes": _pad_shapes(shapes),
        "sources": np.array(tags, np.int32) // 4,
        "thirds": np.array(tags, np.int32) % 4,
    }


def _pad_shapes(shapes: list[Shape]) -> NDArray[np.int32]:
    return np.array([shape + (-1,) * (4 - len(shape)) for shape in shapes], np.int32)
