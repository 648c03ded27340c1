"""`PlacedModel`: a model whose weights lie where a run fits the budget, and its plans."""

from __future__ import annotations

from collections.abc import Generator
from typing import Final, Self

from diffusion.memory import EVERYTHING, MemoryPlan, Placement
from diffusion.models.module import Module
from diffusion.pipeline.control import LoadedControls
from diffusion.pipeline.events import Event
from diffusion.pipeline.image_prompts import LoadedImagePrompts
from diffusion.pipeline.loading import place_networks
from diffusion.pipeline.lora import Loras
from diffusion.pipeline.memory.budget import MemoryBudget
from diffusion.pipeline.memory.copying import with_copy_rate
from diffusion.pipeline.memory.run_key import RunKey
from diffusion.pipeline.networks import Networks
from diffusion.pipeline.run_queue import queue_of
from diffusion.settings import Defaults, Settings
from diffusion.upscaling import LoadedUpscalers
from gpucore import Device, OutOfMemoryError

__all__ = ["PlacedModel"]

_NO_WEIGHTS: Final = (
    "the model's weights found no room on the device: draw again when no other drawing is under way"
)


class PlacedModel:
    """The networks of a pipeline, their budget of memory, and the plans that fit it."""

    networks: Networks
    defaults: Defaults
    loras: Loras
    controls: LoadedControls
    image_prompts: LoadedImagePrompts
    upscalers: LoadedUpscalers
    memory: MemoryBudget

    @property
    def device(self) -> Device:
        """The device that the model runs on."""
        return self.networks.device

    def generate(self, settings: Settings) -> Generator[Event]:
        """Make pictures, event by event."""
        raise NotImplementedError

    def release(self) -> None:
        """Give back what is kept for the next run."""
        raise NotImplementedError

    def twin(self, device: Device, placement: Placement = EVERYTHING) -> Self:
        """Load the same model on another device."""
        raise NotImplementedError

    def memory_key(self, complete: Settings) -> RunKey:
        """Return what the memory of a run depends on. Raises as `generate`."""
        raise NotImplementedError

    def weight_modules(self) -> dict[str, Module]:
        """Return all networks in memory by name, those beside the model's own, too."""
        others = self.controls, self.image_prompts, self.upscalers
        found = self.networks.weight_modules()
        return found | {name: each for o in others for name, each in o.weight_modules().items()}

    def plan(self, settings: Settings) -> MemoryPlan:
        """Return the memory that a run with these settings takes; nothing is computed.

        Raises `SettingsError` as `generate` does, and `gpucore.OutOfMemoryError` where no placement
        of the weights fits the budget.
        """
        complete = settings.with_defaults(self.defaults)
        return with_copy_rate(self.memory.fit(self, self.device, complete).plan, self.device)

    def place(self, complete: Settings) -> None:
        """Have the weights lie where a run fits the budget, unless another run is under way.

        Raises `gpucore.OutOfMemoryError` where no placement fits, or what else is on the device
        leaves no room for it.
        """
        queue = queue_of(self.device)
        with queue.turn:
            placement = self.networks.placement
            if self.memory.nbytes is not None and queue.is_idle:
                placement = self.memory.fit(self, self.device, complete).placement
            self.lay(placement)

    def is_placed(self, placement: Placement) -> bool:
        """Tell whether the weights lie so."""
        return placement == self.networks.placement and self.networks.is_loaded

    def lay(self, placement: Placement) -> None:
        """Have the weights lie so, where no run is under way.

        Raises `gpucore.OutOfMemoryError`: what was to be moved is loaded by the next call then.
        """
        if self.is_placed(placement):
            return
        if not queue_of(self.device).is_idle:
            raise OutOfMemoryError(_NO_WEIGHTS)
        self.release()
        self.loras.forget()
        self.networks = place_networks(self.networks, placement)
