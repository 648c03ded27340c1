"""Tracing a run: the pipeline draws on a device that counts memory and computes nothing."""

from __future__ import annotations

import warnings
from collections.abc import Generator, Mapping, Sequence
from contextlib import closing
from typing import Protocol

from diffusion.memory import MemoryPlan
from diffusion.models.layers import Conv2d
from diffusion.models.module import Module, buffers_of, parked_bytes
from diffusion.models.transformer import CrossAttention
from diffusion.pipeline.events import Event, Stage
from diffusion.pipeline.networks import Networks
from diffusion.settings import Settings
from gpucore import Device
from gpucore.backends.trace import TraceBackend
from gpucore.memory.pool import Pool, storage_size

__all__ = ["Traced", "module_bytes", "trace_run", "traced_device"]


class Traced(Protocol):
    """A pipeline, as a trace runs it."""

    @property
    def networks(self) -> Networks: ...

    def weight_modules(self) -> Mapping[str, Module]: ...

    def generate(self, settings: Settings) -> Generator[Event]: ...


def traced_device(device: Device) -> Device:
    """Return a device that counts what the other would take, with the same adapter and limits."""
    traced = Device(TraceBackend(device.info), checks=device.checks)
    traced.pool.limit = None
    return traced


def trace_run(pipeline: Traced, settings: Settings, most: int | None = None) -> MemoryPlan:
    """Return the memory of a run. ``pipeline`` was loaded on a `traced_device`, and has not run.

    With more than ``most`` bytes of weights it does not run: the plan is of loading alone.
    Raises as `Pipeline.generate`.
    """
    device = pipeline.networks.device
    peaks = _Peaks(device.pool)
    if most is None or device.memory.live <= most:
        _note_stages(pipeline, settings, peaks)
    peaks.enter("")
    modules = pipeline.weight_modules()
    layers = [layer for module in modules.values() for layer in module.modules()]
    weights = {name: module_bytes(module) for name, module in modules.items()}
    return MemoryPlan(
        weights=weights,
        host={name: parked_bytes(module) for name, module in modules.items()},
        transformed=_transformed_bytes(layers),
        stages=peaks.reserved,
        activations=max(peaks.live[1:] or peaks.live) - sum(weights.values()),
        least=max(peaks.live),
        staging=device.staging.nbytes,
        for_prompt=_prompt_bytes(layers),
    )


def _note_stages(pipeline: Traced, settings: Settings, peaks: _Peaks) -> None:
    """Draw, and note what each stage takes."""
    with warnings.catch_warnings(), closing(pipeline.generate(settings)) as events:
        warnings.simplefilter("ignore")  # the run itself says them
        for event in events:
            if isinstance(event, Stage):
                peaks.enter(event.name)


class _Peaks:
    """The most memory of each stage that a run enters; the first is that of loading."""

    def __init__(self, pool: Pool) -> None:
        self._pool, self._stage = pool, "loading"
        self.reserved: dict[str, int] = {}
        self.live: list[int] = []

    def enter(self, stage: str) -> None:
        """End the stage so far, and begin another."""
        found = self._pool.stats
        before = self.reserved.get(self._stage, 0)
        self.reserved[self._stage] = max(before, found.peak_reserved)
        self.live.append(found.peak)
        self._pool.reset_peak()
        self._stage = stage


def module_bytes(module: Module) -> int:
    """Return the bytes of a network's weights on the device, as the pool counts them."""
    return sum(storage_size(buffer.nbytes) for buffer in buffers_of(module))


def _prompt_bytes(layers: Sequence[Module]) -> int:
    """Return the bytes on the host of the weights that make keys and values of a prompt."""
    attentions = (each for each in layers if isinstance(each, CrossAttention))
    return sum(parked_bytes(part) for each in attentions for part in (each.to_k, each.to_v))


def _transformed_bytes(layers: Sequence[Module]) -> int:
    """Return the bytes of the weights that convolutions made of their own."""
    convs = (each for each in layers if isinstance(each, Conv2d))
    made = (conv.transformed_weight for conv in convs)
    return sum(storage_size(b.nbytes) for each in made if each for b in each.on_device)
