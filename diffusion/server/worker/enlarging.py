"""Pictures that a worker enlarges by a network, without a drawing."""

from __future__ import annotations

import functools
import io

from PIL import Image

from diffusion.errors import DiffusionError, SettingsError
from diffusion.images import decode_image, to_rgb
from diffusion.pipeline.loading import best_dtype
from diffusion.server.engine.messages import Enlarge, MapFailed, MapMade
from diffusion.server.worker.mailbox import Mailbox
from diffusion.upscaling import NO_UPSCALERS, LoadedUpscalers, enlarge_image
from gpucore import Device, DeviceLostError, GpuError

__all__ = ["Enlarger"]


class Enlarger:
    """The upscalers of a worker; those used last stay loaded until models are unloaded."""

    def __init__(self, device: Device, mailbox: Mailbox) -> None:
        self._device, self._mailbox = device, mailbox
        self._loaded: LoadedUpscalers | None = None

    def enlarge(self, task: Enlarge) -> None:
        """Enlarge a picture and send it, or tell why not. Raises `DeviceLostError`."""
        try:
            if self._loaded is None:
                dtype = best_dtype(self._device)
                self._loaded = LoadedUpscalers(self._device, dtype, NO_UPSCALERS)
            image = to_rgb(decode_image(task.png, "image"))
            larger = enlarge_image(image, task.size, self._loaded.get(task.upscaler))
        except DeviceLostError:
            raise
        except (DiffusionError, GpuError) as error:
            text = str(error).replace(f"{task.upscaler.parent}/", "")
            failed = MapFailed(task.number, text, isinstance(error, SettingsError))
            self._mailbox.send(failed)
        else:
            self._mailbox.send_later(functools.partial(_message, task.number, larger))

    def release(self) -> None:
        """Give the memory of the upscalers back."""
        if self._loaded is not None:
            self._loaded.release()


def _message(number: str, image: Image.Image) -> MapMade:
    file = io.BytesIO()
    image.save(file, "PNG", compress_level=1)
    return MapMade(number, file.getvalue())
