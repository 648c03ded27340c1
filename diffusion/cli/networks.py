"""The networks that draw: loaded when a request needs others than the last one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from diffusion.cli.from_picture import dtype_of, lora_mode_of, refiner_switch_of, weights_of
from diffusion.cli.options.model import ModelOptions, Refiner
from diffusion.cli.requests import Request
from diffusion.errors import SettingsError
from diffusion.pipeline.events import Event
from diffusion.pipeline.lora import LoraMode
from diffusion.pipeline.pipeline import Pipeline
from diffusion.pipeline.refiner import Companions, load_beside, refine
from diffusion.settings import Defaults, Settings
from gpucore import Device

__all__ = ["Networks", "Provenance", "find_networks", "load_networks"]

Generate = Callable[[Settings], Iterator[Event]]
"""A function that draws pictures, event by event."""

Provenance = dict[str, dict[str, str]]
"""Names and hashes of the networks, and the device."""


@dataclass(frozen=True)
class Networks:
    """The networks of a request, by name. Equal ones are loaded once."""

    model: ModelOptions
    refiner: Refiner | None
    loras: Path | None = None
    embeddings: Path | None = None
    controls: Path | None = None
    lora_mode: LoraMode = "auto"
    upscalers: Path | None = None


@dataclass(frozen=True)
class LoadedNetworks:
    """The networks of a request, loaded, with the function that draws and the default settings.

    ``adapter_fields``: the fields of an infotext about the LoRAs, embeddings and control networks
    of settings.
    """

    names: Networks
    generate: Generate
    defaults: Defaults
    provenance: Provenance
    adapter_fields: Callable[[Settings], dict[str, str]] = lambda _: {}


def find_networks(request: Request) -> Networks:
    """Return the networks that a request names. Raises `SettingsError`."""
    model, usual_switch, usual_mode = request.options.model, None, None
    if request.earlier_text is not None:
        text = request.earlier_text
        model = replace(model, dtype=model.dtype or dtype_of(text))
        model = replace(model, weights=model.weights or weights_of(text))
        usual_switch = refiner_switch_of(text)
        usual_mode = lora_mode_of(text)
    refiner = request.options.refiner.refiner(usual_switch)
    model.check()
    if refiner is not None and request.settings.hires is not None:
        raise SettingsError("refiner", str(refiner.path), "must not be given with --hires")
    options = request.options
    return Networks(
        model,
        refiner,
        options.loras.loras,
        options.inversion.embeddings,
        options.controls.controls,
        options.loras.mode(usual_mode),
        options.upscaling.upscalers,
    )


def load_networks(request: Request, device: Device) -> LoadedNetworks:
    """Load the networks of a request. Raises as `ModelOptions.load`."""
    names, preview = find_networks(request), request.options.preview.source
    model, refiner = names.model, names.refiner
    pipeline = model.load(device, preview, request.settings)
    pipeline.loras.folder = request.options.lora_folder()
    pipeline.loras.mode = names.lora_mode
    pipeline.inversions.folder = request.options.inversion.folder()
    pipeline.controls.folder = request.options.control_folder()
    pipeline.upscalers.folder = request.options.upscaling.folder()
    provenance = {
        "model": {"name": pipeline.model_name, "hash": pipeline.model_hash},
        "device": {"name": device.name, "backend": device.info.backend},
    }
    if model.dtype is not None:
        provenance["model"]["dtype"] = model.dtype
    if model.weights is not None:
        provenance["model"]["weights"] = model.weights
    if model.vae is not None:
        provenance["vae"] = {"name": model.vae.name, "hash": pipeline.vae_hash}
    generate: Generate = pipeline.generate
    if refiner is not None:
        second = _load_refiner(pipeline, model, refiner, preview, request.settings)
        provenance["refiner"] = {"name": second.model_name, "hash": second.model_hash}
        second.inversions.folder = pipeline.inversions.folder
        generate = _with_refiner(pipeline, second, refiner.switch)
    return LoadedNetworks(names, generate, pipeline.defaults, provenance, pipeline.adapter_fields)


def _load_refiner(
    base: Pipeline,
    model: ModelOptions,
    refiner: Refiner,
    preview: str | Path | None,
    settings: Settings,
) -> Pipeline:
    """Load a refiner beside its base; a budget is for both. Raises as `ModelOptions.load`."""
    options = replace(model, vram=None).for_refiner(refiner.path)
    return load_beside(
        base,
        lambda device: options.load(device, preview, settings),
        lambda loaded: Companions(loaded, refiner.switch),
        settings,
    )


def _with_refiner(first: Pipeline, second: Pipeline, switch: float) -> Generate:
    """Return the function that draws with both models."""
    return lambda settings: refine(first, second, settings, switch)
