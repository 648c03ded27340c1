"""The matrix product behind dense layers and convolutions, and its variants.

Law: there is one family of kernels. A convolution only changes the addresses of the left operand.

How it works:

- The left operand is a list of segments, runs of consecutive elements. A dense product has one, a
  convolution one for each tap and source. So a convolution is never unrolled into a matrix:
  padding, stride, enlarging and a second source are address arithmetic in
  ``shaders/matmul/conv/pixels.wgsl``.
- Bias, time embedding, activation, GEGLU and residual are one epilogue, in
  ``shaders/matmul/gemm/operands.wgsl``.
- K is cut into parts where there are few tiles: by workgroups, whose sums a second launch adds, or
  by teams of subgroups in one workgroup. The number of parts follows from one image, so that bits
  do not change with the batch. A batch of products never splits K.
- On NVIDIA's cards some tiles have subgroups that only load (``loaders.wgsl``). Loaders and
  multipliers are two loops that meet at barriers, so that neither holds the other's registers. No
  software renderer can run that: the tests run it in `gpucore.interpreter`.
- Convolutions of 3 x 3 go through Winograd's blocks where `winograd_block` says that this is
  quicker.
- On software renderers a kernel is compiled on the CPU that also runs it, about a second each.
  There, what is fused and the size of a window are uniforms instead of template variables, and the
  epilogue is a loop.
"""

from gpustd.matmul.conv import fused_conv2d
from gpustd.matmul.dense import gemm, wide_gemm
from gpustd.matmul.upsampling import upsampling_conv2d, upsampling_weights
from gpustd.matmul.winograd import winograd_conv2d, winograd_weights

__all__ = [
    "fused_conv2d",
    "gemm",
    "upsampling_conv2d",
    "upsampling_weights",
    "wide_gemm",
    "winograd_conv2d",
    "winograd_weights",
]
