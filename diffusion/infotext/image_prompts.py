"""Image prompts in an infotext: units of the WebUI's ControlNet extension with its own modules.

The extension (Mikubill/sd-webui-controlnet) writes an IP-Adapter as ``ControlNet 0: "Module:
ip-adapter-auto, Model: …"``. What it has no name for stands in keys of our own behind its.
Pictures are not in the text, and nothing in it is taken for a path.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from diffusion.control import COMBINATIONS, PASSES, SCALINGS, WEIGHT_TYPES, ImagePrompt
from diffusion.errors import SettingsError
from diffusion.infotext.controls import (
    CONTROL_KEY,
    UnitText,
    is_image_prompt,
    number_text,
    pictures_text,
)
from diffusion.tasks.resizing import RESIZE_MODES

__all__ = ["image_prompt_text", "read_image_prompts"]

_MODULE: Final = "ip-adapter-auto"


def image_prompt_text(prompt: ImagePrompt, name: str, digest: str) -> str:
    """Return the value of an image prompt's field; ``name``, ``digest``: of its adapter."""
    resize = RESIZE_MODES.find(prompt.resize).label.title().replace("And", "and")
    pairs: dict[str, object] = {
        "Module": _MODULE,
        "Model": f"{name} [{digest}]",
        "Weight": number_text(prompt.weight),
        "Resize Mode": resize,
        "Guidance Start": number_text(prompt.start),
        "Guidance End": number_text(prompt.end),
        "Pixel Perfect": True,
        "Control Mode": "Balanced",
    }
    for key, names, value, usual in (
        ("Hr Option", PASSES, prompt.passes, "both"),
        ("Weight Type", WEIGHT_TYPES, prompt.weight_type, "linear"),
        ("Combine", COMBINATIONS, prompt.combine, "concat"),
        ("Embeds Scaling", SCALINGS, prompt.scaling, "v"),
    ):
        found: Any = names.find(value)
        if found.name != usual:
            pairs[key] = found.label
    if prompt.layer_weights:
        pairs["Layer Weights"] = " ".join(map(number_text, prompt.layer_weights))
    pairs |= pictures_text({"region": prompt.region, "negative": prompt.negative})
    return ", ".join(f"{key}: {value}" for key, value in pairs.items())


def read_image_prompts(settings: Mapping[str, str]) -> tuple[ImagePrompt, ...]:
    """Return the image prompts of an infotext's settings, in order, without pictures.

    Raises `SettingsError` for values of a wrong type.
    """
    found = []
    for key, text in settings.items():
        match = CONTROL_KEY.fullmatch(key)
        if match and is_image_prompt(text):
            found.append((int(match[1]), _read(key, text)))
    return tuple(prompt for _, prompt in sorted(found, key=lambda pair: pair[0]))


def _read(key: str, text: str) -> ImagePrompt:
    unit = UnitText(text)
    try:
        values: dict[str, Any] = unit.read_shared()
        for name, field, names in (
            ("Weight Type", "weight_type", WEIGHT_TYPES),
            ("Combine", "combine", COMBINATIONS),
            ("Embeds Scaling", "scaling", SCALINGS),
        ):
            if name in unit.pairs:
                catalogue: Any = names
                values[field] = catalogue.find(unit.pairs[name]).name
    except ValueError:
        raise SettingsError(key, text, "this is not a value of this field") from None
    return ImagePrompt(**values)
