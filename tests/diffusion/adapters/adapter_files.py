"""Adapter files of the golden UNets in each dialect."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file

from diffusion.checkpoints.single_file.module_names import unet_names
from diffusion.models.unet_config import UNetConfig
from tests.goldens.adapter_cases import UNETS, adapter_tensor
from tests.goldens.loader import load

__all__ = ["DIALECTS", "RANK", "write_adapter"]

RANK: Final = 4
ALPHA: Final = 2.0
DIALECTS: Final = (
    *("peft", "bare", "kohya", "kohya_sgm", "comfy"),
    *("diffusers", "diffusers_old", "onetrainer_dotted"),
)
_OLD: Final = {"to_q": "to_q", "to_k": "to_k", "to_v": "to_v", "to_out.0": "to_out"}
"""What diffusers before 0.22 called the layers of its attention processors."""

Tensors = dict[str, NDArray[np.float32]]


def write_adapter(path: Path, case: str, dialect: str, config: UNetConfig) -> Path:
    """Write the adapter of a golden UNet in one dialect."""
    shapes = json.loads(str(load("adapters")[f"unet.{case}/peft"]))
    alphas = UNETS[case].alphas
    tensors: Tensors = {}
    metadata = {}
    for name, shape in shapes.items():
        module, _, end = name.partition(".lora_")
        prefix = spell_module(module, dialect, config)
        key, tensor = prefix + spell_end(end, dialect), adapter_tensor(name, tuple(shape))
        if key.endswith("dora_scale") and tensor.ndim == 4:
            tensor = tensor.transpose(1, 0, 2, 3)
        tensors[key] = np.ascontiguousarray(tensor)
        if dialect not in ("peft", "bare"):
            alpha = next((alphas[each] for each in alphas if module.endswith(each)), ALPHA)
            tensors[f"{prefix}.alpha"] = np.array(alpha, np.float32)
    if dialect in ("peft", "bare"):
        notes = {"r": RANK, "lora_alpha": ALPHA, "alpha_pattern": alphas}
        # diffusers writes the part where it saves a pipeline's adapters, and not a UNet's alone.
        part = "unet." if dialect == "peft" else ""
        named = {f"{part}{key}": value for key, value in notes.items()}
        metadata = {"lora_adapter_metadata": json.dumps(named)}
    save_file(tensors, path, metadata=metadata)
    return path


def spell_module(module: str, dialect: str, config: UNetConfig) -> str:
    """Return a module's spelling."""
    sgm = unet_names(config.down_block_types, config.up_block_types, config.layers_per_block)
    single = sgm.single(module)
    assert single is not None
    return {
        "peft": f"unet.{module}",
        "bare": module,
        "kohya": f"lora_unet_{module.replace('.', '_')}",
        "kohya_sgm": f"lora_unet_{single.replace('.', '_')}",
        "comfy": f"diffusion_model.{single}",
        "diffusers": f"unet.{module}",
        "diffusers_old": _spell_old(module),
        "onetrainer_dotted": f"unet.{module}",
    }[dialect]


def _spell_old(module: str) -> str:
    """Return a module's spelling with an attention processor's, where it has one."""
    attention, _, layer = module.partition(".attn")
    number, _, layer = layer.partition(".")
    if layer in _OLD:
        return f"unet.{attention}.attn{number}.processor.{_OLD[layer]}"
    return f"unet.{module}"


def spell_end(end: str, dialect: str) -> str:
    """Return the end of a tensor's name; ``end``: PEFT's, after ``.lora_``."""
    kind = {"A": "down", "B": "up"}.get(end.partition(".")[0])
    if dialect in ("peft", "comfy", "onetrainer_dotted"):
        return f".lora_{end}"
    if kind is None:
        return ".lora_magnitude_vector" if dialect == "bare" else ".dora_scale"
    if dialect == "bare":
        return f".lora_{end.replace('.weight', '')}.default.weight"
    if dialect == "diffusers":
        return f".lora.{kind}.weight"
    if dialect == "diffusers_old":
        return f"_lora.{kind}.weight"
    return f".lora_{kind}.weight"
