"""InvokeAI: the JSON of versions 2 to 5, and the command line that version 1 wrote."""

from __future__ import annotations

import re
from typing import Final

from diffusion.infotext.foreign.record import Json, Record, as_text

__all__ = ["read_dream_command", "read_invokeai"]

CURRENT: Final = {
    "Steps": "steps",
    "CFG scale": "cfg_scale",
    "Seed": "seed",
    "Sampler": "scheduler",
    "Denoising strength": "strength",
    "CFG rescale": "cfg_rescale_multiplier",
    "Hires upscaler": "hrf_method",
}
SECOND: Final = {
    "Steps": "steps",
    "CFG scale": "cfg_scale",
    "Seed": "seed",
    "Sampler": "sampler",
    "Denoising strength": "strength",
}
DREAM: Final = {
    "Steps": "s",
    "Seed": "S",
    "CFG scale": "C",
    "Sampler": "A",
    "Denoising strength": "f",
}
NETWORKS: Final = ("loras", "controlnets", "ipAdapters", "t2iAdapters")
KARRAS: Final = "_k"
"""Ends a scheduler's name that takes the levels of Karras."""

_OPTION = re.compile(r"-([A-Za-z])\s*([^\s-][^\s]*)")
_PROMPT = re.compile(r'\s*"((?:[^"\\]|\\.)*)"')
_NEGATIVE = re.compile(r"\[([^\[\]]*)\]")


def read_invokeai(record: Json) -> Record | None:
    """Return the settings in ``invokeai_metadata`` or ``sd-metadata``."""
    if not isinstance(record, dict):
        return None
    image = record.get("image")
    if isinstance(image, dict):
        return _second(record, image)
    found = Record(as_text(record.get("positive_prompt")), as_text(record.get("negative_prompt")))
    found.add_all(record, CURRENT)
    found.add_size(record.get("width"), record.get("height"))
    found.settings["RNG"] = "NV" if record.get("rand_device") == "cuda" else "CPU"
    skip = record.get("clip_skip")
    if isinstance(skip, int) and 0 < skip < 100:
        found.settings["Clip skip"] = skip + 1  # InvokeAI counts the layers that are left out
    _add_network(found, "Model", record.get("model"))
    _add_network(found, "VAE", record.get("vae"))
    _add_network(found, "Refiner", record.get("refiner_model"))
    for name in NETWORKS:
        if record.get(name):
            found.add(name, "used")
    if record.get("seamless_x") is True and record.get("seamless_y") is True:
        found.settings["Tiling"] = "True"
    _split_karras(found)
    return found


def _add_network(found: Record, key: str, network: Json) -> None:
    """Set a network's name; its shape changed with the versions."""
    if isinstance(network, dict):
        found.add(key, network.get("name") or network.get("model_name"))
    else:
        found.add(key, network)


def _split_karras(found: Record) -> None:
    """Split ``dpmpp_2m_k`` into the sampler and the schedule that it stands for."""
    sampler = found.settings.get("Sampler")
    if isinstance(sampler, str) and sampler.endswith(KARRAS):
        found.settings["Sampler"] = sampler.removesuffix(KARRAS)
        found.settings["Schedule type"] = "Karras"


def _second(record: dict[str, Json], image: dict[str, Json]) -> Record:
    """Return the settings of version 2, whose prompt is a list of weighted parts."""
    parts = image.get("prompt")
    texts = [parts] if isinstance(parts, str) else []
    if isinstance(parts, list):
        texts = [as_text(each.get("prompt")) for each in parts if isinstance(each, dict)]
    found = _without_negative(", ".join(filter(None, texts)))
    found.add_all(image, SECOND)
    found.add_size(image.get("width"), image.get("height"))
    found.add("Model", record.get("model_weights"))
    if image.get("seamless") is True:
        found.settings["Tiling"] = "True"
    return found


def _without_negative(prompt: str) -> Record:
    """Return a prompt, and what stands in square brackets as the negative one."""
    negative = ", ".join(part.strip() for part in _NEGATIVE.findall(prompt))
    return Record(_NEGATIVE.sub("", prompt).strip(), negative)


def read_dream_command(text: str) -> Record | None:
    """Return the settings of ``"a cat" -s 50 -S 7 -W 512 -H 512 -C 7.5 -A k_lms``."""
    prompt = _PROMPT.match(text)
    if prompt is None:
        return None
    found = _without_negative(prompt[1].replace('\\"', '"'))
    options = dict(_OPTION.findall(text, prompt.end()))
    found.add_all(options, DREAM)
    found.add_size(options.get("W"), options.get("H"))
    return found
