"""Rows of whole models: their names, and their goals on one NVIDIA H200.

A floor is a sum over all operations: the time of the arithmetic at 790 TFLOP/s or that of the bytes
at 4.3 TB/s, whichever is longer. Activations are f16, the batch is 2 for guidance, and keys and
values of the prompt are computed once.
"""

from __future__ import annotations

from dataclasses import dataclass

from bench.entry import Target

__all__ = [
    "GOALS",
    "REFINER",
    "SD15",
    "SD21",
    "SDXL",
    "Goal",
    "cold_row",
    "command_row",
    "decoded_sizes",
    "goal_of",
    "guided_row",
    "host_row",
    "image_row",
    "unet_row",
    "vae_row",
]

SD15 = "SD 1.5"
SD21 = "SD 2.1"
SDXL = "SDXL"
REFINER = "SDXL refiner"


def unet_row(model: str, size: int) -> str:
    """Return the row of one UNet call for one image with guidance."""
    return f"{model}: UNet {size}x{size}, batch 2"


def guided_row(model: str, size: int) -> str:
    """Return the row of a UNet call with guidance that shares one latent.

    Both halves of the batch are equal up to the first attention to the prompt.
    """
    return f"{model}: UNet {size}x{size}, one latent with guidance"


def host_row(model: str) -> str:
    """Return the row of the host's time for submitting a captured UNet call."""
    return f"{model}: host time of a replayed UNet"


def vae_row(model: str, size: int) -> str:
    """Return the row of one decoding to u8 pixels."""
    return f"{model}: VAE decode {size}x{size}"


def decoded_sizes(size: int) -> tuple[int, ...]:
    """Return the sizes of decodings that are timed: twice the size, too, up to 1024."""
    return (size, 2 * size) if size <= 512 else (size,)


def image_row(model: str, size: int, steps: int) -> str:
    """Return the row of an image, from the prompt to pixels."""
    return f"{model}: image {size}x{size}, {steps} steps"


def cold_row(model: str, *, cached: bool) -> str:
    """Return the row of the first step of a fresh process, without loading the weights."""
    return f"{model}: first step, {'pipelines cached' if cached else 'nothing cached'}"


def command_row(model: str, size: int, steps: int, *, cached: bool) -> str:
    """Return the row of a whole command, from its start to its end."""
    details = f"{size}x{size}, {steps} steps, {'kernels' if cached else 'nothing'} cached"
    return f"{model}: whole command avila txt2img {details}"


@dataclass(frozen=True)
class Goal:
    """The goal of a row under one engine (any if None); ``floor`` in seconds."""

    row: str
    target: Target
    floor: float | None = None
    engine: str | None = None


def _at_most(seconds: float) -> Target:
    return Target("seconds", seconds)


GOALS = (
    Goal(unet_row(SD15, 512), _at_most(5.7e-3), 2.1e-3, "cuda"),
    Goal(unet_row(SDXL, 1024), _at_most(30e-3), 17e-3, "cuda"),
    Goal(vae_row(SD15, 512), _at_most(5.5e-3), 3.2e-3, "cuda"),
    Goal(vae_row(SD15, 1024), _at_most(23e-3), 13.4e-3, "cuda"),
    Goal(image_row(SD15, 512, 20), _at_most(0.13), 50e-3, "cuda"),
    Goal(image_row(SDXL, 1024, 20), _at_most(0.66), engine="cuda"),
    Goal(host_row(SD15), _at_most(0.05e-3), engine="cuda"),
    Goal(cold_row(SD15, cached=True), _at_most(1.5), engine="cuda"),
    Goal(cold_row(SD15, cached=False), _at_most(10.0), engine="cuda"),
    Goal(unet_row(SD15, 512), _at_most(10e-3), 2.1e-3, "dawn"),
    Goal(unet_row(SD15, 512), _at_most(45e-3), 2.1e-3, "wgpu"),
    Goal(unet_row(SDXL, 1024), _at_most(56e-3), 17e-3, "dawn"),
    Goal(vae_row(SD15, 512), _at_most(8.5e-3), 3.2e-3, "dawn"),
    Goal(vae_row(SD15, 1024), _at_most(36e-3), 13.4e-3, "dawn"),
    Goal(image_row(SD15, 512, 20), _at_most(0.215), 50e-3, "dawn"),
    Goal(host_row(SD15), _at_most(1e-3), engine="dawn"),
    Goal(host_row(SD15), _at_most(1e-3), engine="wgpu"),
    Goal(cold_row(SD15, cached=True), _at_most(4.0)),
    Goal(cold_row(SD15, cached=False), _at_most(25.0)),
)


def goal_of(row: str, engine: str) -> Goal | None:
    """Return the goal of a row under an engine, if it has one."""
    found = (g for g in GOALS if g.row == row and g.engine in (None, engine))
    return next(found, None)
