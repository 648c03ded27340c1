"""Normalisations as a trained network applies them. Weights, biases and statistics are f32."""

from __future__ import annotations

from typing import Any

from gpucore import ArgumentError, Buffer, Device, DTypeError, ShapeError, T, f32
from gpustd.launch.checks import as_float, require_buffers
from gpustd.launch.elements import float_scalar, launch_flat, words_of
from gpustd.nn.norm.channels import launch_channels
from gpustd.nn.norm.group import group_norm as affine_group_norm
from gpustd.nn.norm.layer import layer_norm as affine_layer_norm
from gpustd.nn.norm.rows import launch_rows

__all__ = [
    "batch_norm",
    "group_norm",
    "instance_norm",
    "layer_norm",
    "normalize",
    "prelu",
    "rms_norm",
]


def batch_norm(
    x: Buffer[T],
    running_mean: Buffer[f32],
    running_var: Buffer[f32],
    weight: Buffer[f32] | None = None,
    bias: Buffer[f32] | None = None,
    eps: float = 1e-5,
) -> Buffer[T]:
    """``(x - mean) / sqrt(var + eps) * weight + bias`` with the statistics of training.

    Ioffe and Szegedy 2015 (arXiv 1502.03167). ``x`` (..., C) is f16 or f32, the others f32 (C,).
    Raises `ShapeError`, `DTypeError`.

        >>> import numpy as np
        >>> from gpucore import Device
        >>> from gpustd import nn
        >>> up = Device.auto().buffer_from_array
        >>> x = up(np.array([[1, 10], [3, 30]], np.float32))
        >>> mean, var = up(np.array([2, 20], np.float32)), up(np.array([1, 100], np.float32))
        >>> nn.batch_norm(x, mean, var).read().round(3).tolist()
        [[-1.0, -1.0], [1.0, 1.0]]
    """
    given = {"running_mean": running_mean, "running_var": running_var}
    given |= {n: b for n, b in (("weight", weight), ("bias", bias)) if b is not None}
    _check_channels("batch_norm", x, given)
    kind = "batch_norm" + "_weight" * (weight is not None) + "_bias" * (bias is not None)
    return launch_channels(
        "batch_norm", kind, x, tuple(given.values()), as_float("batch_norm", "eps", eps)
    )


def prelu(x: Buffer[T], weight: Buffer[f32]) -> Buffer[T]:
    """``x`` where it is positive, else ``weight x``, with a slope for each channel or for all.

    He et al. 2015 (arXiv 1502.01852). ``x`` (..., C) is f16 or f32, ``weight`` f32 (C,) or (1,).
    Raises `ShapeError`, `DTypeError`.

        >>> import numpy as np
        >>> from gpucore import Device
        >>> from gpustd import nn
        >>> up = Device.auto().buffer_from_array
        >>> x = up(np.array([[-2, -2], [4, 4]], np.float32))
        >>> nn.prelu(x, up(np.array([0.5, 0.25], np.float32))).read().tolist()
        [[-1.0, -0.5], [4.0, 4.0]]
    """
    require_buffers("prelu", x, weight)
    single = weight.shape == (1,) and x.shape[-1:] != (1,)
    if not single:
        _check_channels("prelu", x, {"weight": weight})
    elif weight.dtype is not f32:
        raise DTypeError(f"prelu: weight must be f32, got {weight!r}: cast it")
    return launch_channels("prelu", "prelu_single" if single else "prelu", x, (weight,))


def group_norm(
    x: Buffer[T],
    num_groups: int,
    weight: Buffer[f32] | None = None,
    bias: Buffer[f32] | None = None,
    eps: float = 1e-5,
) -> Buffer[T]:
    """Normalise each of (N, ..., C) over its pixels and the C / num_groups channels of a group.

    `gpustd.group_norm`, which can also apply SiLU and join two sources (Wu and He 2018, arXiv
    1803.08494). ``x`` is f16 or f32, ``weight`` and ``bias`` f32 (C,). Raises `ShapeError`,
    `DTypeError`.

        >>> import numpy as np
        >>> from gpucore import Device
        >>> from gpustd import nn
        >>> x = Device.auto().buffer_from_array(np.array([[[1, 5], [3, 5]]], np.float32))
        >>> nn.group_norm(x, 2).read().round(3).tolist()
        [[[-1.0, 0.0], [1.0, 0.0]]]
    """
    require_buffers("group_norm", x)
    if not x.shape:
        raise ShapeError(f"group_norm: {x.shape}: wants (N, ..., C)")
    weight, bias = _affine(x, weight, bias)
    return affine_group_norm(x, weight, bias, groups=num_groups, eps=eps)


def instance_norm(
    x: Buffer[T],
    weight: Buffer[f32] | None = None,
    bias: Buffer[f32] | None = None,
    eps: float = 1e-5,
) -> Buffer[T]:
    """Normalise each channel of each of (N, ..., C) over its pixels: `group_norm` of C groups.

    Ulyanov, Vedaldi and Lempitsky 2016 (arXiv 1607.08022). ``x`` is f16 or f32, ``weight`` and
    ``bias`` f32 (C,). Raises `ShapeError`, `DTypeError`.

        >>> import numpy as np
        >>> from gpucore import Device
        >>> from gpustd import nn
        >>> x = Device.auto().buffer_from_array(np.array([[[1, 5], [3, 9]]], np.float32))
        >>> nn.instance_norm(x).read().round(3).tolist()
        [[[-1.0, -1.0], [1.0, 1.0]]]
    """
    float_scalar("instance_norm", x)
    if len(x.shape) < 3:
        raise ShapeError(f"instance_norm: {x.shape}: wants (N, ..., C) with an axis of pixels")
    weight, bias = _affine(x, weight, bias)
    if not x.size:
        return x.device.buffer(x.dtype, x.shape)
    return affine_group_norm(x, weight, bias, groups=x.shape[-1], eps=eps)


def layer_norm(
    x: Buffer[T],
    weight: Buffer[f32] | None = None,
    bias: Buffer[f32] | None = None,
    eps: float = 1e-5,
) -> Buffer[T]:
    """``(x - mean) / sqrt(variance + eps) * weight + bias`` over the last axis.

    `gpustd.layer_norm` (Ba, Kiros and Hinton 2016, arXiv 1607.06450). ``x`` (..., C) is f16 or
    f32, ``weight`` and ``bias`` f32 (C,). Raises `ShapeError`, `DTypeError`.

        >>> import numpy as np
        >>> from gpucore import Device
        >>> from gpustd import nn
        >>> x = Device.auto().buffer_from_array(np.array([[1, 3], [10, 30]], np.float32))
        >>> nn.layer_norm(x).read().round(3).tolist()
        [[-1.0, 1.0], [-1.0, 1.0]]
    """
    require_buffers("layer_norm", x)
    if not x.shape:
        raise ShapeError(f"layer_norm: {x.shape}: wants a last axis to normalise")
    weight, bias = _affine(x, weight, bias)
    return affine_layer_norm(x, weight, bias, eps=eps)


def rms_norm(
    x: Buffer[T], weight: Buffer[f32] | None = None, eps: float = 1.1920929e-07
) -> Buffer[T]:
    """``x / sqrt(mean(x^2) + eps) * weight`` over the last axis.

    Zhang and Sennrich 2019 (arXiv 1910.07467). ``x`` (..., C) is f16 or f32, ``weight`` f32 (C,);
    computed in f32, whose epsilon is the default of ``eps``. Raises `ShapeError`, `DTypeError`.

        >>> import numpy as np
        >>> from gpucore import Device
        >>> from gpustd import nn
        >>> x = Device.auto().buffer_from_array(np.array([[1, 7], [0.5, -0.5]], np.float32))
        >>> print(nn.rms_norm(x).read().round(3))
        [[ 0.2  1.4]
         [ 1.  -1. ]]
    """
    eps = as_float("rms_norm", "eps", eps)
    if weight is None:
        _check_channels("rms_norm", x, {})
        return launch_rows("rms_norm", x, eps=eps)
    _check_channels("rms_norm", x, {"weight": weight})
    return launch_rows("rms_norm", x, weight, eps=eps, weighted=True)


def normalize(x: Buffer[T], eps: float = 1e-12) -> Buffer[T]:
    """``x / max(norm(x), eps)`` with the Euclidean norm over the last axis.

    ``x`` (..., C) is f16 or f32, its squares are summed in f32: their sum must stay below 3e38.
    Raises `ShapeError`, `DTypeError`.

        >>> import numpy as np
        >>> from gpucore import Device
        >>> from gpustd import nn
        >>> x = Device.auto().buffer_from_array(np.array([[3, 4], [0, 0]], np.float32))
        >>> print(nn.normalize(x).read().round(3))
        [[0.6 0.8]
         [0.  0. ]]
    """
    _check_channels("normalize", x, {})
    eps = as_float("normalize", "eps", eps)
    if eps <= 0:
        raise ArgumentError(f"normalize: eps {eps} must be positive, against rows of zeros")
    return launch_rows("normalize", x, eps=eps)


def _check_channels(op: str, x: Buffer[Any], given: dict[str, Buffer[Any]]) -> None:
    """Raise `ShapeError` or `DTypeError` unless all of ``given`` are f32 (C,) and x (..., C)."""
    float_scalar(op, x)
    if not x.shape:
        raise ShapeError(f"{op}: {x.shape}: wants (..., C), channels last")
    require_buffers(op, *given.values())
    for name, buffer in given.items():
        if buffer.shape != (x.shape[-1],):
            raise ShapeError(f"{op}: {name} {buffer.shape} for {x.shape[-1]} channels")
        if buffer.dtype is not f32:
            raise DTypeError(f"{op}: {name} must be f32, got {buffer!r}: cast it")


def _affine(
    x: Buffer[Any], weight: Buffer[f32] | None, bias: Buffer[f32] | None
) -> tuple[Buffer[f32], Buffer[f32]]:
    """What multiplies and what is added; ones and zeros where there is none."""
    channels = x.shape[-1]
    return (
        _filled(x.device, channels, 1.0) if weight is None else weight,
        _filled(x.device, channels, 0.0) if bias is None else bias,
    )


def _filled(device: Device, size: int, value: float) -> Buffer[f32]:
    y = device.buffer(f32, size)
    launch_flat(
        "nn/fill.wgsl", {"scalar": "f32", "width": 4}, (y,), words_of(size), {"value": value}
    )
    return y
