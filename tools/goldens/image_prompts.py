"""`python -m tools.goldens.image_prompts`: UNet calls and runs with IP-Adapters of diffusers."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import UNet2DConditionModel
from diffusers.image_processor import IPAdapterMaskProcessor
from PIL import Image
from transformers import CLIPImageProcessor, CLIPVisionConfig, CLIPVisionModelWithProjection

from tests.goldens import control_cases, family_folders
from tests.goldens import image_prompt_cases as cases
from tests.goldens.cases import NEGATIVE, PROMPT
from tests.goldens.families import FAMILIES, NOISE
from tests.goldens.loader import FOLDER
from tests.goldens.weights import weight
from tools.goldens import families
from tools.goldens.control import golden_unet
from tools.goldens.models import exact
from tools.goldens.samplers import computing_in

Arrays = dict[str, Any]

SIZE = control_cases.FIRST_SIDE, control_cases.SECOND_SIDE
FACTOR = 2
"""Pixels per latent pixel of a case's region."""


def processor() -> CLIPImageProcessor:
    """Return CLIP's own preparation of pictures, for the encoder's side."""
    side = cases.VISION["image_size"]
    return CLIPImageProcessor(
        size={"shortest_edge": side}, crop_size={"height": side, "width": side}
    )


def encoder() -> tuple[Any, dict[str, list[int]]]:
    """Return the image encoder, and its shapes."""
    network = CLIPVisionModelWithProjection(CLIPVisionConfig(**cases.VISION)).double().eval()
    state = {k: v for k, v in network.state_dict().items() if not k.endswith("position_ids")}
    drawn = {k: weight("vision", "image_encoder", k, tuple(v.shape)) for k, v in state.items()}
    network.load_state_dict({k: torch.from_numpy(v) for k, v in drawn.items()}, strict=False)
    return network, {k: list(v.shape) for k, v in state.items()}


def pixels(images: Sequence[int]) -> Any:
    """Return the pixels (N, 3, side, side) that the encoder reads."""
    pictures = [cases.picture(each) for each in images]
    return processor()(pictures, return_tensors="pt").pixel_values.double()


def embeddings(kind: str, images: Sequence[int], network: Any) -> tuple[Any, Any]:
    """Return what an adapter reads (1, N, ...), for the negative prompt and for the prompt."""
    given = pixels(images)
    if kind == "base":
        found = network(given).image_embeds
        return torch.zeros_like(found)[None], found[None]
    shown = network(given, output_hidden_states=True).hidden_states[-2]
    blank = network(torch.zeros_like(given), output_hidden_states=True).hidden_states[-2]
    return blank[None], shown[None]


def widths(network: Any) -> list[int]:
    """Return the channels of the attentions to the prompt, in the order of the processors."""
    modules = dict(network.named_modules())
    return [
        modules[name.removesuffix(".processor")].to_k.weight.shape[0]
        for name in network.attn_processors
        if name.endswith("attn2.processor")
    ]


def load_adapters(network: Any, case: cases.PromptCase) -> None:
    """Give a UNet the adapters of a case, with their scales."""
    context = network.config.cross_attention_dim
    states = []
    for use in case.uses:
        given = cases.adapter_parameters(use.kind, case.model, context, widths(network))
        state: dict[str, dict[str, Any]] = {"image_proj": {}, "ip_adapter": {}}
        for name, array in given.items():
            part, _, rest = name.partition(".")
            state[part][rest] = torch.from_numpy(array).double()
        states.append(state)
    network._load_ip_adapter_weights(states)
    order = transformers(network)
    for name, processor_ in network.attn_processors.items():
        if not name.endswith("attn2.processor"):
            continue
        number = order.index(name.split(".transformer_blocks.")[0])
        processor_.scale = [
            use.scale * (use.layers[number] if use.layers else 1.0) for use in case.uses
        ]


def transformers(network: Any) -> list[str]:
    """Return the names of a UNet's spatial transformers in the order of computing."""
    found = [
        name
        for name, each in network.named_modules()
        if type(each).__name__ == "Transformer2DModel"
    ]
    sides = ("down_blocks", "mid_block", "up_blocks")
    return sorted(found, key=lambda name: sides.index(name.split(".")[0]))


def downsample(mask: Any, batch: int, queries: int, width: int) -> Any:
    """Return a region at a layer's size by our rule, in place of diffusers' bicubic one."""
    height, across = SIZE
    while height * across != queries:
        height, across = (height + 1) // 2, (across + 1) // 2
    image = Image.fromarray(mask[0].numpy().astype(np.float32))
    levels = np.asarray(image.resize((across, height), Image.Resampling.BILINEAR), np.float64)
    return torch.from_numpy(levels.reshape(1, -1, 1)).repeat(batch, 1, width)


