"""Hostile and broken GGUF files: refused with a clear message, or read as documented."""

from __future__ import annotations

import re
import tracemalloc
import warnings
from collections.abc import Callable
from pathlib import Path

import gguf
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from diffusion.checkpoints.gguf import open_gguf
from diffusion.errors import ModelFormatError, ModelNotFoundError
from tests.diffusion.checkpoints.gguf.hostile_files import (
    ACCEPTED,
    BLOCK,
    GOOD,
    REFUSED,
    gguf_file,
    info,
    orig_shape,
    pair,
    string,
)

PEAK_LIMIT = 4 * 2**20


def write_file(folder: Path, content: bytes) -> Path:
    """Write a file that claims to be GGUF."""
    path = folder / "model.gguf"
    path.write_bytes(content)
    return path


def refusal(path: Path) -> ModelFormatError:
    with pytest.raises(ModelFormatError) as caught:
        open_gguf(path)
    return caught.value


def peak_bytes(action: Callable[[], object]) -> int:
    """Return the most bytes that Python and NumPy had at a time while `action` ran."""
    tracemalloc.start()
    try:
        action()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("name", REFUSED)
def test_refused_in_little_memory(name: str, tmp_path: Path) -> None:
    content, pattern = REFUSED[name]
    path = write_file(tmp_path, content)
    errors: list[ModelFormatError] = []
    assert peak_bytes(lambda: errors.append(refusal(path))) <= PEAK_LIMIT
    message = str(errors[0])
    assert re.search(pattern, message), message
    assert errors[0].field
    assert errors[0].hint
    assert message.isprintable()
    assert len(message) - len(str(path)) <= 300, "one clear line"


@pytest.mark.parametrize("name", ACCEPTED)
def test_accepted(name: str, tmp_path: Path) -> None:
    content, expected = ACCEPTED[name]
    file = open_gguf(write_file(tmp_path, content))
    assert {n: (e.dtype, e.shape) for n, e in file.entries.items()} == expected


def test_a_file_that_ends_anywhere_is_refused(tmp_path: Path) -> None:
    pairs = [pair("a", 8, string("text")), orig_shape("a", (4, 8)), pair("b", 12, bytes(8))]
    whole = gguf_file([info(), info("b", offset=64)], BLOCK + bytes(30) + BLOCK, pairs)
    assert open_gguf(write_file(tmp_path, whole)).entry("a").shape == (4, 8)
    for length in range(len(whole)):
        refusal(write_file(tmp_path, whole[:length]))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300)
@given(data=st.data())
def test_changed_files_are_read_or_refused(tmp_path: Path, data: st.DataObject) -> None:
    """Nothing but `ModelFormatError` comes of them, in little memory."""
    bases = [content for content, _ in (*REFUSED.values(), *ACCEPTED.values())]
    content = bytearray(data.draw(st.sampled_from(bases)))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(content)))
        drop = data.draw(st.integers(0, 8))
        content[at : at + drop] = data.draw(st.binary(max_size=8))
    path = write_file(tmp_path, bytes(content))
    assert peak_bytes(lambda: read_all(path)) <= PEAK_LIMIT


def read_all(path: Path) -> None:
    """Open a file and read all that it holds, where it is sound."""
    try:
        file = open_gguf(path)
    except ModelFormatError:
        return
    for entry in file.entries.values():
        if entry.dtype != "IQ2_XXS":
            assert file.read_entry(entry).shape == entry.shape


def test_headers_are_bounded(tmp_path: Path) -> None:
    long = pair("a", 8, string("x" * (16 * 2**20)))
    error = refusal(write_file(tmp_path, gguf_file(pairs=[long])))
    assert "value: length" in str(error)


def test_a_file_that_changes_is_refused(tmp_path: Path) -> None:
    path = write_file(tmp_path, GOOD)
    file = open_gguf(path)
    path.write_bytes(GOOD + bytes(1))
    with pytest.raises(ModelFormatError, match="has changed"):
        file.read("a")


def test_places_that_are_no_files(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFoundError):
        open_gguf(tmp_path / "none.gguf")
    with pytest.raises(ModelFormatError, match="plain file"):
        open_gguf(tmp_path)


def test_scales_that_are_no_numbers_become_such_weights(tmp_path: Path) -> None:
    """`avila model verify` finds them; no picture is made of them."""
    nan = gguf_file([info()], bytes([1, 0x7E]) + BLOCK[2:])
    values = open_gguf(write_file(tmp_path, nan)).read("a")
    assert np.isnan(values).all()


def reference_names(path: Path) -> list[str]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return [tensor.name for tensor in gguf.GGUFReader(path).tensors]


@pytest.mark.parametrize("name", ["one tensor", "version 2", "alignment 64", "another shape"])
def test_the_gguf_package_finds_the_same_tensors(name: str, tmp_path: Path) -> None:
    path = write_file(tmp_path, ACCEPTED[name][0])
    assert reference_names(path) == list(ACCEPTED[name][1])
