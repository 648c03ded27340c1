"""Time a full-size ControlNet of random weights beside the UNet whose copy it is.

    python -m tools.full_size.control [--model sd15|sdxl] [--size 512] [--device dawn]
    python -m tools.full_size.control --folder models/emoji --size 256 --device cpu

A call of the UNet alone and one with the ControlNet are captured and timed in the same run, for one
picture with guidance: medians on a busy device. What the ControlNet costs is their difference, as a
share of the first. Its picture is read once a run, and is not in it.
"""

from __future__ import annotations

import functools
from typing import Any, Final

import numpy as np

from bench.measure import replay_seconds
from diffusion.models.control_config import ControlNetConfig
from diffusion.models.controlnet import ControlNet
from diffusion.models.module import load
from diffusion.models.unet import Residuals
from gpucore import Buffer, Device
from gpustd import multiply
from tools.full_size.random_folder import draw_weight
from tools.full_size.unets import PARTS, Inputs, Loaded, chosen_unet, unet_parser

__all__ = ["main"]

_HINT_CHANNELS: Final = (16, 32, 96, 256)


class Calls:
    """Captured calls of a UNet, without and with a ControlNet."""

    def __init__(self, device: Device, loaded: Loaded, size: int) -> None:
        self._device, self._loaded = device, loaded
        self._inputs = inputs = Inputs(device, loaded, size)
        config = ControlNetConfig(loaded.config, 3, _HINT_CHANNELS, "rgb", pools=False)
        self._control = ControlNet(config)
        shapes = {name: each.shape for name, each in self._control.parameters()}
        load(self._control, functools.partial(draw_weight, shapes), device, loaded.dtype)
        self._hint = self._control.read_picture(inputs.draw(1, size, size, 3))
        self._factor = inputs.draw(1, 1, 1, 1)
        networks, vectors = (loaded.network, self._control), inputs.vectors
        self._prompts = [each.prompt_keys(inputs.text) for each in networks]
        self._added = [None if vectors is None else each.embed_added(vectors) for each in networks]

    def seconds(self, *, led: bool) -> float:
        """Return the time of a call; ``led``: with the ControlNet."""
        with self._device.capture() as graph:
            output = self._call(led=led)
        graph.replay()
        if not np.isfinite(output.read().astype(np.float32)).all():
            raise SystemExit("the call makes infinities or NaN")
        seconds = replay_seconds(self._device, graph)
        graph.release()
        return seconds

    def _call(self, *, led: bool) -> Buffer[Any]:
        return self._loaded.network(
            self._inputs.latents,
            self._inputs.time,
            self._prompts[0],
            parts=PARTS,
            added=self._added[0],
            residuals=self._residuals() if led else None,
        )

    def _residuals(self) -> Residuals:
        """Return what the ControlNet adds, times a factor, as drawings have it."""
        found = self._control(
            self._inputs.latents,
            self._inputs.time,
            self._prompts[1],
            self._hint,
            parts=PARTS,
            added=self._added[1],
        )
        assert found.middle is not None
        skips = [multiply(each, self._factor) for each in found.skips]
        return Residuals(skips, multiply(found.middle, self._factor))


def main(arguments: list[str] | None = None) -> None:
    """Measure as the command line says."""
    options = unet_parser("tools.full_size.control", __doc__, "sd15").parse_args(arguments)
    with chosen_unet(options) as (device, loaded, size):
        calls = Calls(device, loaded, size)
        alone, led = calls.seconds(led=False), calls.seconds(led=True)
        print(f"call of the UNet alone: {1e3 * alone:.2f} ms")
        print(f"with a ControlNet: {1e3 * led:.2f} ms")
        print(f"the ControlNet: {led / alone - 1:.3f} of a call")


if __name__ == "__main__":
    main()
