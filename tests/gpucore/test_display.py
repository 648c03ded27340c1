"""Displays of objects: short text, and HTML in a notebook with everything escaped."""

from __future__ import annotations

import base64
import dataclasses
import io
import re

import numpy as np
import pytest
from PIL import Image

from gpucore import Device, f32, u8
from gpucore.display import png
from gpucore.memory.pool import size_text
from tests.gpucore.kernels import INCREMENT


def test_a_buffer_shows_facts_and_values(device: Device) -> None:
    buffer = device.buffer_from_array(np.array([[1.5, -2], [3, 4]], np.float32))
    page = buffer._repr_html_()
    for shown in ("(2, 2)", "f32", "16 B", device.backend, "1.5", "-2."):
        assert shown in page, shown


def test_a_large_buffer_shows_its_first_values(device: Device) -> None:
    buffer = device.buffer_from_array(np.arange(100_000, dtype=np.int32).reshape(1000, 100))
    before = device.staging
    page = buffer._repr_html_()
    assert "[ 0  1  2  3  4  5  6  7  8  9 10 11 ...] (99988 more)" in page
    assert device.staging.nbytes - before.nbytes < 4096, "only they are read"


@pytest.mark.parametrize("channels", [3, 4])
def test_a_picture_is_shown_as_one(device: Device, channels: int) -> None:
    picture = np.random.default_rng(channels).integers(0, 256, (9, 7, channels), np.uint8)
    page = device.buffer_from_array(picture)._repr_html_()
    data = re.search(r'src="data:image/png;base64,([^"]+)"', page)
    assert data
    shown = np.asarray(Image.open(io.BytesIO(base64.b64decode(data[1]))))
    assert (shown == picture).all()


def test_large_pictures_are_shrunk() -> None:
    device = Device.null()
    page = device.buffer(u8, (1500, 20, 3))._repr_html_()
    data = re.search(r"base64,([^\"]+)", page)
    assert data
    assert Image.open(io.BytesIO(base64.b64decode(data[1]))).size == (7, 500)


def test_png_is_read_by_others() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (5, 300, 4), np.uint8)
    assert (np.asarray(Image.open(io.BytesIO(png(picture)))) == picture).all()


def test_names_are_escaped() -> None:
    device = Device.null()
    info = dataclasses.replace(device.info, name="<script>x</script>", driver="a & b")
    object.__setattr__(device.engine, "info", info)
    device.new_stream("<b>").__enter__()
    for page in (device._repr_html_(), device.buffer(f32, 2)._repr_html_()):
        assert "<script>" not in page
        assert "&lt;script&gt;" in page
    assert "a &amp; b" in device._repr_html_()


def test_a_preview_that_cannot_be_had_says_why() -> None:
    device = Device.null()
    buffer = device.buffer(f32, 3)
    with device.capture():
        assert (
            "no preview: read, write, replay or synchronize inside device" in buffer._repr_html_()
        )
    buffer.release()
    assert "was released" in buffer._repr_html_()


def test_text_for_people() -> None:
    device = Device.null()
    kernel, x = device.compile_kernel(INCREMENT), device.buffer(f32, 1000)
    with device.capture() as graph:
        kernel(x, grid=1)
        device.buffer(f32, 1000).copy_from(x)
    assert repr(graph) == "Graph(1 launches, 1 copies, on null device)"
    graph.release()
    assert repr(graph) == "Graph(0 launches, 0 copies, on null device, released)"
    assert repr(device.memory) == (
        "MemoryStats(live 4 KiB in 1 buffers, peak 8 KiB; reserved 8 KiB, peak 8 KiB, "
        "limit none; staging 0 B)"
    )
    assert repr(device.new_event()) == "Event(not recorded, on null device)"
    assert "features" in device._repr_html_()


@pytest.mark.parametrize(
    ("nbytes", "text"),
    [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (2**31, "2 GiB"), (5 * 2**42, "20 TiB")],
)
def test_bytes_for_people(nbytes: int, text: str) -> None:
    assert size_text(nbytes) == text
