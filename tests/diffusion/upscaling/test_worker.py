"""Pictures that a server's worker enlarges without a drawing."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import numpy as np
from PIL import Image

from diffusion.server.engine.messages import Enlarge, MapFailed, MapMade
from diffusion.server.worker.enlarging import Enlarger
from diffusion.server.worker.mailbox import Mailbox
from diffusion.upscaling import UpscalerNetwork, enlarge_image
from gpucore import Device, f16, f32
from tests.diffusion.upscaling.upscaler_files import write_upscaler


class Kept:
    """A mailbox that keeps what is sent."""

    def __init__(self) -> None:
        self.sent: list[Any] = []

    def send(self, event: Any) -> None:
        self.sent.append(event)

    def send_later(self, make: Callable[[], Any]) -> None:
        self.sent.append(make())


def test_a_picture_is_enlarged_or_told_why_not(device: Device, tmp_path: Path) -> None:
    path = write_upscaler(tmp_path, "double")
    image = Image.fromarray(np.arange(6 * 9 * 3, dtype=np.uint8).reshape(6, 9, 3))
    file = io.BytesIO()
    image.save(file, "PNG")
    mailbox = Kept()
    enlarger = Enlarger(device, cast("Mailbox", mailbox))
    enlarger.enlarge(Enlarge("1", path, file.getvalue(), (18, 12)))
    enlarger.enlarge(Enlarge("2", tmp_path / "none.safetensors", file.getvalue(), (18, 12)))
    enlarger.enlarge(Enlarge("3", path, b"", (18, 12)))
    enlarger.release()
    made, missing, damaged = mailbox.sent
    assert isinstance(made, MapMade)
    dtype = f16 if device.has_f16 and not device.is_cpu else f32
    expected = enlarge_image(image, (18, 12), UpscalerNetwork.load(path, device, dtype))
    with Image.open(io.BytesIO(made.png)) as found:
        np.testing.assert_array_equal(np.asarray(found), np.asarray(expected))
    for event, number in ((missing, "2"), (damaged, "3")):
        assert isinstance(event, MapFailed)
        assert (event.number, event.wrong_input) == (number, True)
        assert str(tmp_path) not in event.message
