"""The adapters that settings and prompts name, in a model while a run needs them."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from functools import cached_property
from pathlib import Path
from typing import Final, NamedTuple, Protocol, TypeVar

from diffusion.adapters import (
    AdaptedModel,
    AdaptedPart,
    Adapter,
    Lora,
    LoraFolder,
    MergedAdapter,
    Merger,
    hash_of_file,
    open_adapter,
)
from diffusion.adapters.block_weights import misses_blocks
from diffusion.adapters.rank_bank import is_low_rank
from diffusion.adapters.rank_slots import RankSlots
from diffusion.adapters.tags import read_tags
from diffusion.checkpoints.hub import find_model
from diffusion.checkpoints.safetensors.regular_file import FileIdentity
from diffusion.checkpoints.single_file.module_names import unet_names
from diffusion.errors import SettingsError
from diffusion.infotext.to_settings import LORA_MODE
from diffusion.pipeline.events import Stage
from diffusion.pipeline.lora.chosen import ChosenLora
from diffusion.pipeline.lora.mode import LoraMode, is_short
from diffusion.pipeline.lora.run_loras import ChosenKey, RunLoras
from diffusion.pipeline.networks import Networks
from diffusion.pipeline.run_cache import RunCache
from diffusion.settings import Settings

__all__ = ["Loras"]

E = TypeVar("E")
R = TypeVar("R")

_MOST_OPEN: Final = 32
"""Files whose headers are kept."""
_log: Final = logging.getLogger(__name__)


class PassWithLoras(Protocol):
    """A pass, as far as adapters beside the layers go."""

    @property
    def loras(self) -> RunLoras | None:
        """The adapters."""
        ...

    def lora_sets(self) -> set[ChosenKey]:
        """Return the keys of all sets of them, at any step."""
        ...


class _Plan(NamedTuple):
    """The adapters of a run that change a weight: those that are merged, and those beside."""

    merged: ChosenKey = ()
    beside: ChosenKey = ()


class Loras:
    """The adapters that a model is drawn with. ``folder``: where the names in prompts are found.

    ``mode``: how they are applied, see `LoraMode`. Those that are not low rank are merged in any.
    """

    def __init__(
        self, networks: Networks, cache: RunCache, folder: LoraFolder, mode: LoraMode = "auto"
    ) -> None:
        self.folder = folder
        self.mode = mode
        self._networks = networks
        self._cache = cache
        self._merged: ChosenKey = ()
        self._users = 0
        self._hashes: dict[tuple[Path, FileIdentity], str] = {}
        self._open: dict[tuple[Path, FileIdentity], Adapter] = {}
        self._told: _Plan | None = None

    @contextmanager
    def use(self, settings: Settings, passes: Sequence[PassWithLoras] = ()) -> Iterator[None]:
        """Have the adapters of settings in the model for a run, which ends with the context.

        They stay there for the next run. ``passes``: of the run, whose adapters beside the layers
        are needed. Raises `SettingsError` for names that are not found, and where another run with
        other merged adapters is under way; `ModelError` for files.
        """
        plan = self._plan(settings)
        if plan.merged != self._merged:
            if self._users:
                hint = "another run with other LoRAs is under way; finish or close it first"
                raise SettingsError("loras", [each.path.name for each in plan.merged], hint)
            self._merge(plan.merged)
        self._tell(plan)
        ours = [each for each in passes if each.loras and each.loras.slots is self._slots]
        sets = {key: self._adapters(key) for each in ours for key in each.lora_sets()}
        self._users += 1
        try:
            if sets:
                with self._slots.hold(sets):
                    yield
            else:
                yield
        finally:
            self._users -= 1

    def merging(self, settings: Settings) -> ChosenKey:
        """Return the adapters that are merged. Runs with others cannot be under way together.

        Raises as `use`.
        """
        return self._plan(settings).merged

    def beside(self, settings: Settings) -> RunLoras | None:
        """Return the adapters that stand beside the layers, None for none. Raises as `use`."""
        chosen = self._plan(settings).beside
        return RunLoras(self._slots, chosen) if chosen else None

    def release(self) -> None:
        """Give the memory of adapters beside the layers back, unless a run is under way."""
        if "_slots" in self.__dict__ and not self._users:
            self._slots.release()

    def forget(self) -> None:
        """Take the weights for those of the model's files, as they are after they were loaded."""
        self._merged = ()
        self.__dict__.pop("_merger", None)

    def events(
        self,
        settings: Settings,
        passes: Sequence[PassWithLoras],
        make: Callable[[], Generator[E, R, None]],
    ) -> Generator[E | Stage, R, None]:
        """Yield the events of ``make()``, a run with these settings. Raises as `use`."""
        before = self._told
        with self.use(settings, passes), closing(make()) as events:
            if self._told is not None and self._told != before:
                if self._told.merged:
                    yield Stage("drawing with merged LoRAs")
                if self._told.beside:
                    yield Stage("drawing with LoRAs at run time")
            yield from events

    def files(self, settings: Settings) -> list[Path]:
        """Return the files of a run's adapters. Raises `SettingsError` for one that is missing."""
        return [each.path for _, each in self._choose(settings)]

    def fields(self, settings: Settings) -> dict[str, str]:
        """Return the fields of an infotext about a run's adapters: hashes, and how they count."""
        hashes = {name: self._hash(each) for name, each in self._choose(settings)}
        pairs = ", ".join(f"{name}: {digest}" for name, digest in hashes.items())
        fields = {"Lora hashes": pairs} if pairs else {}
        plan = self._plan(settings)
        if plan.merged or plan.beside:
            mode: LoraMode = "merge" if plan.merged else "runtime"
            fields[LORA_MODE] = mode
        return fields

    def _choose(self, settings: Settings) -> list[tuple[str, ChosenLora]]:
        """Return names and files. Raises `SettingsError` for names that are not found."""
        found: list[tuple[Lora, Path]] = []
        if self.folder:
            found += [
                (each, self.folder.find(str(each.file))) for each in read_tags(settings.prompt)
            ]
        for each in settings.loras:
            path = find_model(each.file) if each.is_path else self.folder.find(str(each.file))
            found.append((each, path))
        return [(lora.name, ChosenLora.of(lora, path)) for lora, path in found]

    def _plan(self, settings: Settings) -> _Plan:
        """Return which adapters of complete settings are merged, and which stand beside."""
        chosen = tuple(each for _, each in self._choose(settings) if each.text or each.unet)
        timed = [each.path.stem for each in chosen if each.is_timed]
        if chosen and self._must_stand_beside:
            return self._plan_beside(chosen)
        if not chosen or self.mode == "merge":
            if timed:
                hint = "merged LoRAs count in all steps; take --lora-mode auto or runtime"
                raise SettingsError("lora start", timed[0], hint)
            return _Plan(merged=chosen)
        if self.mode == "auto" and not timed and not is_short(settings):
            return _Plan(merged=chosen)
        adapters = self._adapters(chosen)
        if is_low_rank(adapters, self._slots.layers):
            return _Plan(beside=chosen)
        if timed:
            names = ", ".join(sorted({kind for each in adapters for kind in each.adapter.kinds}))
            hint = f"LoRAs that are merged ({names}) count in all steps; leave start and stop out"
            raise SettingsError("lora start", timed[0], hint)
        return _Plan(merged=chosen)

    def _plan_beside(self, chosen: ChosenKey) -> _Plan:
        """Return adapters beside quantised weights. Raises `SettingsError` where they cannot be."""
        names = ", ".join(sorted(each.path.stem for each in chosen))
        if self.mode == "merge":
            hint = "quantised weights take none; take --lora-mode auto, or load with --weights f16"
            raise SettingsError("lora mode", self.mode, hint)
        if not is_low_rank(self._adapters(chosen), self._slots.layers):
            hint = "beside quantised weights must be low rank; load the model with --weights f16"
            raise SettingsError("loras", names, hint)
        return _Plan(beside=chosen)

    def _tell(self, plan: _Plan) -> None:
        """Say once how the adapters are applied; warn where that is not what was asked for."""
        if plan == self._told:
            return
        self._told = plan
        for each in (*plan.merged, *plan.beside):
            self._warn_of_missing_blocks(each)
        for each in plan.beside:
            _log.info("%s is applied beside the layers, as they are called", each.path.stem)
        for each in plan.merged:
            _log.info("%s is merged into the weights", each.path.stem)
            if self.mode == "runtime":
                message = f"{each.path.stem} is merged into the weights: not all is low rank"
                warnings.warn(message, UserWarning, stacklevel=2)

    def _warn_of_missing_blocks(self, chosen: ChosenLora) -> None:
        """Warn of weights of blocks that leave out some of this model's."""
        blocks, is_xl = chosen.layers.blocks, self._networks.folder.is_xl
        if blocks is not None and misses_blocks(blocks, is_xl=is_xl):
            ours = "12 or 20 are for SDXL" if is_xl else "17 or 26 are for this model"
            message = f"lbw of {chosen.path.stem} has {len(blocks)} numbers, and {ours}: "
            message += "blocks without a number stay as they are"
            warnings.warn(message, UserWarning, stacklevel=2)

    def _hash(self, chosen: ChosenLora) -> str:
        key = chosen.path, chosen.identity
        if key not in self._hashes:
            self._hashes[key] = hash_of_file(chosen.path)
        return self._hashes[key]

    def _merge(self, chosen: ChosenKey) -> None:
        """Open all files, then merge them; drop what was computed from other weights."""
        merged = self._adapters(chosen)
        self._cache.release()
        self._networks.release()
        self.release()
        self._merged = ()
        self._merger.merge(merged)
        self._merged = chosen

    def _adapters(self, chosen: ChosenKey) -> list[MergedAdapter]:
        """Return opened files with their strengths. Raises `ModelError`, `SettingsError`."""
        config = self._networks.folder.unet
        names = unet_names(config.down_block_types, config.up_block_types, config.layers_per_block)
        found = []
        for each in chosen:
            adapter = self._open_file(each)
            found.append(
                MergedAdapter(adapter, each.text, each.unet, each.layers, each.rank, names)
            )
        return found

    def _open_file(self, chosen: ChosenLora) -> Adapter:
        key = chosen.path, chosen.identity
        found = self._open.pop(key, None) or open_adapter(chosen.path, self._model)
        self._open[key] = found
        while len(self._open) > _MOST_OPEN:
            del self._open[next(iter(self._open))]
        return found

    @cached_property
    def _must_stand_beside(self) -> bool:
        """Tell whether weights are quantised: nothing can be merged into them."""
        return self._networks.has_quantized_weights

    @cached_property
    def _parts(self) -> dict[str, AdaptedPart]:
        networks, folder = self._networks, self._networks.folder
        encoders = zip(folder.text_encoders, networks.text.encoders, strict=True)
        parts: dict[str, AdaptedPart] = {
            part: AdaptedPart(encoder.network, folder.weights(part), networks.dtype)
            for part, encoder in encoders
        }
        unet = AdaptedPart(networks.unet, folder.weights("unet"), networks.dtype)
        return {"unet": unet, **parts}

    @cached_property
    def _model(self) -> AdaptedModel:
        networks = {part: each.network for part, each in self._parts.items()}
        return AdaptedModel.of(networks, self._networks.folder.unet)

    @cached_property
    def _merger(self) -> Merger:
        return Merger(self._networks.device, self._parts)

    @cached_property
    def _slots(self) -> RankSlots:
        return RankSlots(self._networks.device, self._parts, self._drop_graphs)

    def _drop_graphs(self) -> None:
        """Give captured networks back that wait for another run."""
        self._cache.denoisers.release()
        self._cache.shared.release()
        self._networks.text.release()
