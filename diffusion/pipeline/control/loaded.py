"""The control networks of a pipeline: found by name, loaded once, given back when others come."""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Sequence
from pathlib import Path

from diffusion.checkpoints.control import find_file, open_control, short_hash
from diffusion.checkpoints.safetensors.regular_file import identity_of
from diffusion.control import Control, ControlFolder
from diffusion.errors import SettingsError
from diffusion.infotext.controls import control_text
from diffusion.models.control_config import ControlNetConfig
from diffusion.models.controlnet import ControlNet
from diffusion.models.module import load
from diffusion.models.t2i_adapter import T2IAdapter
from diffusion.pipeline.control.unit import ControlledModel, ControlNetwork

__all__ = ["LoadedControls", "file_key"]


class LoadedControls:
    """The control networks that a model is drawn with. ``folder``: where names are found.

    ``forget``: drop what was captured with networks that are given back.
    """

    def __init__(
        self, model: ControlledModel, folder: ControlFolder, forget: Callable[[], None]
    ) -> None:
        self.folder = folder
        self.model = model
        self._forget = forget
        self._loaded: dict[Hashable, ControlNetwork] = {}
        self._hashes: dict[Hashable, str] = {}

    def load(self, controls: Sequence[Control]) -> list[tuple[Control, ControlNetwork]]:
        """Return controls with their networks, which stay for the next run.

        Networks that these do not name are given back first, unless there are no controls.
        Raises `SettingsError` for names that are not found, `ModelError` for files.
        """
        places = [(each, self._find(each)) for each in controls]
        keys = {path: file_key(path) for _, path in places}
        if places and any(key not in keys.values() for key in self._loaded):
            self.release(keep=set(keys.values()))
        found = []
        for control, path in places:
            key = keys[path]
            if key not in self._loaded:
                self._loaded[key] = self._open(path, key)
            found.append((control, self._loaded[key]))
        return found

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

    def _find(self, control: Control) -> Path:
        if control.is_path:
            return Path(control.model)
        return self.folder.find(str(control.model))

    def _open(self, path: Path, key: Hashable) -> ControlNetwork:
        """Check a network's weights, then upload them."""
        opened = open_control(path, self.model.folder)
        network: ControlNet | T2IAdapter = (
            ControlNet(opened.config)
            if isinstance(opened.config, ControlNetConfig)
            else T2IAdapter(opened.config)
        )
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
