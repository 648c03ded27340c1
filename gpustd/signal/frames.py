"""Frames of a signal, with a window or without."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gpucore import Buffer, T, f32
from gpustd.launch.elements import launch_each
from gpustd.launch.template import Value
from gpustd.signal.arguments import element_type, inner_size

__all__ = ["Framing", "cut_frames"]


@dataclass(frozen=True)
class Framing:
    """The place of ``frames`` of ``size``, ``hop`` apart, the first ``start`` before the signal.

    ``boundary`` says how the signal goes on for ``reach`` elements before zeros follow: zeros,
    even, odd or constant.
    """

    size: int
    hop: int
    frames: int
    start: int
    boundary: str = "zeros"
    reach: int = 0


def cut_frames(
    x: Buffer[T], axis: int, framing: Framing, window: Buffer[f32] | None, *, last: bool
) -> Buffer[T]:
    """Return frames along ``axis``, times a window if there is one.

    With ``last``, the axis becomes a frame's, and the frames are a new last axis. Otherwise the
    frames are a new axis before it.
    """
    size, frames = framing.size, framing.frames
    before, behind = x.shape[:axis], x.shape[axis + 1 :]
    shape = (*before, size, *behind, frames) if last else (*before, frames, size, *behind)
    y = x.device.buffer(x.dtype, shape)
    spec: dict[str, Value] = {
        "scalar": element_type(x),
        "window": window is not None,
        "frames_last": last,
        "boundary": framing.boundary,
    }
    sizes: dict[str, int | float] = {
        "inner": inner_size(x.shape, axis),
        "length": x.shape[axis],
        "size": size,
        "frames": frames,
        "hop": framing.hop,
        "start": framing.start,
        "reach": framing.reach,
    }
    buffers: tuple[Buffer[Any], ...] = (x, y) if window is None else (x, window, y)
    launch_each("signal/frames.wgsl", spec, buffers, y.size, sizes)
    return y
