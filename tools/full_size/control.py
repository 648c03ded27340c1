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
from diffusion.models.unet import Residuals, time_features
from gpucore import Buffer, Device, Graph
from gpustd import multiply
from tools.full_size.random_folder import draw_weight
from tools.full_size.unets import Loaded, chosen_unet, unet_parser

__all__ = ["main"]

_HINT_CHANNELS: Final = (16, 32, 96, 256)
_PARTS: Final = 2


class Calls:
    """Captured calls of a UNet, without and with a ControlNet."""

    def __init__(self, device: Device, loaded: Loaded, size: int) -> None:
        self._device, self._loaded = device, loaded
        self._draw = np.random.default_rng(7)
        config = loaded.config
        self._control = ControlNet(ControlNetConfig(config, 3, _HINT_CHANNELS, "rgb", pools=False))
        shapes = {name: each.shape for name, each in self._control.parameters()}
        load(self._control, functools.partial(draw_weight, shapes), device, loaded.dtype)
        side, width = size // 8, config.projection_class_embeddings_input_dim
        self._latents = self._upload(1, side, side, config.in_channels)
        self._time = device.buffer_from_array(time_features([500.0], config), loaded.dtype)
        text = self._upload(_PARTS, 77, config.cross_attention_dim)
        vectors = self._upload(_PARTS, width) if width else None
        self._hint = self._control.read_picture(self._upload(1, size, size, 3))
        self._factor = self._upload(1, 1, 1, 1)
        networks = (loaded.network, self._control)
        self._prompts = [each.prompt_keys(text) for each in networks]
        self._added = [None if vectors is None else each.embed_added(vectors) for each in networks]

    def _upload(self, *shape: int) -> Buffer[Any]:
        values = self._draw.standard_normal(shape)
        return self._device.buffer_from_array(values, self._loaded.dtype)

    def seconds(self, *, led: bool) -> float:
        """Return the time of a call; ``led``: with the ControlNet."""
        with self._device.capture() as graph:
            output = self._call(led=led)
        graph.replay()
        if not np.isfinite(output.read().astype(np.float32)).all():
            raise SystemExit("the call makes infinities or NaN")
        return self._time_graph(graph)

    def _call(self, *, led: bool) -> Buffer[Any]:
        return self._loaded.network(
            self._latents,
            self._time,
            self._prompts[0],
            parts=_PARTS,
            added=self._added[0],
            residuals=self._residuals() if led else None,
        )

    def _residuals(self) -> Residuals:
        """Return what the ControlNet adds, times a factor, as drawings have it."""
        found = self._control(
            self._latents,
            self._time,
            self._prompts[1],
            self._hint,
            parts=_PARTS,
            added=self._added[1],
        )
        assert found.middle is not None
        skips = [multiply(each, self._factor) for each in found.skips]
        return Residuals(skips, multiply(found.middle, self._factor))

    def _time_graph(self, graph: Graph) -> float:
        seconds = replay_seconds(self._device, graph)
        graph.release()
        return seconds


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