def calls() -> Arrays:
    """Return ``NAME/out`` of each case, ``vision/…`` and ``pixels/N``."""
    network, shapes = encoder()
    arrays: Arrays = {"vision/saved": np.array(json.dumps(shapes))}
    for index in range(len(cases.IMAGE_SIZES)):
        arrays[f"pixels/{index}"] = pixels([index])[0].numpy()
    everything = pixels(range(len(cases.IMAGE_SIZES)))
    found = network(everything, output_hidden_states=True)
    arrays["vision/embeds"] = found.image_embeds.numpy()
    arrays["vision/states"] = found.hidden_states[-2].numpy()
    for model in dict.fromkeys(case.model for case in cases.CASES.values()):
        arrays[f"widths.{model}/saved"] = np.array(json.dumps(widths(golden_unet(model))))
    for name, case in cases.CASES.items():
        made = golden_unet(case.model)
        load_adapters(made, case)
        inputs = control_cases.call_inputs(family_folders.config(case.model, "unet"))
        given = {
            key: torch.from_numpy(value) if isinstance(value, np.ndarray) else value
            for key, value in inputs.items()
            if key != "added_cond_kwargs"
        }
        added = {
            key: torch.from_numpy(value)
            for key, value in inputs.get("added_cond_kwargs", {}).items()
        }
        added["image_embeds"] = [both(use, network) for use in case.uses]
        masks = None
        if any(use.region for use in case.uses):
            levels = cases.region(FACTOR * SIZE[1], FACTOR * SIZE[0]) / np.float64(255)
            one = torch.ones(1, 1, *levels.shape, dtype=torch.float64)
            own = torch.from_numpy(levels)[None, None]
            masks = {"ip_adapter_masks": [own if use.region else one for use in case.uses]}
        arrays[f"{name}/out"] = made(
            **given, added_cond_kwargs=added, cross_attention_kwargs=masks
        ).sample.numpy()
    return arrays


def both(use: cases.Use, network: Any) -> Any:
    """Return what an adapter reads for each row: those of the negative prompt come first."""
    negative, shown = embeddings(use.kind, use.images, network)
    rows = control_cases.IMAGES
    return torch.cat([negative.repeat_interleave(rows, 0), shown.repeat_interleave(rows, 0)])


def names() -> Arrays:
    """Return ``names.KIND/saved``: JSON of an adapter's names in a UNet that diffusers saves.

    Each stands with the name of its authors, and with the half that it is of keys and values.
    """
    arrays: Arrays = {}
    for kind in ("base", "plus", "full"):
        network = golden_unet("sd2")
        context = network.config.cross_attention_dim
        given = cases.adapter_parameters(kind, "sd2", context, widths(network))
        state: dict[str, dict[str, Any]] = {"image_proj": {}, "ip_adapter": {}}
        for tag, (name, array) in enumerate(given.items()):
            part, _, rest = name.partition(".")
            state[part][rest] = torch.full(array.shape, float(tag), dtype=torch.float64)
        network._load_ip_adapter_weights([state])
        authors = list(given)
        rows = []
        for name, tensor in network.state_dict().items():
            if name.startswith("encoder_hid_proj.") or ".processor." in name:
                own = authors[int(tensor.flatten()[0])]
                half = (
                    (".to_k." in name, ".to_v." in name).index(True) if ".to_kv." in own else None
                )
                rows.append((name, own, half))
        arrays[f"names.{kind}/saved"] = np.array(json.dumps(rows))
    return arrays


def full_size() -> Arrays:
    """Return widths of the published UNets' attentions, and the published encoders' shapes."""
    arrays: Arrays = {}
    with torch.device("meta"):
        for name, config in cases.FULL_UNETS.items():
            found = widths(UNet2DConditionModel(**config))
            arrays[f"widths.{name}/saved"] = np.array(json.dumps(found))
        for name, config in cases.FULL_ENCODERS.items():
            state = CLIPVisionModelWithProjection(CLIPVisionConfig(**config)).state_dict()
            shapes = {key: list(value.shape) for key, value in state.items()}
            shapes.pop("vision_model.embeddings.position_ids", None)
            arrays[f"{name}/saved"] = np.array(json.dumps(shapes))
    return arrays


def run() -> Arrays:
    """Return ``run/latents``: after each step of diffusers' own pipeline."""
    case, network = cases.RUN, encoder()[0]
    made = families.pipeline(case.model, torch.float64)
    load_adapters(made.unet, case)
    config = {**NOISE, **FAMILIES[case.model].scheduler, "timestep_spacing": "trailing"}
    made.scheduler = families.scheduler(config, cases.RUN_STEPS)
    made.set_progress_bar_config(disable=True)
    steps: list[Any] = []

    def collect(_pipeline: Any, _index: int, _time: Any, found: Any) -> Any:
        steps.append(found["latents"].numpy())
        return {}

    negative, shown = embeddings(case.uses[0].kind, case.uses[0].images, network)
    made(
        PROMPT,
        negative_prompt=NEGATIVE,
        num_inference_steps=cases.RUN_STEPS,
        guidance_scale=cases.RUN_GUIDANCE,
        latents=torch.from_numpy(control_cases.run_noise()),
        ip_adapter_image_embeds=[torch.cat([negative, shown])],
        output_type="latent",
        callback_on_step_end=collect,
    )
    assert len(steps) == cases.RUN_STEPS
    return {"run/latents": np.stack(steps)}


def write(folder: Path) -> None:
    """Make image_prompts.npz."""
    IPAdapterMaskProcessor.downsample = staticmethod(downsample)
    with torch.no_grad(), exact(), computing_in(torch.float64, families.Owner):
        arrays = calls() | names() | full_size() | run()
    stored = {
        key: value.astype(np.float32) if value.dtype == np.float64 else value
        for key, value in arrays.items()
    }
    np.savez_compressed(folder / "image_prompts.npz", **stored)


if __name__ == "__main__":
    write(FOLDER)
