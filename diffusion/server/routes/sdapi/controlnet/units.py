"""``alwayson_scripts.controlnet.args[]``: the units, in all spellings that clients send.

Fields and defaults are those of Mikubill/sd-webui-controlnet (``internal_controlnet/args.py`` and
``external_code.py``); as there, unknown fields are ignored.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, ValidationError

from diffusion.control import MOST_CONTROLS
from diffusion.errors import SettingsError
from diffusion.server.errors import RefusedError

__all__ = ["NAME", "Unit", "read_units"]

NAME: Final = "controlnet"
"""The name in ``alwayson_scripts``, in any case."""

_NONE: Final = "None"
Number = Annotated[float, Field(allow_inf_nan=False)]


class Unit(BaseModel):
    """A unit. ``image`` may be an object or a list with a mask beside the picture."""

    model_config = ConfigDict(extra="ignore")

    enabled: bool = True
    module: str = _NONE
    model: str = _NONE
    weight: Number = 1.0
    image: str | None = Field(default=None, validation_alias=AliasChoices("image", "input_image"))
    mask: str | None = Field(default=None, validation_alias=AliasChoices("mask", "mask_image"))
    resize_mode: str | int = "Crop and Resize"
    processor_res: int = -1
    threshold_a: Number = -1
    threshold_b: Number = -1
    guidance_start: Number = 0.0
    guidance_end: Number = Field(
        default=1.0, validation_alias=AliasChoices("guidance_end", "guidance")
    )
    pixel_perfect: bool = False
    control_mode: str | int = 0
    guess_mode: bool = Field(
        default=False, validation_alias=AliasChoices("guess_mode", "guessmode")
    )
    hr_option: str | int = "Both"
    save_detected_map: bool = True
    union_control_type: str | None = None
    advanced_weighting: list[Number] | None = Field(default=None, max_length=100)
    effective_region_mask: str | None = None
    inpaint_crop_input_image: bool = True
    ipadapter_input: Any = None
    input_mode: str = "simple"


def read_units(scripts: Mapping[str, Any]) -> list[Unit]:
    """Return the units of ``alwayson_scripts`` that are enabled.

    Raises `SettingsError` for a field of a wrong type, and `RefusedError`.
    """
    found = [value for name, value in scripts.items() if name.casefold() == NAME]
    units: list[Unit] = []
    for value in found:
        arguments = value.get("args") if isinstance(value, Mapping) else value
        if not isinstance(arguments, Sequence) or isinstance(arguments, str):
            raise RefusedError("alwayson_scripts.controlnet must be an object with a list args")
        units += [_read(number, each) for number, each in enumerate(arguments)]
    enabled = [each for each in units if each.enabled]
    if len(enabled) > MOST_CONTROLS:
        raise SettingsError("controlnet units", len(enabled), f"must be at most {MOST_CONTROLS}")
    return enabled


def _read(number: int, given: object) -> Unit:
    if not isinstance(given, Mapping):
        raise RefusedError(f"controlnet.args[{number}] must be an object with the unit's fields")
    try:
        return Unit.model_validate(_split_picture(dict(given)))
    except ValidationError as error:
        problem = error.errors()[0]
        name = ".".join(map(str, problem["loc"]))
        value = problem["input"]
        shown = value if isinstance(value, str | int | float) else type(value).__name__
        field = f"controlnet.args[{number}].{name}"
        raise SettingsError(field, shown, problem["msg"].lower()) from error


def _split_picture(given: dict[str, Any]) -> dict[str, Any]:
    """Return the fields, without those that are left empty, and with a picture's mask apart."""
    for name in ("image", "input_image"):
        pair = given.get(name)
        if isinstance(pair, Mapping):
            picture, mask = pair.get("image"), pair.get("mask")
        elif isinstance(pair, list) and 1 <= len(pair) <= 2:
            picture, mask = pair[0], pair[1] if len(pair) == 2 else None
        else:
            continue
        given[name] = picture
        if mask and not (given.get("mask") or given.get("mask_image")):
            given["mask"] = mask
    return {name: value for name, value in given.items() if value is not None and value != ""}
