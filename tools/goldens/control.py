"""`python -m tools.goldens.control`: UNet calls with ControlNets and T2I-Adapters of diffusers."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import torch
from diffusers import ControlNetModel, ControlNetUnionModel, T2IAdapter, UNet2DConditionModel
from diffusers.loaders.single_file_utils import convert_controlnet_checkpoint

from tests.goldens import control_cases as cases
from tests.goldens.cases import NEGATIVE, PROMPT
from tests.goldens.families import FAMILIES, NOISE
from tests.goldens.loader import FOLDER
from tools.goldens import families, single_files
from tools.goldens.models import exact
from tools.goldens.samplers import computing_in

Arrays = dict[str, Any]


def _tensor(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _tensor(each) for key, each in value.items()}
    return torch.from_numpy(value) if isinstance(value, np.ndarray) else value


def golden_unet(model: str) -> Any:
    """Return a golden UNet with its weights, in float64."""
    unet = UNet2DConditionModel.from_config(cases.unet_config(model)).double()
    weights = cases.unet_parameters(model)
    unet.load_state_dict({key: torch.from_numpy(value) for key, value in weights.items()})
    return unet


def _fill(name: str, network: Any) -> str:
    """Fill a network with the weights of its name; return its config and shapes as JSON."""
    state = network.state_dict()
    drawn = {key: cases.control_weight(name, key, tuple(t.shape)) for key, t in state.items()}
    network.load_state_dict({key: torch.from_numpy(value) for key, value in drawn.items()})
    config = {key: value for key, value in network.config.items() if not key.startswith("_use")}
    config["_class_name"] = type(network).__name__
    shapes = {key: list(value.shape) for key, value in state.items()}
    return json.dumps({"config": config, "shapes": shapes}, default=list)


_SHARED = (
    "in_channels block_out_channels down_block_types mid_block_type cross_attention_dim "
    "attention_head_dim layers_per_block norm_num_groups norm_eps flip_sin_to_cos freq_shift "
    "downsample_padding use_linear_projection transformer_layers_per_block addition_embed_type "
    "addition_time_embed_dim projection_class_embeddings_input_dim upcast_attention"
).split()


def _control_config(case: cases.ControlCase) -> dict[str, Any]:
    """Return the config of a ControlNet that fits a model."""
    config = cases.unet_config(case.model)
    shared = {key: config[key] for key in _SHARED if key in config}
    return shared | dict(case.changes)


def _call(unet: Any, config: Mapping[str, Any], **more: Any) -> Any:
    inputs = _tensor(cases.call_inputs(config))
    return unet(**inputs, **more).sample


def controlnets() -> Arrays:
    """Return ``NAME/saved``, ``/out``, and ``/middle``: what it adds in the middle, unscaled."""
    arrays: Arrays = {}
    for name, case in cases.CONTROLNETS.items():
        network = ControlNetModel(**_control_config(case)).double()
        arrays[f"{name}/saved"] = np.array(_fill(name, network))
        config = cases.unet_config(case.model)
        hint = _tensor(cases.picture(name, case.factor)).repeat(
            cases.PROMPTS * cases.IMAGES, 1, 1, 1
        )
        inputs = _tensor(cases.call_inputs(config))
        pooled = network.config.global_pool_conditions
        down, middle = network(
            **inputs, controlnet_cond=hint, conditioning_scale=1.0, return_dict=False
        )
        assert not pooled or middle.shape[2:] == (1, 1)
        arrays[f"{name}/middle"] = middle.numpy()
        arrays[f"{name}/out"] = _call(
            golden_unet(case.model),
            config,
            down_block_additional_residuals=[cases.SCALE * each for each in down],
            mid_block_additional_residual=cases.SCALE * middle,
        ).numpy()
    return arrays


def unions() -> Arrays:
    """Return ``NAME/saved`` and ``/out`` of unions; rows one by one, since theirs mix batches."""
    arrays: Arrays = {}
    for name, case in cases.UNIONS.items():
        changes = dict(case.changes)
        config = _control_config(case)
        del config["mid_block_type"]
        width = config["block_out_channels"][0]
        network = ControlNetUnionModel(
            **config, num_trans_channel=width, num_proj_channel=width, num_trans_head=4
        ).double()
        arrays[f"{name}/saved"] = np.array(_fill(name, network))
        unet_config = cases.unet_config(case.model)
        kinds = cases.UNION_TYPES[name]
        hints = [_tensor(cases.picture(f"{name}{kind}", 2)) for kind in kinds]
        types = torch.zeros(1, changes["num_control_type"], dtype=torch.float64)
        types[:, list(kinds)] = 1
        unet, outs = golden_unet(case.model), []
        inputs = _tensor(cases.call_inputs(unet_config))
        for row in range(cases.PROMPTS * cases.IMAGES):
            own = _row(inputs, row)
            down, middle = network(
                **own,
                controlnet_cond=hints,
                control_type=types,
                control_type_idx=list(kinds),
                conditioning_scale=1.0,
                return_dict=False,
            )
            outs.append(
                unet(
                    **own,
                    down_block_additional_residuals=[cases.SCALE * each for each in down],
                    mid_block_additional_residual=cases.SCALE * middle,
                ).sample
            )
        arrays[f"{name}/out"] = torch.cat(outs).numpy()
    return arrays


def _row(value: Any, row: int) -> Any:
    if isinstance(value, dict):
        return {key: _row(each, row) for key, each in value.items()}
    return value[row : row + 1] if isinstance(value, torch.Tensor) else value


def adapters() -> Arrays:
    """Return ``NAME/saved``, ``/out`` and ``/feature.N`` of T2I-Adapters."""
    arrays: Arrays = {}
    for name, case in cases.ADAPTERS.items():
        network = T2IAdapter(**case.config).double()
        arrays[f"{name}/saved"] = np.array(_fill(name, network))
        config = cases.unet_config(case.model)
        channels = network.config.in_channels
        features = network(_tensor(cases.picture(name, 2, channels)))
        rows = cases.PROMPTS * cases.IMAGES
        for index, feature in enumerate(features):
            arrays[f"{name}/feature.{index}"] = feature.numpy()
        arrays[f"{name}/out"] = _call(
            golden_unet(case.model),
            config,
            down_intrablock_additional_residuals=[
                cases.SCALE * each.repeat(rows, 1, 1, 1) for each in features
            ],
        ).numpy()
    return arrays


def _network(name: str) -> Any:
    """Return a control network of the cases above."""
    if name in cases.ADAPTERS:
        network = T2IAdapter(**cases.ADAPTERS[name].config).double()
    else:
        network = ControlNetModel(**_control_config(cases.CONTROLNETS[name])).double()
    _fill(name, network)
    return network


def runs() -> Arrays:
    """Return ``NAME/latents``: after each step of diffusers' own pipelines."""
    arrays: Arrays = {}
    for name, case in cases.RUNS.items():
        made = families.pipeline(case.model, torch.float64)
        config = {**NOISE, **FAMILIES[case.model].scheduler, "timestep_spacing": "trailing"}
        networks = [_network(each) for each in case.networks]
        pictures = [
            torch.from_numpy(cases.levels(each).transpose(2, 0, 1)[None] / 255.0)
            for each in case.networks
        ]
        adapts = case.networks[0] in cases.ADAPTERS
        kind = "Adapter" if adapts else "ControlNet"
        owner = getattr(diffusers, made.__class__.__name__.replace("Pipeline", f"{kind}Pipeline"))
        key = kind.lower()
        parts = {each: part for each, part in made.components.items() if each != "image_encoder"}
        own = owner(**parts, **{key: networks[0] if len(networks) == 1 else networks})
        own.set_progress_bar_config(disable=True)
        own.scheduler = families.scheduler(config, case.steps)
        steps: list[Any] = []
        single = len(networks) == 1
        given: dict[str, Any] = {
            "image": pictures[0] if single else pictures,
            "num_inference_steps": case.steps,
            "guidance_scale": cases.RUN_GUIDANCE,
            "negative_prompt": NEGATIVE,
            "latents": _tensor(cases.run_noise()),
            "output_type": "latent",
        }
        if adapts:
            given |= {
                "adapter_conditioning_scale": case.scales[0],
                "adapter_conditioning_factor": case.ends[0],
                "callback": lambda _i, _t, latents, steps=steps: steps.append(latents.numpy()),
            }
        else:

            def collect(_p: Any, _i: int, _t: Any, found: Any, steps: Any = steps) -> Any:
                steps.append(found["latents"].numpy())
                return {}

            given |= {
                "controlnet_conditioning_scale": case.scales[0] if single else list(case.scales),
                "control_guidance_start": case.starts[0] if single else list(case.starts),
                "control_guidance_end": case.ends[0] if single else list(case.ends),
                "guess_mode": case.guess,
                "callback_on_step_end": collect,
            }
        own(PROMPT, **given)
        assert len(steps) == case.steps
        arrays[f"{name}/latents"] = np.stack(steps)
    return arrays


