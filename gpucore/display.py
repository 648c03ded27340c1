"""Notebook displays of buffers and devices: short HTML in which everything is escaped."""

from __future__ import annotations

import base64
import html
import struct
import zlib
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from gpucore.backends import AdapterInfo
from gpucore.dtypes import DType, u8
from gpucore.errors import GpuError
from gpucore.integers import ceil_div
from gpucore.memory.pool import size_text

__all__ = ["DisplayedBuffer", "DisplayedDevice", "buffer_html", "device_html", "facts_html", "png"]

_MAX_VALUES = 1000  # elements read for a preview
_MAX_PIXELS = 512  # along a preview's longer side
_MAX_PICTURE_BYTES = 64 << 20


class DisplayedBuffer(Protocol):
    """The part of a `Buffer` that its display uses."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Extents."""

    @property
    def dtype(self) -> type[DType]:
        """Marker of the element type."""

    @property
    def size(self) -> int:
        """Number of elements."""

    @property
    def nbytes(self) -> int:
        """Bytes of all elements."""

    def read(self) -> NDArray[Any]:
        """Return the contents."""

    def read_slice(self, start: int, stop: int) -> NDArray[Any]:
        """Return some rows."""

    def view(self, shape: tuple[int, ...]) -> DisplayedBuffer:
        """Return the same memory in another shape."""


class DisplayedDevice(Protocol):
    """The part of a `Device` that its display uses."""

    @property
    def info(self) -> AdapterInfo:
        """The adapter as its engine describes it."""

    @property
    def memory(self) -> object:
        """Bytes in use and reserved."""

    @property
    def streams(self) -> Sequence[NamedStream]:
        """The streams that are in use."""


class NamedStream(Protocol):
    """The part of a stream that the display of its device uses."""

    name: str


def device_html(device: DisplayedDevice) -> str:
    """Return what the engine says of a device, its memory and its streams."""
    info = device.info
    facts = {
        "engine": info.backend,
        "kind": info.kind,
        "driver": info.driver,
        "features": ", ".join(sorted(info.features)) or "none",
        "memory": repr(device.memory),
        "streams": ", ".join(stream.name for stream in device.streams),
    }
    return facts_html(f"Device {info.name}", facts)


def buffer_html(buffer: DisplayedBuffer, device: str) -> str:
    """Return shape, dtype, size and ``device``, and a preview of the contents.

    The preview is a picture for u8 of shape (H, W, 3 or 4), else the values. It reads from the
    device, so that what is recorded is submitted and waited for.
    """
    facts = {
        "shape": str(buffer.shape),
        "dtype": buffer.dtype.name,
        "size": size_text(buffer.nbytes),
        "device": device,
    }
    return facts_html("Buffer", facts, _preview(buffer))


def facts_html(title: str, facts: Mapping[str, str], preview: str = "") -> str:
    """Return a title over a table of facts, with ``preview`` (HTML) below it."""
    rows = "".join(
        f"<tr><th>{html.escape(name)}</th><td>{html.escape(text)}</td></tr>"
        for name, text in facts.items()
    )
    return f"<div><b>{html.escape(title)}</b><table>{rows}</table>{preview}</div>"


def _preview(buffer: DisplayedBuffer) -> str:
    try:
        if _is_picture(buffer):
            data = base64.b64encode(png(_shrink(buffer.read()))).decode()
            return f'<img alt="the buffer as a picture" src="data:image/png;base64,{data}">'
        text = _values_text(buffer)
    except GpuError as error:
        text = f"no preview: {error}"
    return f"<pre>{html.escape(text)}</pre>"


def _is_picture(buffer: DisplayedBuffer) -> bool:
    return (
        buffer.dtype is u8
        and len(buffer.shape) == 3
        and buffer.shape[2] in (3, 4)
        and 0 < buffer.nbytes <= _MAX_PICTURE_BYTES
    )


def _shrink(picture: NDArray[Any]) -> NDArray[Any]:
    step = ceil_div(max(picture.shape[:2]), _MAX_PIXELS)
    return picture[::step, ::step]


def _values_text(buffer: DisplayedBuffer) -> str:
    """Return the values; of a large buffer the first 12, and only they are read."""
    with np.printoptions(threshold=60, edgeitems=3, precision=5):
        if buffer.size <= _MAX_VALUES:
            return str(buffer.read())
        first = buffer.view((-1,)).read_slice(0, 12)
        return f"{str(first)[:-1]} ...] ({buffer.size - 12} more)"


def png(picture: NDArray[Any]) -> bytes:
    """Encode a (height, width, 3 or 4) u8 array as PNG (ISO/IEC 15948): one chunk, no filter."""
    height, width, channels = picture.shape
    rows = np.zeros((height, 1 + width * channels), np.uint8)
    rows[:, 1:] = picture.reshape(height, -1)
    head = struct.pack(">IIBBBBB", width, height, 8, {3: 2, 4: 6}[channels], 0, 0, 0)
    chunks = [(b"IHDR", head), (b"IDAT", zlib.compress(rows.tobytes())), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )
