"""How buffers and devices show themselves in a notebook: short HTML, everything escaped."""

from __future__ import annotations

import base64
import html
import struct
import zlib
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gpucore.dtypes import u8
from gpucore.errors import GpuError
from gpucore.integers import ceil_div
from gpucore.memory.pool import readable

if TYPE_CHECKING:
    from gpucore.buffer import Buffer
    from gpucore.device import Device

__all__ = ["buffer_html", "device_html", "png"]

_MOST_VALUES = 1000  # elements read for a preview
_WIDEST = 512  # pixels of a preview's longer side
_LARGEST_PICTURE = 64 << 20  # bytes read for a picture


def buffer_html(buffer: Buffer[Any]) -> str:
    """Shape, dtype and device, and a preview: a picture of (H, W, 3 or 4) u8, else values.

    Reads from the device, so that what is recorded is submitted and waited for.
    """
    facts = [
        ("shape", str(buffer.shape)),
        ("dtype", buffer.dtype.name),
        ("size", readable(buffer.nbytes)),
        ("device", f"{buffer.device.name} ({buffer.device.backend})"),
    ]
    return f"<div><b>Buffer</b>{_table(facts)}{_preview(buffer)}</div>"


def device_html(device: Device) -> str:
    """Name, engine, driver, features and memory."""
    facts = [
        ("engine", device.backend),
        ("kind", device.info.kind),
        ("driver", device.driver),
        ("features", ", ".join(sorted(device.features)) or "none"),
        ("memory", repr(device.memory)),
        ("streams", ", ".join(stream.name for stream in device.streams)),
    ]
    return f"<div><b>Device {html.escape(device.name)}</b>{_table(facts)}</div>"


def _table(facts: Iterable[tuple[str, str]]) -> str:
    rows = (f"<tr><th>{html.escape(k)}</th><td>{html.escape(v)}</td></tr>" for k, v in facts)
    return f"<table>{''.join(rows)}</table>"


def _preview(buffer: Buffer[Any]) -> str:
    try:
        if _is_picture(buffer):
            data = base64.b64encode(png(_shrunk(buffer.read()))).decode()
            return f'<img alt="the buffer as a picture" src="data:image/png;base64,{data}">'
        text = _values(buffer)
    except GpuError as error:
        text = f"no preview: {error}"
    return f"<pre>{html.escape(text)}</pre>"


def _is_picture(buffer: Buffer[Any]) -> bool:
    return (
        buffer.dtype is u8
        and len(buffer.shape) == 3
        and buffer.shape[2] in (3, 4)
        and 0 < buffer.nbytes <= _LARGEST_PICTURE
    )


def _shrunk(picture: NDArray[Any]) -> NDArray[Any]:
    step = ceil_div(max(picture.shape[:2]), _WIDEST)
    return picture[::step, ::step]


def _values(buffer: Buffer[Any]) -> str:
    """The first values; of a large buffer only they are read."""
    with np.printoptions(threshold=60, edgeitems=3, precision=5):
        if buffer.size <= _MOST_VALUES:
            return str(buffer.read())
        first = buffer.view((-1,)).read_slice(0, 12)
        return f"{str(first)[:-1]} ...] ({buffer.size - 12} more)"


def png(picture: NDArray[Any]) -> bytes:
    """A (height, width, 3 or 4) u8 array as PNG (ISO/IEC 15948): one chunk, no filter."""
    height, width, channels = picture.shape
    rows = np.zeros((height, 1 + width * channels), np.uint8)
    rows[:, 1:] = picture.reshape(height, -1)
    head = struct.pack(">IIBBBBB", width, height, 8, {3: 2, 4: 6}[channels], 0, 0, 0)
    chunks = [(b"IHDR", head), (b"IDAT", zlib.compress(rows.tobytes())), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )
