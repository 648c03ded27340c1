"""Convolution over three axes as a matrix product, addressed by ``shaders/nn/voxels.wgsl``."""

from __future__ import annotations

import math

from gpustd.matmul.operation import Matmul
from gpustd.nn.conv.windows import Window, window_params

__all__ = ["voxel_matmul"]


def voxel_matmul(
    op: str, shape: tuple[int, ...], channels: int, window: Window, batch: int | None = None
) -> Matmul:
    """Return the matrix product whose results are ``shape`` (N, D, H, W, Cout).

    ``channels`` are those of its input. The images and weights of a ``batch`` follow one another.
    """
    z, y, x = window
    rows = math.prod(shape[:4])
    sizes = {"m": rows, "n": shape[4], "c1": channels}
    sizes |= {k: v for k, v in window_params(window).items() if k.startswith(("size", "result"))}
    return Matmul(
        op=op,
        source="nn/voxels.wgsl",
        m=rows,
        images=shape[0],
        n=shape[4],
        channels=(channels,),
        sizes=sizes,
        window={
            "kernel_height": z.kernel * y.kernel,
            "kernel_width": x.kernel,
            "kernel_rows": y.kernel,
            "stride": x.stride,
            "scale": 1,
            "stride_z": z.stride,
            "stride_y": y.stride,
            "dilation_z": z.dilation,
            "dilation_y": y.dilation,
            "dilation_x": x.dilation,
            "before_z": z.before,
            "before_y": y.before,
            "before_x": x.before,
        },
        activation=None,
        batch=batch,
    )
