"""The adapters that settings and prompts name, merged into a model while a run needs them."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from functools import cached_property
from pathlib import Path
from typing import NamedTuple, TypeVar

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
from diffusion.adapters.block_weights import check_blocks
from diffusion.adapters.tags import read_tags
from diffusion.checkpoints.safetensors.regular_file import FileIdentity, identity_of
from diffusion.checkpoints.single_file.module_names import unet_names
from diffusion.errors import SettingsError
from diffusion.pipeline.networks import Networks
from diffusion.pipeline.run_cache import RunCache
from diffusion.settings import Settings

__all__ = ["Loras"]

E = TypeVar("E")
R = TypeVar("R")


class _Chosen(NamedTuple):
    """An adapter that a run is drawn with: its file, as it is now, and its strengths."""

    path: Path
    identity: FileIdentity
    text: float
    unet: float
    blocks: tuple[float, ...] | None
    rank: int | None


class Loras:
    """The adapters that a model is drawn with. ``folder``: where the names in prompts are found."""

    def __init__(self, networks: Networks, cache: RunCache, folder: LoraFolder) -> None:
        self.folder = folder
        self._networks = networks
        self._cache = cache
        self._merged: tuple[_Chosen, ...] = ()
        self._users = 0
        self._hashes: dict[tuple[Path, FileIdentity], str] = {}

    @contextmanager
    def use(self, settings: Settings) -> Iterator[None]:
        """Merge the adapters of settings for a run, which ends with the context.

        They stay merged for the next run. Raises `SettingsError` for names that are not found, and
        where another run with other adapters is under way; `ModelError` for files.
        """
        chosen = self.merging(settings)
        if chosen != self._merged:
            if self._users:
                hint = "another run with other LoRAs is under way; finish or close it first"
                raise SettingsError("loras", [each.path.name for each in chosen], hint)
            self._merge(chosen)
        self._users += 1
        try:
            yield
        finally:
            self._users -= 1

    def merging(self, settings: Settings) -> tuple[_Chosen, ...]:
        """Return the adapters that change a weight. Runs with others cannot be under way together.

        Raises `SettingsError` as `use`.
        """
        return tuple(each for _, each in self._choose(settings) if each.text or each.unet)

    def events(
        self, settings: Settings, make: Callable[[], Generator[E, R, None]]
    ) -> Generator[E, R, None]:
        """Yield the events of ``make()``, a run with these settings. Raises as `use`."""
        with self.use(settings), closing(make()) as events:
            yield from events

    def files(self, settings: Settings) -> list[Path]:
        """Return the files of a run's adapters. Raises `SettingsError` for one that is missing."""
        return [each.path for _, each in self._choose(settings)]

    def fields(self, settings: Settings) -> dict[str, str]:
        """Return the field of an infotext with the hashes of a run's adapters."""
        hashes = {name: self._hash(each) for name, each in self._choose(settings)}
        pairs = ", ".join(f"{name}: {digest}" for name, digest in hashes.items())
        return {"Lora hashes": pairs} if pairs else {}

    def _choose(self, settings: Settings) -> list[tuple[str, _Chosen]]:
        """Return names and files. Raises `SettingsError` for names that are not found."""
        found: list[tuple[Lora, Path]] = []
        if self.folder:
            found += [
                (each, self.folder.find(str(each.file))) for each in read_tags(settings.prompt)
            ]
        for each in settings.loras:
            path = Path(each.file) if each.is_path else self.folder.find(str(each.file))
            found.append((each, path))
        return [
            (
                lora.name,
                _Chosen(
                    path,
                    _identity(path),
                    lora.weight,
                    lora.unet_weight,
                    lora.blocks,
                    lora.rank,
                ),
            )
            for lora, path in found
        ]

    def _hash(self, chosen: _Chosen) -> str:
        key = chosen.path, chosen.identity
        if key not in self._hashes:
            self._hashes[key] = hash_of_file(chosen.path)
        return self._hashes[key]

    def _merge(self, chosen: tuple[_Chosen, ...]) -> None:
        """Open all files, then merge them; drop what was computed from other weights."""
        adapters: dict[Path, Adapter] = {}
        for each in chosen:
            if each.blocks is not None:
                is_xl = self._networks.folder.is_xl
                check_blocks(each.path.stem, each.blocks, is_xl=is_xl)
            if each.path not in adapters:
                adapters[each.path] = open_adapter(each.path, self._model)
        config = self._networks.folder.unet
        names = unet_names(config.down_block_types, config.up_block_types, config.layers_per_block)
        merged = [
            MergedAdapter(adapters[each.path], each.text, each.unet, each.blocks, each.rank, names)
            for each in chosen
        ]
        self._cache.release()
        self._networks.release()
        self._merged = ()
        self._merger.merge(merged)
        self._merged = chosen

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


def _identity(path: Path) -> FileIdentity:
    """Return the state of a file."""
    try:
        return identity_of(path.stat())
    except (OSError, ValueError):
        raise SettingsError("lora", str(path), "there is no such file") from None
