"""The control networks of a pipeline: found by name, loaded once, given back for others."""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Sequence
from pathlib import Path

from diffusion.checkpoints.control import find_file, open_control, short_hash
from diffusion.checkpoints.safetensors.regular_file import identity_of
from diffusion.control import Control, ControlFolder
from diffusion.errors import SettingsError
from diffusion.infotext.controls import control_text
from diffusion.models.module import Module, load
from diffusion.pipeline.control.unit import ControlledModel, ControlNetwork, make_network
from gpucore import OutOfMemoryError

__all__ = ["LoadedControls", "file_key"]


class LoadedControls:
    """The control networks that a model is drawn with. ``folder``: where names are found.

    ``forget``: drop what was captured with networks that are given back. ``budget``: bytes of
    networks that may stay; those of the last run always do. None for all that the device holds.
    ``make_room``: give back something else on the device; False where there is nothing.
    """

    def __init__(
        self, model: ControlledModel, folder: ControlFolder, forget: Callable[[], None]
    ) -> None:
        self.folder = folder
        self.model = model
        self.budget: int | None = 0
        self.make_room: Callable[[], bool] = lambda: False
        self._forget = forget
        self._loaded: dict[Hashable, ControlNetwork] = {}
        self._bytes: dict[Hashable, int] = {}
        self._hashes: dict[Hashable, str] = {}

    @property
    def nbytes(self) -> int:
        """Bytes of the networks in memory."""
        return sum(self._bytes[key] for key in self._loaded)

    def weight_modules(self) -> dict[str, Module]:
        """Return the networks in memory by their names."""
        return {f"control {each.name}": each.network for each in self._loaded.values()}

    def load(self, controls: Sequence[Control]) -> list[tuple[Control, ControlNetwork]]:
        """Return controls with their networks, which stay for the next run.

        Those that these do not name, and for which the budget has no room, are given back first,
        the one that rested longest before others; none where there are no controls.
        Raises `SettingsError` for names that are not found, `ModelError` for files.
        """
        places = [(each, self._find(each)) for each in controls]
        keys = {path: file_key(path) for _, path in places}
        found, named = [], set(keys.values())
        for control, path in places:
            key = keys[path]
            if key not in self._loaded:
                self._add(path, key, named)
            self._loaded[key] = self._loaded.pop(key)  # the one used last stands last
            found.append((control, self._loaded[key]))
        if places:
            self._shrink(named)
        return found

    def _add(self, path: Path, key: Hashable, named: Collection[Hashable]) -> None:
        """Load a network, and give back others until there is room for it."""
        self._shrink(named, find_file(path).stat().st_size)
        while True:
            before = self.model.device.memory.live
            try:
                self._loaded[key] = self._open(path, key)
                break
            except OutOfMemoryError:
                if not (self._drop_oldest(named) or self.make_room()):
                    raise
        self._bytes[key] = self.model.device.memory.live - before

    def _shrink(self, named: Collection[Hashable], coming: int = 0) -> None:
        """Give back networks until the rest, with bytes that are to come, fits the budget."""
        while self.budget is not None and self.nbytes + coming > self.budget:
            if not self._drop_oldest(named):
                break

    def _drop_oldest(self, named: Collection[Hashable]) -> bool:
        """Give back the network that rested longest, and is not named; tell whether there is."""
        oldest = next((key for key in self._loaded if key not in named), None)
        if oldest is None:
            return False
        self.release(keep=[key for key in self._loaded if key != oldest])
        return True

    def keys(self, controls: Sequence[Control]) -> frozenset[Hashable]:
        """Return which networks controls name. Raises `SettingsError`."""
        return frozenset(file_key(self._find(each)) for each in controls)

    def fields(self, controls: Sequence[Control]) -> dict[str, str]:
        """Return the fields of an infotext about controls."""
        texts = {}
        for number, control in enumerate(controls):
            path = self._find(control)
            key = file_key(path)
            if key not in self._hashes:
                self._hashes[key] = short_hash(find_file(path))
            name = path.stem if path.is_file() else path.name
            texts[f"ControlNet {number}"] = control_text(control, name, self._hashes[key])
        return texts

    def release(self, keep: Collection[Hashable] = ()) -> None:
        """Give back all networks but those of ``keep``, and the graphs that were captured."""
        if self._loaded:
            self._forget()
            self._loaded = {key: each for key, each in self._loaded.items() if key in keep}
            self.model.device.trim()

    def _find(self, control: Control) -> Path:
        if control.is_path:
            return Path(control.model)
        return self.folder.find(str(control.model))

    def _open(self, path: Path, key: Hashable) -> ControlNetwork:
        """Check a network's weights, then upload them."""
        opened = open_control(path, self.model.folder)
        network = make_network(opened.config)
        opened.weights.check({name: each.shape for name, each in network.parameters()})
        device = self.model.device
        with device.region("loading"):
            load(network, opened.weights.read, device, self.model.dtype)
        device.trim()
        return ControlNetwork(key, path.name, opened.config, network)


def file_key(path: Path) -> Hashable:
    """Return which file a path is, in its present state. Raises `SettingsError`."""
    try:
        return str(path.resolve()), identity_of(path.stat())
    except (OSError, ValueError):
        raise SettingsError("control model", str(path), "there is no such file") from None
