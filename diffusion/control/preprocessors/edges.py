"""Maps of edges and lines, by filters alone."""

from __future__ import annotations

from typing import Any, Final

from diffusion.control.preprocessors.preprocessor import Pixels, Preprocessor, Threshold
from gpucore import Buffer, Device, u8
from gpustd import image

__all__ = ["EDGES"]


def find_canny(device: Device, pixels: Pixels, low: float, high: float) -> Any:
    """Return Canny's edges (1986), white on black."""
    edges = image.canny(_grey(device, pixels), 0.0, low, max(low, high))
    return 255 * edges.read()


def _grey(device: Device, pixels: Pixels) -> Buffer[u8]:
    return image.rgb_to_grey(device.buffer_from_array(pixels, u8))


EDGES: Final = (
    Preprocessor(
        "canny",
        "canny",
        find_canny,
        a=Threshold("Low threshold", 100, 1, 255),
        b=Threshold("High threshold", 200, 1, 255),
        kind="canny",
    ),
)
