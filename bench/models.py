"""Rows of whole models: their names, and what they should reach on one NVIDIA H200.

A floor is the time that the arithmetic takes at 790 TFLOP/s or the bytes at 4.3 TB/s, whichever is
longer, operation by operation (activations in f16, batch 2 for guidance, keys and values of the
prompt made once).
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
    """One call of the UNet for one image with guidance."""
    return f"{model}: UNet {size}x{size}, batch 2"


def guided_row(model: str, size: int) -> str:
    """The same of one latent: up to the first attention to the prompt, both rows are one."""
    return f"{model}: UNet {size}x{size}, one latent with guidance"


def host_row(model: str) -> str:
    """The host's part of it: submitting the captured call."""
    return f"{model}: host time of a replayed UNet"


def vae_row(model: str, size: int) -> str:
    """One decoding, to grey levels."""
    return f"{model}: VAE decode {size}x{size}"


def decoded_sizes(size: int) -> tuple[int, ...]:
    """The sizes of decodings that are timed: twice the size, too, where that is usual."""
    return (size, 2 * size) if size <= 512 else (size,)


def image_row(model: str, size: int, steps: int) -> str:
    """From the prompt to pixels."""
    return f"{model}: image {size}x{size}, {steps} steps"


def cold_row(model: str, *, cached: bool) -> str:
    """From the start of a process to its first step, without reading the weights."""
    return f"{model}: first step, {'pipelines cached' if cached else 'nothing cached'}"


def command_row(model: str, size: int, steps: int, *, cached: bool) -> str:
    """From the start of the command to its end: Python, the driver, weights, picture and file."""
    told = f"{size}x{size}, {steps} steps, {'kernels' if cached else 'nothing'} cached"
    return f"{model}: whole command avila txt2img {told}"


@dataclass(frozen=True)
class Goal:
    """What a row should reach under one engine (any if None); ``floor`` in seconds."""

    row: str
    target: Target
    floor: float | None = None
    engine: str | None = None


def _most(seconds: float) -> Target:
    return Target("seconds", seconds)


GOALS = (
    Goal(unet_row(SD15, 512), _most(10e-3), 2.1e-3, "dawn"),
    Goal(unet_row(SD15, 512), _most(45e-3), 2.1e-3, "wgpu"),
    Goal(unet_row(SDXL, 1024), _most(56e-3), 17e-3, "dawn"),
    Goal(vae_row(SD15, 512), _most(8.5e-3), 3.2e-3, "dawn"),
    Goal(vae_row(SD15, 1024), _most(36e-3), 13.4e-3, "dawn"),
    Goal(image_row(SD15, 512, 20), _most(0.215), 50e-3, "dawn"),
    Goal(host_row(SD15), _most(1e-3), engine="dawn"),
    Goal(host_row(SD15), _most(1e-3), engine="wgpu"),
    Goal(cold_row(SD15, cached=True), _most(4.0)),
    Goal(cold_row(SD15, cached=False), _most(25.0)),
)


def goal_of(row: str, engine: str) -> Goal | None:
    """The goal of a row under an engine, if it has one."""
    found = (g for g in GOALS if g.row == row and g.engine in (None, engine))
    return next(found, None)