def ldm_names() -> Arrays:
    """Return ``ldm.FAMILY``: JSON of a full-size single file's names and shapes, and parameters.

    diffusers leaves out ``label_emb``, the layers that read SDXL's sizes.
    """
    arrays: Arrays = {}
    for family in ("sd1", "sd2", "sdxl"):
        model = single_files.MODELS[family]
        shapes = dict(_ldm_shapes(model))
        tags = {name: torch.full((1,), float(tag)) for tag, name in enumerate(shapes)}
        found = convert_controlnet_checkpoint(
            {f"control_model.{name}": tag for name, tag in tags.items()}, {"layers_per_block": 2}
        )
        names = {int(tag): name for name, tag in found.items()}
        rows = [(name, shape, names.get(tag)) for tag, (name, shape) in enumerate(shapes.items())]
        assert all(name.startswith("label_emb.") for name, _, new in rows if new is None)
        arrays[f"ldm.{family}"] = np.array(json.dumps(rows))
    return arrays


def _ldm_shapes(model: single_files.Model) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Yield names and shapes of a ControlNet as lllyasviel/ControlNet's cldm.py names them."""
    skips: list[tuple[int, int]] = []
    for name, shape in single_files.unet(model):
        if not name.startswith(("output_blocks.", "out.")):
            yield name, shape
        ends = name.endswith((".0.out_layers.3.weight", ".0.op.weight", "input_blocks.0.0.weight"))
        if ends and name.startswith("input_blocks."):
            skips.append((int(name.split(".")[1]), shape[0]))
    widths = (16, 16, 32, 32, 96, 96, 256, model.widths[0])
    for index, (inputs, outputs) in enumerate(zip((3, *widths), widths, strict=False)):
        yield f"input_hint_block.{2 * index}.weight", (outputs, inputs, 3, 3)
        yield f"input_hint_block.{2 * index}.bias", (outputs,)
    for number, width in (*skips, (-1, model.widths[-1])):
        place = "middle_block_out.0" if number < 0 else f"zero_convs.{number}.0"
        yield f"{place}.weight", (width, width, 1, 1)
        yield f"{place}.bias", (width,)


def write(folder: Path) -> None:
    """Make control.npz."""
    arrays: Arrays = {}
    stages: list[Callable[[], Arrays]] = [controlnets, unions, adapters, runs, ldm_names]
    with torch.no_grad(), exact(), computing_in(torch.float64, families.Owner):
        for stage in stages:
            arrays |= stage()
    stored = {
        key: value.astype(np.float32) if value.dtype == np.float64 else value
        for key, value in arrays.items()
    }
    np.savez_compressed(folder / "control.npz", **stored)


if __name__ == "__main__":
    write(FOLDER)
