"""``/controlnet``: versions, models, modules, types, and maps of pictures."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Mapping, Sequence
from typing import Annotated, Final

from fastapi import APIRouter
from pydantic import AliasChoices, BaseModel, ConfigDict, Field

from diffusion.control import MOST_CONTROLS, Preprocessor, find_preprocessor, preprocessor_names
from diffusion.errors import SettingsError
from diffusion.server.errors import NotBuiltError, RefusedError
from diffusion.server.jobs.control_request import ControlRequest, clean_controls
from diffusion.server.routes.bodies import PictureRoute
from diffusion.server.routes.given import CurrentUser, Parts
from diffusion.server.routes.sdapi.controlnet.translation import (
    RESOLUTIONS,
    USUAL_RESOLUTION,
    chosen_threshold,
    find_module,
)
from diffusion.server.services import Services

__all__ = ["router"]

router = APIRouter(prefix="/controlnet", tags=["controlnet"], route_class=PictureRoute)

VERSION: Final = 3
"""The version of the extension's interface that these routes follow."""

IP_ADAPTER: Final = "ip-adapter-auto"
"""The module that reads a picture as a prompt."""

TYPES: Final[Mapping[str, tuple[str, ...]]] = {
    "Canny": ("canny",),
    "Depth": ("depth",),
    "NormalMap": ("normal",),
    "OpenPose": ("openpose", "pose"),
    "MLSD": ("mlsd",),
    "Lineart": ("lineart",),
    "SoftEdge": ("softedge", "hed", "pidi"),
    "Scribble": ("scribble", "sketch"),
    "Segmentation": ("seg",),
    "Shuffle": ("shuffle",),
    "Tile": ("tile", "blur"),
    "Inpaint": ("inpaint",),
    "InstructP2P": ("ip2p",),
    "Recolor": ("recolor",),
    "T2I-Adapter": ("t2i", "adapter"),
}
"""The extension's types of control, and the parts of names that belong to each."""

Number = Annotated[float, Field(allow_inf_nan=False)]
Modules = Mapping[str, Preprocessor]


@router.get("/version")
async def show_version(user: CurrentUser) -> Mapping[str, int]:
    """Show the version of the interface."""
    return {"version": VERSION}


@router.get("/settings")
async def show_settings(user: CurrentUser) -> Mapping[str, int]:
    """Show how many units a request may have."""
    return {"control_net_unit_count": MOST_CONTROLS}


@router.get("/model_list")
async def list_models(
    services: Parts, user: CurrentUser, update: bool = False
) -> Mapping[str, Sequence[str]]:
    """List the networks, with eight digits of a hash each; ``update``: look for files again."""
    if update:
        await services.adapters.controls.refresh()
    return {"model_list": await _titles(services)}


@router.get("/module_list")
async def list_modules(user: CurrentUser, alias_names: bool = False) -> Mapping[str, object]:
    """List the preprocessors, by their labels with ``alias_names``, and the numbers of each."""
    found = _modules()
    names = {name: each.label if alias_names else name for name, each in found.items()}
    details = {names[name]: _describe(each) for name, each in found.items()}
    details[IP_ADAPTER] = {"model_free": False, "sliders": []}
    return {"module_list": [*names.values(), IP_ADAPTER], "module_detail": details}


@router.get("/control_types")
async def list_types(services: Parts, user: CurrentUser) -> Mapping[str, object]:
    """List the types of control, with the preprocessors and the networks of each."""
    titles, modules = await _titles(services), list(_modules())
    rows = {"All": _type(modules, titles, "none")}
    for label, parts in TYPES.items():
        own = [each for each in modules if any(part in each for part in parts)]
        fitting = [each for each in titles if any(part in each.casefold() for part in parts)]
        rows[label] = _type(["none", *own], fitting, own[0] if own else "none")
    adapters = [each for each in titles if "ip-adapter" in each.casefold().replace("_", "-")]
    rows["IP-Adapter"] = _type([IP_ADAPTER], adapters, IP_ADAPTER)
    return {"control_types": rows}


class DetectBody(BaseModel):
    """The body of ``detect``, with the extension's names and defaults, and those of Forge."""

    model_config = ConfigDict(extra="ignore")

    controlnet_module: str = "none"
    controlnet_input_images: Annotated[list[str], Field(max_length=MOST_CONTROLS)] = Field(
        default=[],
        validation_alias=AliasChoices("controlnet_input_images", "controlnet_images"),
    )
    controlnet_masks: list[str | None] = []
    controlnet_processor_res: int = USUAL_RESOLUTION
    controlnet_threshold_a: Number = -1
    controlnet_threshold_b: Number = -1


@router.post("/detect")
async def detect(body: DetectBody, services: Parts, user: CurrentUser) -> Mapping[str, object]:
    """Make the maps of pictures, as a module prepares them."""
    module = find_module(body.controlnet_module)
    if not body.controlnet_input_images:
        raise RefusedError("No image selected: send some in controlnet_input_images")
    if any(body.controlnet_masks):
        raise NotBuiltError("this server makes maps without masks; leave controlnet_masks out")
    low, high = RESOLUTIONS
    given = body.controlnet_processor_res
    requests = [
        ControlRequest(
            model="none",
            image=image,
            preprocessor=module.name,
            resolution=given if low <= given <= high else USUAL_RESOLUTION,
            threshold_a=chosen_threshold(module.a, body.controlnet_threshold_a),
            threshold_b=chosen_threshold(module.b, body.controlnet_threshold_b),
        )
        for image in body.controlnet_input_images
    ]
    made = []
    for each in await asyncio.to_thread(clean_controls, requests):
        control = await asyncio.to_thread(each.task)
        made.append(await services.maps.make(control, None))
    return {"images": [base64.b64encode(png).decode() for png in made], "info": "Success"}


async def _titles(services: Services) -> list[str]:
    return [each.title for each in await services.adapters.controls.entries()]


def _modules() -> Modules:
    """Return the preprocessors by name, without those of other packages that fail."""
    found = {}
    for name in preprocessor_names():
        try:
            found[name] = find_preprocessor(name)
        except SettingsError:
            continue
    return found


def _describe(module: Preprocessor) -> Mapping[str, object]:
    """Return the sliders of a preprocessor: its resolution, then its thresholds."""
    sliders: list[Mapping[str, object]] = []
    if module.name != "none":
        low, high = RESOLUTIONS
        sliders.append({"name": "Resolution", "value": USUAL_RESOLUTION, "min": low, "max": high})
    sliders += [
        {"name": rule.title, "value": rule.default, "min": rule.least, "max": rule.most}
        for rule in (module.a, module.b)
        if rule is not None
    ]
    return {"model_free": False, "sliders": sliders}


def _type(modules: Sequence[str], models: Sequence[str], usual: str) -> Mapping[str, object]:
    return {
        "module_list": list(modules),
        "model_list": ["None", *models],
        "default_option": usual,
        "default_model": models[0] if models else "None",
    }
