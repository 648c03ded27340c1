"""The maps of a request's units, which stand behind the pictures of its answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import structlog

from diffusion.server.errors import ServerError
from diffusion.server.maps import MapMaker
from diffusion.server.routes.sdapi.controlnet.prompts import is_image_prompt
from diffusion.server.routes.sdapi.controlnet.units import Unit, read_units
from diffusion.settings import Settings

__all__ = ["detected_maps", "mapped_units"]

log = structlog.get_logger()


def mapped_units(scripts: Mapping[str, Any]) -> list[Unit]:
    """Return the units of ``alwayson_scripts`` that lead; none where nobody asks for maps."""
    units = [each for each in read_units(scripts) if not is_image_prompt(each)]
    return units if any(each.save_detected_map for each in units) else []


async def detected_maps(units: Sequence[Unit], settings: Settings, maps: MapMaker) -> list[bytes]:
    """Return the maps that units led a drawing by, as PNG; without those of no interest.

    ``settings``: of its job, which has a control for each. Where no worker can make a map any
    more, the pictures go without it, and the log tells.
    """
    made = list[bytes]()
    width, height = settings.width, settings.height
    size = None if width is None or height is None else (width, height)
    for unit, control in zip(units, settings.controls, strict=True):
        image = control.image
        if image is None and settings.init_image is not None:
            image = settings.init_image.image
        if unit.save_detected_map:
            try:
                made.append(await maps.make(replace(control, image=image), size))
            except ServerError as error:
                log.warning("a map is left out of an answer", reason=str(error))
    return made
