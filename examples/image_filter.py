"""Blur, sharpen and find edges of a picture; write all of them side by side.

python examples/image_filter.py [PICTURE] [RESULT]
"""

import sys

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from gpucore import Device
from gpustd import concat, image, multiply, stack

SIDE = 128


def draw_picture(side: int = SIDE) -> NDArray[np.uint8]:
    """Draw a disc on stripes over a ramp of colours: edges, flat parts and details."""
    y, x = np.mgrid[0:side, 0:side] / side
    picture = np.stack([x, y, 1 - x], -1) * 0.6
    picture[np.sin(60 * (x + y)) > 0.6] *= 0.7
    picture[np.hypot(x - 0.5, y - 0.5) < 0.3] = (1.0, 0.85, 0.2)
    picture[np.hypot(x - 0.42, y - 0.42) < 0.06] = 0.1
    return (255 * picture).astype(np.uint8)


def main(source: str = "", result: str = "image_filter.png") -> None:
    """Filter a picture file, or a drawn picture."""
    device = Device.auto()
    array = np.asarray(Image.open(source).convert("RGB")) if source else draw_picture()
    picture = device.buffer_from_array(array)  # (H, W, 3), u8

    soft = image.gaussian_blur(picture, 3.0)
    sharp = image.unsharp_mask(picture, 2.0, 1.5)
    edges = multiply(image.canny(image.rgb_to_grey(picture), 1.0), 255)  # (H, W), from 0 and 1
    strip = concat([picture, soft, sharp, stack([edges] * 3, -1)], 1)

    Image.fromarray(strip.read()).save(result)
    height, width = array.shape[:2]
    print(f"{result}: the picture, blurred, sharpened, its edges; 4 times {width}x{height}")
    print(f"contrast {array.std():.1f}, blurred {soft.read().std():.1f}, ", end="")
    print(f"sharpened {sharp.read().std():.1f}; {np.mean(edges.read() > 0):.1%} are edges")


if __name__ == "__main__":
    main(*sys.argv[1:])
