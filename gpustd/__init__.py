"""Operations over GPU buffers: pure functions of their arguments that allocate their results.

Law: each operation has one stem in five places (code, shaders, NumPy reference, test, benchmark);
sums run in f32, in an order that the sizes of one image fix, so that an image does not change with
its batch. Images are (N, H, W, C), tokens (N, S, C), weights (K, N) and (kh, kw, C, Cout).
"""

from gpustd.activation import unary
from gpustd.attention import attention, self_attention
from gpustd.cast import cast
from gpustd.conv import conv2d
from gpustd.elementwise import add, combine_into, guidance, linear_combination, multiply
from gpustd.embedding import embedding
from gpustd.gemm import gemm, wide_gemm
from gpustd.group_norm import group_norm
from gpustd.layer_norm import layer_norm
from gpustd.layout import concat, repeat_batch, slice_axis, transpose
from gpustd.softmax import softmax
from gpustd.to_image import to_image
from gpustd.upsample_nearest import upsample_nearest

__all__ = [
    "add",
    "attention",
    "cast",
    "combine_into",
    "concat",
    "conv2d",
    "embedding",
    "gemm",
    "group_norm",
    "guidance",
    "layer_norm",
    "linear_combination",
    "multiply",
    "repeat_batch",
    "self_attention",
    "slice_axis",
    "softmax",
    "to_image",
    "transpose",
    "unary",
    "upsample_nearest",
    "wide_gemm",
]
