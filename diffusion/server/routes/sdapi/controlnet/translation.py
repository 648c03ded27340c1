"""From units to the controls of a job."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from diffusion.control import KINDS, MODES, PASSES, Preprocessor, Threshold, find_preprocessor
from diffusion.errors import SettingsError
from diffusion.images import decode_image, to_rgb
from diffusion.infotext.controls import find_resize
from diffusion.server.errors import NotBuiltError, RefusedError
from diffusion.server.jobs.control_request import ControlRequest
from diffusion.server.pictures import decode_base64
from diffusion.server.routes.sdapi.controlnet.choices import (
    MODE_NAMES,
    PASS_NAMES,
    RESIZE_NAMES,
    choose,
)
from diffusion.server.routes.sdapi.controlnet.prompts import is_image_prompt
from diffusion.server.routes.sdapi.controlnet.units import Unit, read_units

__all__ = ["RESOLUTIONS", "USUAL_RESOLUTION", "chosen_threshold", "find_module", "unit_controls"]

USUAL_RESOLUTION: Final = 512
RESOLUTIONS: Final = (64, 2048)
"""The least and the most ``processor_res``; others stand for the usual one, as in the extension."""

_UNKNOWN: Final = ("", "unknown")


def unit_controls(scripts: Mapping[str, Any], *, crops: bool) -> list[ControlRequest]:
    """Return the controls of ``alwayson_scripts``. Raises `SettingsError` and `ServerError`.

    ``crops``: the request draws a part of a picture alone, of which units show the same part. It
    may decode pictures, so call it on a thread.
    """
    units = enumerate(read_units(scripts))
    return [_control(unit, number, crops) for number, unit in units if not is_image_prompt(unit)]


def find_module(name: str) -> Preprocessor:
    """Return the preprocessor of a name. Raises `RefusedError` with near names."""
    try:
        return find_preprocessor(name)
    except SettingsError as error:
        hint = "a map that was made elsewhere goes with module none"
        raise RefusedError(f"{error}; {hint}") from error


def chosen_threshold(rule: Threshold | None, given: float) -> float | None:
    """Return a threshold; None, which is the default, outside of its range as in the extension."""
    return given if rule is not None and rule.least <= given <= rule.most else None


def _control(unit: Unit, number: int, crops: bool) -> ControlRequest:
    _refuse_missing(unit, number, crops)
    module = find_module(unit.module)
    image, mask = unit.image, unit.mask
    if mask is not None and not module.marks_mask:
        # The extension takes such a mask for the drawing itself: white lines on black.
        image, module = (mask, find_module("none")) if _has_lines(mask) else (image, module)
        mask = None
    return ControlRequest(
        model=unit.model,
        image=image,
        mask=mask,
        region=unit.effective_region_mask,
        preprocessor=module.name,
        weight=unit.weight,
        start=unit.guidance_start,
        end=unit.guidance_end,
        mode=_mode(unit),
        resize=find_resize(choose("resize_mode", unit.resize_mode, RESIZE_NAMES)),
        resolution=None if module.name == "none" else _resolution(unit),
        threshold_a=chosen_threshold(module.a, unit.threshold_a),
        threshold_b=chosen_threshold(module.b, unit.threshold_b),
        layer_weights=unit.advanced_weighting or [],
        passes=PASSES.find(choose("hr_option", unit.hr_option, PASS_NAMES)).name,
        kind=_kind(unit.union_control_type),
    )


def _refuse_missing(unit: Unit, number: int, crops: bool) -> None:
    """Raise `ServerError` for what is missing of a unit, or of this server."""
    if unit.model.casefold() == "none":
        message = f"controlnet.args[{number}] names no model; GET /controlnet/model_list lists all"
        raise RefusedError(message)
    if unit.ipadapter_input:
        message = "ipadapter_input holds tensors as pickles, which this server never opens; leave "
        raise NotBuiltError(f"{message}it out, and send the picture as image")
    if unit.input_mode.rpartition(".")[2].casefold() != "simple":
        raise NotBuiltError("this server draws no batch of a folder; send a request per picture")
    if crops and not unit.inpaint_crop_input_image:
        message = "this server always cuts a unit's picture to the part that is drawn; leave "
        raise NotBuiltError(f"{message}inpaint_crop_input_image out, or set inpaint_full_res false")


def _has_lines(mask: str) -> bool:
    """Tell whether a mask is neither black nor white throughout. Raises `SettingsError`."""
    opened = decode_image(decode_base64(mask, "control mask"), "control mask")
    low, high = to_rgb(opened, "control mask").convert("L").getextrema()
    return low != high


def _mode(unit: Unit) -> str:
    """Return the mode; guess mode is what "ControlNet is more important" was called before."""
    mode = MODES.find(choose("control_mode", unit.control_mode, MODE_NAMES)).name
    return "control" if unit.guess_mode and mode == "balanced" else mode


def _resolution(unit: Unit) -> int | None:
    if unit.pixel_perfect:
        return None
    low, high = RESOLUTIONS
    return unit.processor_res if low <= unit.processor_res <= high else USUAL_RESOLUTION


def _kind(name: str | None) -> str | None:
    """Return the kind of a union's picture, of which the extension joins several names by ``/``."""
    if name is None or name.casefold() in _UNKNOWN:
        return None
    return KINDS.find(name.partition("/")[0]).name
