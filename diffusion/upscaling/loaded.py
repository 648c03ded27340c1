"""The upscalers of a device: found by name, loaded once, given back when others come."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import replace
from pathlib import Path
from typing import Final

from PIL import Image

from diffusion.checkpoints.safetensors.regular_file import identity_of
from diffusion.errors import SettingsError
from diffusion.images import to_rgb
from diffusion.models.module import Module
from diffusion.settings import Settings
from diffusion.tasks import Hires, InitImage, is_network_upscaler
from diffusion.upscaling.enlarging import enlarge_image
from diffusion.upscaling.folder import UpscalerFolder
from diffusion.upscaling.network import UpscalerNetwork
from gpucore import Device, DType

__all__ = ["LoadedUpscalers"]

MOST_LOADED: Final = 2


class LoadedUpscalers:
    """Upscalers by name or path; the two used last stay loaded. ``folder``: where names are."""

    def __init__(self, device: Device, dtype: type[DType], folder: UpscalerFolder) -> None:
        self.folder = folder
        self._device, self._dtype = device, dtype
        self._loaded: OrderedDict[Hashable, UpscalerNetwork] = OrderedDict()
        self._enlarged: tuple[InitImage, tuple[int, int], Image.Image] | None = None

    def get(self, name: str | Path) -> UpscalerNetwork:
        """Return an upscaler. Raises `SettingsError` for its name, `ModelError` for its file."""
        path = self.folder.find(name)
        try:
            key: Hashable = str(path.resolve()), identity_of(path.stat())
        except (OSError, ValueError):
            raise SettingsError("upscaler", str(path), "there is no such file") from None
        if key not in self._loaded:
            while len(self._loaded) >= MOST_LOADED:
                self._loaded.popitem(last=False)[1].release()
            self._loaded[key] = UpscalerNetwork.load(path, self._device, self._dtype)
        self._loaded.move_to_end(key)
        return self._loaded[key]

    def weight_modules(self) -> dict[str, Module]:
        """Return the networks in memory by their names."""
        return {f"upscaler {each.name}": each.network for each in self._loaded.values()}

    def of(self, hires: Hires) -> UpscalerNetwork | None:
        """Return the network of a second pass; None where it is a filter. Raises as `get`."""
        return self.get(hires.upscaler) if is_network_upscaler(hires.upscaler) else None

    def with_larger_init_image(self, complete: Settings) -> Settings:
        """Return complete settings whose init image has been enlarged by its upscaler.

        One that has none, or is large enough, stays as it is. The last one is kept. Raises as
        `get` and `enlarge_image`.
        """
        init, size = complete.init_image, (complete.width or 0, complete.height or 0)
        if init is None or init.upscaler is None:
            return complete
        scale = max(new / old for new, old in zip(size, init.image.size, strict=True))
        if scale <= 1:
            return complete
        kept = self._enlarged
        if kept is None or kept[0] is not init or kept[1] != size:
            width, height = (round(side * scale) for side in init.image.size)
            network = self.get(init.upscaler)
            larger = enlarge_image(to_rgb(init.image), (width, height), network)
            kept = self._enlarged = init, size, larger
        return replace(complete, init_image=replace(init, image=kept[2]))

    def release(self) -> None:
        """Give the memory of all upscalers back."""
        while self._loaded:
            self._loaded.popitem()[1].release()
        self._enlarged = None
