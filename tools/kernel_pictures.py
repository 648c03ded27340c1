"""Draw the pictures of docs/kernel-gallery.md with the programs of examples/kernels.

python -m tools.kernel_pictures docs/images
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from examples.kernels import fields, fractals, random_numbers, rendering
from gpucore import Device, f32, u32

HEIGHT, WIDTH = 200, 300
MOST_BYTES = 9_900

Pixels = NDArray[np.uint8]


def levels(x: NDArray[np.float32]) -> Pixels:
    """Return numbers from 0 to 1 as bytes."""
    return np.asarray(255 * x.clip(0, 1) + 0.5, np.uint8)


def colours(x: NDArray[np.float64]) -> Pixels:
    """Return numbers from 0 to 1 as colours from night over fire to white."""
    stops = np.array([[8, 8, 40], [60, 20, 110], [200, 60, 70], [250, 170, 50], [255, 255, 230]])
    at = np.linspace(0, 1, len(stops))
    return np.stack([np.interp(x, at, each) for each in stops.T], -1).astype(np.uint8)


def julia(device: Device) -> Pixels:
    """Draw a Julia set."""
    counts = device.buffer(u32, (HEIGHT, WIDTH))
    view = fractals.View((-1.65, -1.1), 0.011)  # type: ignore[arg-type]
    fractals.julia(view, (-0.8, 0.156), 200, counts)
    return colours(np.sqrt(counts.read() / 200))


def ray_trace(device: Device) -> Pixels:
    """Draw mirror balls."""
    kind = [("centre", "f4", 3), ("radius", "f4"), ("colour", "f4", 3), ("mirror", "f4")]
    balls = [
        ((-0.7, 0.0, 3.2), 0.6, (0.9, 0.3, 0.2), 0.4),
        ((0.6, 0.1, 3.6), 0.7, (0.2, 0.5, 0.9), 0.5),
        ((0.05, -0.35, 2.4), 0.3, (0.9, 0.8, 0.3), 0.3),
        ((0.0, -101.0, 3.0), 100.0, (0.5, 0.5, 0.5), 0.2),
    ]
    image = device.buffer(f32, (HEIGHT, WIDTH, 4))
    spheres = device.buffer_from_array(np.array(balls, kind))
    rendering.ray_trace(spheres, 5, image)
    return levels(image.read()[..., :3])


def black_hole(device: Device) -> Pixels:
    """Draw a black hole and its disk."""
    image = device.buffer(f32, (HEIGHT, WIDTH))
    rendering.black_hole(14.0, 500, image)
    return colours(image.read().astype(float))


def reaction_diffusion(device: Device) -> Pixels:
    """Draw what two chemicals make of a few drops."""
    u, v = np.ones((2, HEIGHT, WIDTH), np.float32)
    v[:] = 0
    for row, column in np.random.default_rng(4).integers(0, (HEIGHT - 8, WIDTH - 8), (25, 2)):
        v[row : row + 8, column : column + 8] = 0.5
    chemicals = device.buffer_from_array(u), device.buffer_from_array(v)
    _, made = fields.reaction_diffusion(*chemicals, 0.037, 0.06, 4000)
    return colours((made.read() / 0.35).clip(0, 1).astype(float))


def perlin(device: Device) -> Pixels:
    """Draw clouds of noise."""
    image = device.buffer(f32, (HEIGHT, WIDTH))
    random_numbers.perlin(0.02, 5, image)
    return levels(0.5 + 0.55 * image.read())


PICTURES: tuple[Callable[[Device], Pixels], ...] = (
    julia,
    ray_trace,
    black_hole,
    reaction_diffusion,
    perlin,
)


def save(picture: Pixels, file: Path) -> None:
    """Write WebP of the best quality that takes at most `MOST_BYTES`."""
    for quality in range(90, 0, -5):
        Image.fromarray(picture).save(file, quality=quality, method=6)
        if file.stat().st_size <= MOST_BYTES:
            return


def main() -> None:
    """Write the pictures into the folder named on the command line."""
    device = Device.auto()
    for make in PICTURES:
        file = Path(sys.argv[1]) / f"kernel-{make.__name__.replace('_', '-')}.webp"
        save(make(device), file)
        print(file, file.stat().st_size)


if __name__ == "__main__":
    main()
