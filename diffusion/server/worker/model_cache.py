"""Models in a device's memory: kept while they fit, the one that rested longest leaves first."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Collection
from pathlib import Path

from diffusion.pipeline.pipeline import Pipeline
from diffusion.server.engine.messages import LoadedModel
from gpucore import Device, OutOfMemoryError

__all__ = ["Load", "ModelCache"]

Load = Callable[[Path, Device], Pipeline]


class ModelCache:
    """Pipelines by the path of their model.

    A model's bytes are what loading it took from the device, and its control networks.
    ``budget``: the most bytes of all models together; None for as much as the device gives. The
    model in use always stays, and networks leave before models.
    """

    def __init__(self, device: Device, load: Load, budget: int | None = None) -> None:
        self._device, self._load, self._budget = device, load, budget
        self._pipelines: OrderedDict[Path, Pipeline] = OrderedDict()
        self._bytes: dict[Path, int] = {}
        self._busy: Collection[Path] = ()

    def __contains__(self, model: Path) -> bool:
        return model in self._pipelines

    @property
    def pipelines(self) -> tuple[Pipeline, ...]:
        """The pipelines in memory, the one used last at the end."""
        return tuple(self._pipelines.values())

    @property
    def models(self) -> tuple[LoadedModel, ...]:
        """The models in memory, the one used last at the end."""
        return tuple(LoadedModel(path, self._size(path)) for path in self._pipelines)

    def _size(self, model: Path) -> int:
        return self._bytes[model] + self._pipelines[model].controls.nbytes

    def get(self, model: Path, busy: Collection[Path] = ()) -> Pipeline:
        """Return a model's pipeline, loaded if need be. Raises as `Pipeline.load`.

        Where the device has no room, the others leave one by one and it is tried again; those that
        are ``busy`` stay.
        """
        self._busy = {*busy, model}
        while model not in self._pipelines:
            try:
                self._add(model)
            except OutOfMemoryError:
                if not self._make_room():
                    raise
        self._pipelines.move_to_end(model)
        while self._budget is not None and self._total() > self._budget and self._make_room():
            pass
        self._share_rest(model)
        return self._pipelines[model]

    def _total(self) -> int:
        return sum(map(self._size, self._pipelines))

    def _share_rest(self, model: Path) -> None:
        """Let a model's control networks have what the budget leaves for them."""
        controls = self._pipelines[model].controls
        controls.make_room = self._make_room
        controls.budget = None
        if self._budget is not None:
            controls.budget = max(0, self._budget - self._total() + controls.nbytes)

    def _add(self, model: Path) -> None:
        before = self._device.memory.live
        pipeline = self._load(model, self._device)
        self._pipelines[model] = pipeline
        self._bytes[model] = self._device.memory.live - before

    def _make_room(self) -> bool:
        """Let the oldest control networks leave, or else the oldest model; False for none."""
        idle = [path for path in self._pipelines if path not in self._busy]
        for path in idle:
            if self._pipelines[path].controls.nbytes:
                self._pipelines[path].controls.release()
                return True
        if idle:
            self.drop(idle[0])
        return bool(idle)

    def drop(self, model: Path | None = None) -> None:
        """Let a model leave, or all if None."""
        for path in [model] if model is not None else list(self._pipelines):
            pipeline = self._pipelines.pop(path, None)
            if pipeline is not None:
                pipeline.close()
                self._bytes.pop(path)
        self._device.trim()
