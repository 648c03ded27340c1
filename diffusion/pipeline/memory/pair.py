"""`PlacedPair`: two models that draw a picture together, placed alike where memory runs out."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from diffusion.memory import EVERYTHING, Placement
from diffusion.models.module import Module
from diffusion.pipeline.events import Event
from diffusion.pipeline.memory.budget import MemoryBudget
from diffusion.pipeline.memory.placed import PlacedModel
from diffusion.pipeline.memory.run_key import RunKey
from diffusion.pipeline.networks import Networks
from diffusion.pipeline.run_queue import queue_of
from diffusion.settings import Defaults, Settings
from gpucore import Device

__all__ = ["PlacedPair"]

M = TypeVar("M", bound=PlacedModel)


@dataclass
class PlacedPair(Generic[M]):
    """A base, and the model that draws a part of its pictures, on one device.

    ``draw``: makes pictures with two such models. ``memory``: what the base has is for both. It
    plans for both, without a budget once a run has found no room.
    """

    base: M
    other: M
    draw: Callable[[M, M, Settings], Generator[Event]]
    memory: MemoryBudget = field(init=False)

    def __post_init__(self) -> None:
        self.memory = self.base.memory.beside(self.other)

    @property
    def networks(self) -> Networks:
        """The base's networks."""
        return self.base.networks

    @property
    def defaults(self) -> Defaults:
        """The base's defaults."""
        return self.base.defaults

    def generate(self, settings: Settings) -> Generator[Event]:
        """Make pictures, event by event."""
        return self.draw(self.base, self.other, settings)

    def twin(self, device: Device, placement: Placement = EVERYTHING) -> PlacedPair[M]:
        """Load both models on another device."""
        base = self.base.twin(device, placement)
        other = base if self.other is self.base else self.other.twin(device, placement)
        return PlacedPair(base, other, self.draw)

    def memory_key(self, complete: Settings) -> RunKey:
        """Return what the memory of a run depends on. Raises `SettingsError`."""
        return self.base.memory_key(complete)

    def is_placed(self, placement: Placement) -> bool:
        """Tell whether the weights of both lie so."""
        return self.base.is_placed(placement) and self.other.is_placed(placement)

    def place(self, complete: Settings) -> None:
        """Have the weights of both lie where a run has room, as `PlacedModel.place`.

        Raises `gpucore.OutOfMemoryError`.
        """
        device = self.base.device
        queue = queue_of(device)
        with queue.turn:
            models = [self.base, self.other]
            placements = [model.networks.placement for model in models]
            if self.memory.nbytes is not None and queue.is_idle:
                placements = [self.memory.fit(self, device, complete).placement] * 2
                # The one with more on the device makes room for the other.
                models.sort(key=lambda model: model.networks.placement.unet)
            for model, placement in zip(models, placements, strict=True):
                model.lay(placement)

    def release(self) -> None:
        """Give back what both keep for the next run."""
        self.base.release()
        self.other.release()

    def weight_modules(self) -> dict[str, Module]:
        """Return all networks of both by name, the other's behind a prefix, shared ones once."""
        found = self.base.weight_modules()
        ours = set(map(id, found.values()))
        others = self.other.weight_modules().items()
        return found | {f"second.{name}": each for name, each in others if id(each) not in ours}
