"""`python -m tools.goldens.adapters`: what LyCORIS and PEFT make of layers and UNets."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import UNet2DConditionModel
from diffusers.utils.state_dict_utils import convert_state_dict_to_kohya
from lycoris.modules.boft import ButterflyOFTModule
from lycoris.modules.diag_oft import DiagOFTModule
from lycoris.modules.full import FullModule
from lycoris.modules.glora import GLoRAModule
from lycoris.modules.ia3 import IA3Module
from lycoris.modules.locon import LoConModule
from lycoris.modules.loha import LohaModule
from lycoris.modules.lokr import LokrModule
from lycoris.modules.norms import NormModule
from peft import LoraConfig, OFTConfig, get_peft_model, get_peft_model_state_dict

from tests.goldens import family_folders
from tests.goldens.adapter_cases import UNETS, adapter_tensor, unet_inputs
from tests.goldens.loader import FOLDER

Arrays = dict[str, Any]

SHAPES: Mapping[str, Callable[[], torch.nn.Module]] = {
    "linear": lambda: torch.nn.Linear(24, 16),
    "pointwise": lambda: torch.nn.Conv2d(12, 16, 1),
    "conv": lambda: torch.nn.Conv2d(12, 16, 3),
}
DECOMPOSED = ({}, {"weight_decompose": True, "wd_on_out": True})
DECOMPOSED_IN = {"weight_decompose": True, "wd_on_out": False}
MODULES: Mapping[str, tuple[type, dict[str, Any]]] = {
    "lora": (LoConModule, {}),
    "locon_tucker": (LoConModule, {"use_tucker": True}),
    "dora_outputs": (LoConModule, DECOMPOSED[1]),
    "dora_inputs": (LoConModule, DECOMPOSED_IN),
    "loha": (LohaModule, {}),
    "loha_tucker": (LohaModule, {"use_tucker": True}),
    "loha_dora": (LohaModule, DECOMPOSED[1]),
    "lokr": (LokrModule, {"factor": 4}),
    "lokr_both": (LokrModule, {"factor": 4, "decompose_both": True, "lora_dim": 1}),
    "lokr_tucker": (LokrModule, {"factor": 2, "use_tucker": True, "lora_dim": 1}),
    "lokr_full": (LokrModule, {"factor": 4, "full_matrix": True}),
    "lokr_dora": (LokrModule, {"factor": 4, **DECOMPOSED_IN}),
    "glora": (GLoRAModule, {}),
    "ia3": (IA3Module, {}),
    "ia3_inputs": (IA3Module, {"train_on_input": True}),
    "oft": (DiagOFTModule, {}),
    "oft_constrained": (DiagOFTModule, {"constraint": 0.05, "rescaled": True}),
    "boft": (ButterflyOFTModule, {}),
    "boft_constrained": (ButterflyOFTModule, {"constraint": 0.05, "rescaled": True}),
    "full": (FullModule, {}),
}


def kinds() -> Arrays:
    """Return weights, tensors and merged weights of each kind and shape of layer.

    Keys: ``kind.shape/weight``, ``/merged``, ``/bias``, ``/merged_bias``, ``/tensor/NAME``.
    """
    arrays: Arrays = {}
    torch.manual_seed(0)
    for name, (kind, options) in MODULES.items():
        for shape, make in SHAPES.items():
            if "tucker" in name and shape != "conv":
                continue
            arrays |= _merge(f"{name}.{shape}", kind, make(), options)
    for name, norm in (("group", torch.nn.GroupNorm(4, 16)), ("layer", torch.nn.LayerNorm(16))):
        arrays |= _merge(f"norm.{name}", NormModule, norm, {})
    return arrays


def kinds_of_own_seeds() -> Arrays:
    """Return the same of kinds that came later: those before keep their numbers.

    PEFT's OFT has blocks of 4 inputs each, and one block for all.
    """
    torch.manual_seed(2)
    arrays = _merge("glora_tucker.conv", GLoRAModule, SHAPES["conv"](), {"use_tucker": True})
    for shape, make in SHAPES.items():
        arrays |= _rotate_inputs(f"oft_inputs.{shape}", make(), shared=False)
    return arrays | _rotate_inputs("oft_inputs_shared.linear", SHAPES["linear"](), shared=True)


def _rotate_inputs(name: str, layer: torch.nn.Module, *, shared: bool) -> Arrays:
    """Return the arrays of one layer with OFT as PEFT does it."""
    weight = torch.randn_like(layer.weight)
    with torch.no_grad():
        layer.weight.copy_(weight)
    config = OFTConfig(r=0, oft_block_size=4, block_share=shared, target_modules=["0"])
    model = get_peft_model(torch.nn.Sequential(layer), config)
    with torch.no_grad():
        for key, parameter in model.named_parameters():
            if "oft_R" in key:
                parameter.copy_(0.2 * torch.randn_like(parameter))
    (tensor,) = get_peft_model_state_dict(model).values()
    drawn = tensor.detach().numpy().copy()
    merged = model.merge_and_unload()[0].weight.detach().numpy()
    return {
        f"{name}/tensor/oft_R.weight": drawn,
        f"{name}/weight": weight.numpy(),
        f"{name}/merged": merged,
    }


def _merge(name: str, kind: type, layer: torch.nn.Module, options: dict[str, Any]) -> Arrays:
    """Return the arrays of one layer, whose adapter is drawn at random."""
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.copy_(torch.randn_like(parameter))
    layer.requires_grad_(False)
    settings = {"lora_dim": 4, "alpha": 2} | options
    if kind is NormModule:
        settings = {}
    module = kind("x", layer, 1.0, **settings)
    with torch.no_grad():
        for tensor, parameter in module.named_parameters():
            if not tensor.startswith(("org_", "dora_scale", "rescale")):
                parameter.copy_(0.3 * torch.randn_like(parameter))
            else:
                parameter.mul_(1 + 0.2 * torch.rand_like(parameter))
        merged = _merged(module, layer)
    tensors = _saved(module)
    arrays = {f"{name}/tensor/{key}": value.detach().numpy() for key, value in tensors.items()}
    arrays[f"{name}/weight"] = layer.weight.detach().numpy().copy()
    arrays[f"{name}/merged"] = merged[0].detach().numpy()
    if merged[1] is not None:
        arrays[f"{name}/bias"] = layer.bias.detach().numpy().copy()
        arrays[f"{name}/merged_bias"] = merged[1].detach().numpy()
    return arrays


def _merged(module: Any, layer: Any) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Return the weight and the bias with the adapter.

    LoHa and LoKr of LyCORIS 4.1.3 multiply by alpha over rank twice in ``get_merged_weight``, and
    once where they train (``forward``), which is what other programs do.
    """
    shape = layer.weight.shape
    if not isinstance(module, (LohaModule, LokrModule)):
        return module.get_merged_weight(1.0, shape=shape)
    weight = layer.weight + module.get_weight(shape)
    return (module.apply_weight_decompose(weight) if module.wd else weight), None


