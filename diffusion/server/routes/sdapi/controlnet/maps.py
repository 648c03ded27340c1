"""The maps of a request's units, which stand behind the pictures of its answer."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import structlog

from diffusion.server.errors import ServerError
from diffusion.server.jobs.request import JobRequest
from diffusion.server.maps import MapMaker
from diffusion.server.routes.sdapi.controlnet.units import read_units

__all__ = ["detected_maps"]

log = structlog.get_logger()


async def detected_maps(
    scripts: Mapping[str, Any], request: JobRequest, maps: MapMaker
) -> list[bytes]:
    """Return the maps that a request's units were led by, as PNG; without those of no interest.

    ``scripts``: the ``alwayson_scripts`` of its body. Where no worker can make one any more, the
    pictures go without it, and the log tells.
    """
    units, made = read_units(scripts), list[bytes]()
    if not any(unit.save_detected_map for unit in units):
        return made
    clean = await asyncio.to_thread(request.clean)
    settings = await asyncio.to_thread(clean.settings)
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
