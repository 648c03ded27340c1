"""Maps of pictures that requests ask for without a drawing."""

from __future__ import annotations

import functools
import io

from PIL import Image

from diffusion.control.hints import make_map
from diffusion.errors import DiffusionError, SettingsError
from diffusion.server.engine.messages import MakeMap, MapFailed, MapMade
from diffusion.server.worker.mailbox import Mailbox
from gpucore import Device, DeviceLostError, GpuError

__all__ = ["send_map"]


def send_map(task: MakeMap, device: Device, mailbox: Mailbox) -> None:
    """Make a map and send it, or tell why not. Raises `DeviceLostError`."""
    try:
        image = task.control.image
        if image is None:
            raise SettingsError("control image", None, "give a picture")
        made = make_map(device, task.control, image, task.size)
    except DeviceLostError:
        raise
    except (DiffusionError, GpuError) as error:
        failed = MapFailed(task.number, str(error), isinstance(error, SettingsError))
        mailbox.send(failed)
    else:
        mailbox.send_later(functools.partial(_message, task.number, made))


def _message(number: str, image: Image.Image) -> MapMade:
    file = io.BytesIO()
    image.save(file, "PNG", compress_level=1)
    return MapMade(number, file.getvalue())