def _saved(module: Any) -> Mapping[str, torch.Tensor]:
    """Return the tensors of a file; a full module holds differences until it is applied."""
    if isinstance(module, FullModule):
        return {"diff": module.weight, "diff_b": module.bias}
    saved = module.custom_state_dict() if hasattr(module, "custom_state_dict") else None
    return saved or dict(module.state_dict())


def unets() -> Arrays:
    """Return one call of each UNet with an adapter of PEFT, and the adapter's tensors.

    Keys: ``unet.NAME/out``; ``/peft``, JSON of names and shapes as PEFT saves them; ``/kohya``, the
    names that diffusers gives them for kohya's tools. Tensors follow from `adapter_tensor`.
    """
    arrays: Arrays = {}
    for name, case in UNETS.items():
        torch.manual_seed(1)
        config = family_folders.config(case.model, "unet")
        unet = UNet2DConditionModel.from_config(config).double()
        weights = family_folders.parameters(case.model, "unet")
        unet.load_state_dict({key: torch.from_numpy(value) for key, value in weights.items()})
        unet.add_adapter(
            LoraConfig(
                r=4,
                lora_alpha=2,
                target_modules=list(case.targets),
                use_dora=case.dora,
                rank_pattern=dict(case.ranks),
                alpha_pattern=dict(case.alphas),
            )
        )
        with torch.no_grad():
            for key, parameter in unet.named_parameters():
                if ".lora_" in key:
                    saved = key.replace(".default", "").replace("vector.weight", "vector")
                    drawn = adapter_tensor(saved, tuple(parameter.shape))
                    parameter.copy_(torch.from_numpy(drawn))
            inputs = unet_inputs(config)
            out = unet(**{key: _tensor(value) for key, value in inputs.items()}).sample
        state = get_peft_model_state_dict(unet)
        shapes = {key: list(value.shape) for key, value in state.items()}
        arrays[f"unet.{name}/peft"] = np.array(json.dumps(shapes))
        kohya = convert_state_dict_to_kohya({f"unet.{key}": value for key, value in state.items()})
        arrays[f"unet.{name}/kohya"] = np.array(json.dumps(sorted(kohya)))
        arrays[f"unet.{name}/out"] = out.numpy()
    return arrays


def _tensor(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _tensor(each) for key, each in value.items()}
    return torch.from_numpy(value) if isinstance(value, np.ndarray) else value


def write(folder: Path) -> None:
    """Make adapters.npz."""
    arrays = kinds() | kinds_of_own_seeds() | unets()
    stored = {
        key: value.astype(np.float32) if value.dtype == np.float64 else value
        for key, value in arrays.items()
    }
    np.savez_compressed(folder / "adapters.npz", **stored)


if __name__ == "__main__":
    write(FOLDER)
