"""The matrix product behind dense layers and convolutions, and its variants.

Law: there is one family of kernels. A convolution only changes the addresses of the left operand.
"""

from gpustd.matmul.conv import conv2d
from gpustd.matmul.dense import gemm, wide_gemm
from gpustd.matmul.upsampling import upsampling_conv2d, upsampling_weights
from gpustd.matmul.winograd import winograd_conv2d, winograd_weights

__all__ = [
    "conv2d",
    "gemm",
    "upsampling_conv2d",
    "upsampling_weights",
    "wide_gemm",
    "winograd_conv2d",
    "winograd_weights",
]
