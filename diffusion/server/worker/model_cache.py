"""Models in a device's memory: kept while they fit, the one that rested longest leaves first."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Collection
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple

from diffusion.pipeline.pipeline import Pipeline
from diffusion.server.engine.messages import LoadedModel
from gpucore import Device, OutOfMemoryError

__all__ = ["Load", "LoadBeside", "ModelCache"]

Load = Callable[[Path, Device], Pipeline]
LoadBeside = Callable[[Callable[[Device], Pipeline]], Pipeline]
"""A function that loads a model, and moves weights of another one to make room for both."""
MOST_VAES: Final = 2


class _OtherVae(NamedTuple):
    """A model with another VAE, and the bytes of that."""

    pipeline: Pipeline
    nbytes: int


class ModelCache:
    """Pipelines by the path of their model.

    A model's bytes are what loading it took from the device, its control networks, image prompts'
    adapters and other VAEs. ``budget``: the most bytes of all models together; None for as much as
    the device gives. A run that needs more of them than the others leave makes others leave, too.
    The model in use always stays, and networks leave before models.
    """

    def __init__(self, device: Device, load: Load, budget: int | None = None) -> None:
        self._device, self._load, self._budget = device, load, budget
        self._pipelines: OrderedDict[Path, Pipeline] = OrderedDict()
        self._bytes: dict[Path, int] = {}
        self._vaes: dict[Path, OrderedDict[Path, _OtherVae]] = {}
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
        vaes = sum(each.nbytes for each in self._vaes.get(model, {}).values())
        pipeline = self._pipelines[model]
        leading = pipeline.controls.nbytes + pipeline.image_prompts.nbytes
        return self._bytes[model] + leading + vaes

    def get(
        self, model: Path, busy: Collection[Path] = (), beside: LoadBeside | None = None
    ) -> Pipeline:
        """Return a model's pipeline, loaded if need be. Raises as `Pipeline.load`.

        Where the device has no room, the others leave one by one and it is tried again; those that
        are ``busy`` stay. At last ``beside`` loads it, so that it fits beside these.
        """
        self._busy = {*busy, model}
        if model not in self._pipelines:
            load = partial(self._load, model)
            try:
                found = self._load_with_room(lambda: load(self._device))
            except OutOfMemoryError:
                if beside is None:
                    raise
                found = self._load_with_room(lambda: beside(load))
            self._pipelines[model], self._bytes[model] = found
        self._pipelines.move_to_end(model)
        self._keep_budget(model)
        return self._pipelines[model]

    def get_with_vae(
        self,
        model: Path,
        vae: Path | None,
        busy: Collection[Path] = (),
        beside: LoadBeside | None = None,
    ) -> Pipeline:
        """Return a model's pipeline with another VAE, or its own for None. Raises as `get`.

        A model keeps the `MOST_VAES` that it was drawn with last.
        """
        pipeline = self.get(model, busy, beside)
        if vae is None:
            return pipeline
        others = self._vaes.setdefault(model, OrderedDict())
        if vae not in others:
            others[vae] = _OtherVae(*self._load_with_room(lambda: pipeline.with_vae(vae)))
        others.move_to_end(vae)
        while len(others) > MOST_VAES:
            others.popitem(last=False)
        self._keep_budget(model)
        return others[vae].pipeline

    def _load_with_room(self, load: Callable[[], Pipeline]) -> tuple[Pipeline, int]:
        """Return what is loaded and its bytes; others leave where the device has no room."""
        while True:
            before = self._device.memory.live
            try:
                return load(), max(0, self._device.memory.live - before)
            except OutOfMemoryError:
                if not self._make_room():
                    raise

    def _keep_budget(self, model: Path) -> None:
        """Let others leave until a model fits the budget, and its networks have the rest."""
        while self._budget is not None and self._total() > self._budget and self._make_room():
            pass
        self._share_rest(model)

    def _total(self) -> int:
        return sum(map(self._size, self._pipelines))

    def _share_rest(self, model: Path) -> None:
        """Let a model's control networks have what the budget leaves for them."""
        controls = self._pipelines[model].controls
        controls.make_room = self._pipelines[model].memory.make_room = self._make_room
        controls.budget = None
        if self._budget is not None:
            controls.budget = max(0, self._budget - self._total() + controls.nbytes)

    def _make_room(self) -> bool:
        """Let the oldest networks of a model leave, or else the oldest model; False for none."""
        idle = [path for path in self._pipelines if path not in self._busy]
        for path in idle:
            if self._vaes.pop(path, None):
                self._device.trim()
                return True
            for networks in (self._pipelines[path].controls, self._pipelines[path].image_prompts):
                if networks.nbytes:
                    networks.release()
                    return True
        if idle:
            self.drop(idle[0])
        return bool(idle)

    def drop(self, model: Path | None = None) -> None:
        """Let a model leave, or all if None."""
        for path in [model] if model is not None else list(self._pipelines):
            pipeline = self._pipelines.pop(path, None)
            if pipeline is not None:
                self._vaes.pop(path, None)
                pipeline.close()
                self._bytes.pop(path)
        self._device.trim()
