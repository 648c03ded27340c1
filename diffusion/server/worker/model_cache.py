"""Models in a device's memory: kept while they fit, the one that rested longest leaves first."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

from diffusion.pipeline.pipeline import Pipeline
from diffusion.server.engine.messages import LoadedModel
from gpucore import Device, OutOfMemoryError

__all__ = ["Load", "ModelCache"]

Load = Callable[[Path, Device], Pipeline]


class ModelCache:
    """Pipelines by the path of their model.

    A model's bytes are what loading it took from the device. ``budget``: the most bytes of all
    models together; None for as much as the device gives. The model in use always stays.
    """

    def __init__(self, device: Device, load: Load, budget: int | None = None) -> None:
        self._device, self._load, self._budget = device, load, budget
        self._pipelines: OrderedDict[Path, Pipeline] = OrderedDict()
        self._bytes: dict[Path, int] = {}

    def __contains__(self, model: Path) -> bool:
        return model in self._pipelines

    @property
    def pipelines(self) -> tuple[Pipeline, ...]:
        """The pipelines in memory, the one used last at the end."""
        return tuple(self._pipelines.values())

    @property
    def models(self) -> tuple[LoadedModel, ...]:
        """The models in memory, the one used last at the end."""
        return tuple(LoadedModel(path, self._bytes[path]) for path in self._pipelines)

    def get(self, model: Path) -> Pipeline:
        """Return a model's pipeline, loaded if need be. Raises as `Pipeline.load`.

        Where the device has no room, the others leave one by one and it is tried again.
        """
        if model not in self._pipelines:
            while True:
                try:
                    self._add(model)
                    break
                except OutOfMemoryError:
                    if not self._pipelines:
                        raise
                    self._drop_oldest()
        self._pipelines.move_to_end(model)
        self._shrink()
        return self._pipelines[model]

    def _add(self, model: Path) -> None:
        before = self._device.memory.live
        pipeline = self._load(model, self._device)
        self._pipelines[model] = pipeline
        self._bytes[model] = self._device.memory.live - before

    def _shrink(self) -> None:
        """Let the oldest leave until the rest fits the budget."""
        while (
            self._budget is not None
            and sum(self._bytes.values()) > self._budget
            and len(self._pipelines) > 1
        ):
            self._drop_oldest()

    def _drop_oldest(self) -> None:
        self.drop(next(iter(self._pipelines)))

    def drop(self, model: Path | None = None) -> None:
        """Let a model leave, or all if None."""
        for path in [model] if model is not None else list(self._pipelines):
            pipeline = self._pipelines.pop(path, None)
            if pipeline is not None:
                pipeline.close()
                self._bytes.pop(path)
        self._device.trim()
