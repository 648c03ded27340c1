"""Compress a picture with singular values: a few columns and rows in place of all pixels.

python examples/svd_compression.py [PICTURE] [RESULT]
"""

import sys

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from gpucore import Buffer, Device, f32
from gpustd import concat, image, linalg, multiply, slice_axis, transpose

RANKS = (1, 4, 16)


def draw_landscape(side: int = 64) -> NDArray[np.uint8]:
    """Draw a moon over hills."""
    y, x = np.mgrid[0:side, 0:side] / side
    picture = np.stack([0.1 + 0.3 * y, 0.1 + 0.5 * y, 0.4 + 0.4 * y], -1)
    picture[np.hypot(x - 0.65, y - 0.3) < 0.16] = (1.0, 0.95, 0.7)
    picture[y > 0.7 + 0.12 * np.sin(7 * x)] = (0.1, 0.45, 0.2)
    picture[y > 0.8 + 0.1 * np.sin(4 * x + 2)] = (0.05, 0.3, 0.15)
    return (255 * picture).astype(np.uint8)


def reduce_rank(rank: int, u: Buffer[f32], s: Buffer[f32], vh: Buffer[f32]) -> Buffer[f32]:
    """Return the best matrices of a rank: the first singular vectors and values."""
    columns = slice_axis(u, -1, 0, rank)
    values = slice_axis(s, -1, 0, rank).view((s.shape[0], 1, rank))
    return linalg.matmul(multiply(columns, values), slice_axis(vh, -2, 0, rank))


def main(source: str = "", result: str = "svd_compression.png") -> None:
    """Write the picture at increasing ranks, and the picture itself, side by side."""
    device = Device.auto()
    array = np.asarray(Image.open(source).convert("RGB")) if source else draw_landscape()
    picture = image.to_float(device.buffer_from_array(array))
    channels = transpose(picture, (2, 0, 1))  # a batch of three matrices
    u, s, vh = linalg.svd(channels, full_matrices=False)

    approximations = [reduce_rank(rank, u, s, vh) for rank in RANKS]
    strip = image.to_u8(transpose(concat([*approximations, channels], 2), (1, 2, 0)))
    Image.fromarray(strip.read()).save(result)
    height, width = array.shape[:2]
    for rank, approximation in zip(RANKS, approximations, strict=True):
        error = np.linalg.norm(approximation.read() - channels.read()) / np.linalg.norm(
            channels.read()
        )
        share = rank * (height + width + 1) / (height * width)
        print(f"rank {rank:2}: {share:4.0%} of the numbers, relative error {error:.4f}")


if __name__ == "__main__":
    main(*sys.argv[1:])
