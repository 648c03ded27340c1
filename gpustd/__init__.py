# ruff: noqa: F403 (this one file joins the names of gpustd.arrays to its own)
"""Operations over GPU buffers: pure functions of their arguments that allocate their results.

At the top: arrays, with NumPy's names, and the operations of neural networks that Stable Diffusion
is made of. In packages beside them: ``gpustd.image``, ``gpustd.linalg``, ``gpustd.nn``,
``gpustd.random`` and ``gpustd.signal``, named as in SciPy and PyTorch.

Law: each operation has one stem in five places (code, shaders, NumPy reference, test, benchmark);
those of the library's packages have NumPy and SciPy for a reference. Sums run in f32 (what
`winograd_conv2d` sums is rounded once between), in an order that the sizes of one image fix, so
that an image does not change with its batch. Images are (N, H, W, C), tokens (N, S, C), weights
(K, N) and (kh, kw, C, Cout).

The examples in docstrings assume NumPy as ``np``, ``gpustd`` and its packages, ``Device``
and the dtypes of ``gpucore``. ``device`` is any device, such as ``Device.auto()``.
"""

from gpucore.algebra.provider import register
from gpustd import arrays
from gpustd.arrays import *
from gpustd.arrays.elementwise.conversion import cast
from gpustd.arrays.elementwise.linear_combinations import (
    combine_into,
    guidance,
    linear_combination,
)
from gpustd.arrays.folds.nonfinite import count_nonfinite
from gpustd.arrays.moving.blocks import repeat_batch, slice_axis
from gpustd.image.quantisation import to_image
from gpustd.matmul.conv import fused_conv2d
from gpustd.matmul.dense import gemm, wide_gemm
from gpustd.matmul.quantized import QuantizedWeight
from gpustd.matmul.upsampling import upsampling_conv2d, upsampling_weights
from gpustd.matmul.winograd import winograd_conv2d, winograd_weights
from gpustd.nn import (
    attention,
    conv2d,
    embedding,
    group_norm,
    layer_norm,
    self_attention,
    softmax,
    upsample_nearest,
)
from gpustd.operators import OPERATIONS

__all__ = [
    "QuantizedWeight",
    "attention",
    "cast",
    "combine_into",
    "conv2d",
    "count_nonfinite",
    "embedding",
    "fused_conv2d",
    "gemm",
    "group_norm",
    "guidance",
    "layer_norm",
    "linear_combination",
    "repeat_batch",
    "self_attention",
    "slice_axis",
    "softmax",
    "to_image",
    "upsample_nearest",
    "upsampling_conv2d",
    "upsampling_weights",
    "wide_gemm",
    "winograd_conv2d",
    "winograd_weights",
]
__all__ += arrays.__all__

# Buffers ask gpucore for their operators, which knows none of its own.
register(OPERATIONS)
