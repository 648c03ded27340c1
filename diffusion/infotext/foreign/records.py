"""Programs that write their settings as one flat JSON object.

The fields are those of each program's public source: Easy Diffusion's ``save_utils.py``, Fooocus'
``meta_parser.py``, NovelAI's pictures, SwarmUI's ``T2IParamTypes.cs``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from diffusion.infotext.foreign.record import Json, Record, as_text

__all__ = ["read_easy_diffusion", "read_fooocus", "read_novelai", "read_swarmui"]

SWARM: Final = {
    "Steps": "steps",
    "CFG scale": "cfgscale",
    "Seed": "seed",
    "Sampler": "sampler",
    "Schedule type": "scheduler",
    "Model": "model",
    "VAE": "vae",
    "Variation seed": "variationseed",
    "Variation seed strength": "variationseedstrength",
    "Refiner": "refinermodel",
    "Init image": "initimagecreativity",
}
FOOOCUS: Final = {
    "Steps": "steps",
    "CFG scale": "guidance_scale",
    "Seed": "seed",
    "Sampler": "sampler",
    "Schedule type": "scheduler",
    "Model": "base_model",
    "Model hash": "base_model_hash",
    "VAE": "vae",
    "Refiner": "refiner_model",
    "Performance": "performance",
    "Styles": "styles",
    "Sharpness": "sharpness",
}
EASY: Final = {
    "Steps": "num_inference_steps",
    "CFG scale": "guidance_scale",
    "Seed": "seed",
    "Sampler": "sampler_name",
    "Schedule type": "scheduler_name",
    "Model": "use_stable_diffusion_model",
    "VAE": "use_vae_model",
    "Clip skip": "clip_skip",
    "Lora": "use_lora_model",
    "Hypernet": "use_hypernetwork_model",
    "Upscaler": "use_upscale",
    "Face restoration": "use_face_correction",
    "ControlNet": "use_controlnet_model",
}
NOVEL: Final = {
    "Steps": "steps",
    "CFG scale": "scale",
    "Seed": "seed",
    "Sampler": "sampler",
    "Schedule type": "noise_schedule",
    "CFG rescale": "cfg_rescale",
}
_SAMPLERS: Final = {
    "k_euler_ancestral": "euler_a",
    "k_dpmpp_2s_ancestral": "dpmpp_2s_a",
    "ddim_v3": "ddim",
}
_PAIR = re.compile(r"\(?\s*(\d{1,6})\s*[,x]\s*(\d{1,6})\s*\)?")


def read_swarmui(record: Json) -> Record | None:
    """Return the settings of SwarmUI."""
    if not isinstance(record, dict):
        return None
    found = Record(as_text(record.get("prompt")), as_text(record.get("negativeprompt")))
    found.add_all(record, SWARM)
    found.add_size(record.get("width"), record.get("height"))
    found.settings |= {"RNG": "CPU"}
    return found


def read_fooocus(record: Mapping[str, Json]) -> Record:
    """Return the settings of Fooocus. It adds texts of its styles, which ``full_prompt`` holds."""
    found = Record(_join_texts(record, "full_prompt", "prompt"))
    found.negative = _join_texts(record, "full_negative_prompt", "negative_prompt")
    found.add_all(record, FOOOCUS)
    _drop(found, "None", "Default (model)")
    size = _PAIR.fullmatch(as_text(record.get("resolution")))
    if size:
        found.add_size(size[1], size[2])
    return found


def _drop(found: Record, *values: str) -> None:
    """Leave out the settings that have one of ``values``, which stand for none."""
    found.settings = {key: each for key, each in found.settings.items() if each not in values}


def _join_texts(record: Mapping[str, Json], parts: str, whole: str) -> str:
    """Return the texts of the list ``parts``, else the text ``whole``."""
    listed = record.get(parts)
    texts = [as_text(each) for each in listed] if isinstance(listed, list) else []
    return ", ".join(filter(None, texts)) or as_text(record.get(whole))


def read_easy_diffusion(record: Mapping[str, Json]) -> Record:
    """Return the settings of Easy Diffusion; values may be texts."""
    found = Record(as_text(record.get("prompt")), as_text(record.get("negative_prompt")))
    found.add_all(record, EASY)
    _drop(found, "None", "False")
    found.add_size(record.get("width"), record.get("height"))
    return found


def read_novelai(record: Json, description: str) -> Record | None:
    """Return the settings of NovelAI. Its models are not public, so the picture differs."""
    if not isinstance(record, dict):
        return None
    found = Record(description or as_text(record.get("prompt")), as_text(record.get("uc")))
    found.add_all(record, NOVEL)
    sampler = found.settings.get("Sampler")
    if isinstance(sampler, str):
        found.settings["Sampler"] = _SAMPLERS.get(sampler, sampler)
    found.add_size(record.get("width"), record.get("height"))
    return found
