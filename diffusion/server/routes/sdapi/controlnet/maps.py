"""The maps of a request's units, which stand behind the pictures of its answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import structlog

from diffusion.server.errors import ServerError
from diffusion.server.jobs.job import Job
from diffusion.server.maps import MapMaker
from diffusion.server.routes.sdapi.controlnet.units import read_units

__all__ = ["detected_maps"]

log = structlog.get_logger()


async def detected_maps(scripts: Mapping[str, Any], job: Job, maps: MapMaker) -> list[bytes]:
    """Return the maps that a job's units were led by, as PNG; without those of no interest.

    ``scripts``: the request's ``alwayson_scripts``. Where no worker can make one any more, the
    pictures go without it, and the log tells.
    """
    settings, made = job.settings, []
    size = (
        None
        if settings.width is None or settings.height is None
        else (
            settings.width,
            settings.height,
        )
    )
    for unit, control in zip(read_units(scripts), settings.controls, strict=True):
        image = control.image
        if image is None and settings.init_image is not None:
            image = settings.init_image.image
        if unit.save_detected_map:
            try:
                made.append(await maps.make(replace(control, image=image), size))
            except ServerError as error:
                log.warning("a map is left out of an answer", job=job.id, reason=str(error))
    return made
