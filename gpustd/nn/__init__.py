"""Neural networks' operations under the names their users know, for inference.

Law: feature maps are channels-last, (N, L, C), (N, H, W, C) and (N, D, H, W, C), tokens (N, S, C);
weights are (K, N) and (kernel..., C / groups, Cout), biases, norms' weights and statistics f32.
f16 and f32 are computed with in f32. What `gpustd` has is used as it is, without copies.
"""

from gpustd.nn.activations import (
    elu,
    gelu,
    hardsigmoid,
    hardswish,
    leaky_relu,
    mish,
    prelu,
    quick_gelu,
    relu,
    relu6,
    selu,
    sigmoid,
    silu,
    softplus,
    tanh,
)
from gpustd.nn.attention.fused import attention, self_attention
from gpustd.nn.attention.scaled_dot_product import scaled_dot_product_attention
from gpustd.nn.conv.convolution import conv1d, conv2d, conv3d
from gpustd.nn.conv.transposed import conv_transpose1d, conv_transpose2d, conv_transpose3d
from gpustd.nn.linear_layer import linear
from gpustd.nn.norm.batch import batch_norm
from gpustd.nn.norm.group import group_norm, instance_norm
from gpustd.nn.norm.layer import layer_norm
from gpustd.nn.norm.lengths import normalize, rms_norm
from gpustd.nn.padding import pad
from gpustd.nn.pool.pooling import (
    adaptive_avg_pool2d,
    adaptive_max_pool2d,
    avg_pool1d,
    avg_pool2d,
    avg_pool3d,
    global_avg_pool,
    max_pool1d,
    max_pool2d,
    max_pool3d,
)
from gpustd.nn.probabilities import log_softmax, softmax
from gpustd.nn.resize import interpolate, pixel_shuffle, pixel_unshuffle, upsample_nearest
from gpustd.nn.tokens import embedding, one_hot

__all__ = [
    "adaptive_avg_pool2d",
    "adaptive_max_pool2d",
    "attention",
    "avg_pool1d",
    "avg_pool2d",
    "avg_pool3d",
    "batch_norm",
    "conv1d",
    "conv2d",
    "conv3d",
    "conv_transpose1d",
    "conv_transpose2d",
    "conv_transpose3d",
    "elu",
    "embedding",
    "gelu",
    "global_avg_pool",
    "group_norm",
    "hardsigmoid",
    "hardswish",
    "instance_norm",
    "interpolate",
    "layer_norm",
    "leaky_relu",
    "linear",
    "log_softmax",
    "max_pool1d",
    "max_pool2d",
    "max_pool3d",
    "mish",
    "normalize",
    "one_hot",
    "pad",
    "pixel_shuffle",
    "pixel_unshuffle",
    "prelu",
    "quick_gelu",
    "relu",
    "relu6",
    "rms_norm",
    "scaled_dot_product_attention",
    "self_attention",
    "selu",
    "sigmoid",
    "silu",
    "softmax",
    "softplus",
    "tanh",
    "upsample_nearest",
]
