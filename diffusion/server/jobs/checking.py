"""What is checked of a request before its job is queued."""

from __future__ import annotations

import asyncio

from diffusion.server.adapters import AdapterTables
from diffusion.server.engine.messages import ModelsBeside
from diffusion.server.jobs.control_request import plain_name
from diffusion.server.jobs.request import JobRequest
from diffusion.server.models import ModelTable
from diffusion.settings import Settings, random_seed

__all__ = ["check_request", "models_beside", "name_models"]


def name_models(request: JobRequest, models: ModelTable) -> JobRequest:
    """Return a request whose other models have the names of the table.

    One that is the first model is left out. Raises `UnknownModelError`.
    """
    changes: dict[str, object] = {}
    if request.refiner is not None:
        found = models.find(request.refiner.model)
        same = found.path == models.find(request.model).path
        named = request.refiner.model_copy(update={"model": found.name})
        changes["refiner"] = None if same else named
    if request.hires is not None and request.hires.model is not None:
        found = models.find(request.hires.model)
        same = found.path == models.find(request.model).path
        update = {"model": None if same else found.name}
        changes["hires"] = request.hires.model_copy(update=update)
    return request.model_copy(update=changes) if changes else request


def models_beside(request: JobRequest, models: ModelTable, adapters: AdapterTables) -> ModelsBeside:
    """Return where the models lie that draw a part of a checked request.

    Raises `UnknownModelError` and `SettingsError` for those that are gone.
    """
    refiner, hires = request.refiner, request.hires
    second = None if hires is None or hires.model is None else models.find(hires.model).path
    return ModelsBeside(
        vae=None if request.vae is None else adapters.vaes.find(request.vae),
        refiner=None if refiner is None else models.find(refiner.model).path,
        switch=ModelsBeside.switch if refiner is None else refiner.switch,
        hires=second,
    )


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
    prompts = [each.with_full_names(adapters.controls.full_name) for each in clean.image_prompts]
    vae = None if clean.vae is None else adapters.vaes.full_name(clean.vae)
    clean = clean.model_copy(update={"controls": known, "image_prompts": prompts, "vae": vae})
    settings = clean.settings()
    adapters.upscalers.check(settings)
    return clean, settings
