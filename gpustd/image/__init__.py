"""Images on buffers: resizing, filters, edges, morphology, warps, colours, histograms.

Law: an image is (H, W), (H, W, C) or (N, H, W, C) with one to four channels, of u8 (levels 0 to
255) or f32. Names, order of arguments and borders follow SciPy's `ndimage`, and Pillow where a
function says so. Arithmetic is f32. A result of u8 is rounded once, to the nearest, ties upwards,
and clamped.

How it works:

- A kernel makes whole words of four bytes (four u8 or one f32), so that no two invocations write
  one word.
- What moves pixels is one gather by two maps that the host makes.
- Separable windows are two passes, or on GPUs one launch: an invocation goes down a short strip of
  its own words, keeps the height in registers, and gets the width from its subgroup.
- u8 becomes f32 and back by additions, or as bits of f16, since conversions are slow on GPUs. Means
  of levels are f16 sums of levels less 128: exact up to 16 taps, and rounded once.
- Canny's candidates are bits. Its components are found by union-find between blocks of 2 x 2, first
  in tiles, then across their seams. Nothing is read back.
- Medians of 5 x 5 share sorted columns between neighbours.
"""

from gpustd.image.arrange import crop, flip, pad
from gpustd.image.colour import (
    hsv_to_rgb,
    lab_to_rgb,
    linear_to_srgb,
    rgb_to_grey,
    rgb_to_hsv,
    rgb_to_lab,
    rgb_to_ycbcr,
    srgb_to_linear,
    to_float,
    to_u8,
    ycbcr_to_rgb,
)
from gpustd.image.composite import alpha_composite
from gpustd.image.filters.blur import box_blur, gaussian_blur, unsharp_mask
from gpustd.image.filters.canny_edges import canny
from gpustd.image.filters.correlation import filter2d
from gpustd.image.filters.edges import laplacian, scharr, sobel
from gpustd.image.filters.median_filter import median
from gpustd.image.filters.morphology import (
    black_tophat,
    closing,
    dilate,
    erode,
    morphological_gradient,
    opening,
    white_tophat,
)
from gpustd.image.histograms import equalise, histogram
from gpustd.image.resampling.resizing import resize
from gpustd.image.resampling.warp import affine_transform, perspective_transform, rotate

__all__ = [
    "affine_transform",
    "alpha_composite",
    "black_tophat",
    "box_blur",
    "canny",
    "closing",
    "crop",
    "dilate",
    "equalise",
    "erode",
    "filter2d",
    "flip",
    "gaussian_blur",
    "histogram",
    "hsv_to_rgb",
    "lab_to_rgb",
    "laplacian",
    "linear_to_srgb",
    "median",
    "morphological_gradient",
    "opening",
    "pad",
    "perspective_transform",
    "resize",
    "rgb_to_grey",
    "rgb_to_hsv",
    "rgb_to_lab",
    "rgb_to_ycbcr",
    "rotate",
    "scharr",
    "sobel",
    "srgb_to_linear",
    "to_float",
    "to_u8",
    "unsharp_mask",
    "white_tophat",
    "ycbcr_to_rgb",
]
