"""What is checked of a request before its job is queued."""

from __future__ import annotations

import asyncio

from diffusion.server.adapters import AdapterTables
from diffusion.server.jobs.control_request import plain_name
from diffusion.server.jobs.request import JobRequest
from diffusion.settings import Settings, random_seed

__all__ = ["check_request"]


async def check_request(
    request: JobRequest, adapters: AdapterTables
) -> tuple[JobRequest, Settings]:
    """Return a request with its seed, clean pictures and known networks, and its settings.

    Pictures are read on a thread. Raises `SettingsError`.
    """
    if request.has_pictures:
        return await asyncio.to_thread(_check, request, adapters)
    return _check(request, adapters)


def _check(request: JobRequest, adapters: AdapterTables) -> tuple[JobRequest, Settings]:
    clean = request.clean()
    if clean.seed is None:
        clean = clean.model_copy(update={"seed": random_seed()})
    known = [
        each.model_copy(update={"model": adapters.controls.full_name(plain_name(each.model))})
        for each in clean.controls
    ]
    clean = clean.model_copy(update={"controls": known})
    settings = clean.settings()
    adapters.upscalers.check(settings)
    return clean, settings
