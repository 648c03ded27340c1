"""From units with an IP-Adapter to the image prompts of a job.

Modules are those of Mikubill/sd-webui-controlnet (``scripts/enums.py``) and Forge. They name the
image encoder, which is found here by what the adapter reads; those that read faces need a network
that is not built.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from diffusion.control import PASSES
from diffusion.errors import quote
from diffusion.infotext.controls import find_resize
from diffusion.server.errors import NotBuiltError, RefusedError
from diffusion.server.jobs.image_prompt_request import ImagePromptRequest
from diffusion.server.routes.sdapi.controlnet.choices import PASS_NAMES, RESIZE_NAMES, choose
from diffusion.server.routes.sdapi.controlnet.units import Unit, read_units

__all__ = ["MODULES", "is_image_prompt", "unit_prompts"]

MODULES: Final = (
    "ip-adapter-auto",
    "ip-adapter_clip_sd15",
    "ip-adapter_clip_h",
    "ip-adapter_clip_g",
    "ip-adapter_clip_sdxl",
    "ip-adapter_clip_sdxl_plus_vith",
    "clip-vit-h (ipadapter)",
    "clip-vit-bigg (ipadapter)",
)
_BEGINS: Final = "ip-adapter"
_ENDS: Final = "(ipadapter)"


def is_image_prompt(unit: Unit) -> bool:
    """Tell whether a unit's picture is read as a prompt, by its module."""
    module = unit.module.casefold()
    return module.startswith(_BEGINS) or module.endswith(_ENDS)


def unit_prompts(scripts: Mapping[str, Any]) -> list[ImagePromptRequest]:
    """Return the image prompts of ``alwayson_scripts``. Raises `SettingsError`, `ServerError`."""
    units = enumerate(read_units(scripts))
    return [_prompt(unit, number) for number, unit in units if is_image_prompt(unit)]


def _prompt(unit: Unit, number: int) -> ImagePromptRequest:
    if unit.module.casefold() not in MODULES:
        message = f"this server does not do the module {quote(unit.module)}: it finds no faces"
        raise NotBuiltError(f"{message}; take an adapter of CLIP, and ip-adapter-auto")
    if unit.ipadapter_input:
        message = "ipadapter_input holds tensors as pickles, which this server never opens; leave "
        raise NotBuiltError(f"{message}it out, and send the picture as image")
    if unit.image is None:
        raise RefusedError(f"controlnet.args[{number}] needs an image, which is read as a prompt")
    return ImagePromptRequest(
        model=unit.model,
        images=[unit.image],
        weight=unit.weight,
        start=unit.guidance_start,
        end=unit.guidance_end,
        resize=find_resize(choose("resize_mode", unit.resize_mode, RESIZE_NAMES)),
        region=unit.effective_region_mask,
        layer_weights=unit.advanced_weighting or [],
        passes=PASSES.find(choose("hr_option", unit.hr_option, PASS_NAMES)).name,
    )
