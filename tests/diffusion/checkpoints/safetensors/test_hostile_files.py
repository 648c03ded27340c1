"""Hostile and broken safetensors files: refused with a clear message, or read as documented."""

from __future__ import annotations

import os
import re
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from diffusion.checkpoints import SafetensorsFile, open_safetensors, save_safetensors
from diffusion.checkpoints.safetensors import HEADER_LIMIT
from diffusion.checkpoints.safetensors import header as header_module
from diffusion.errors import ModelFormatError, ModelNotFoundError, SettingsError
from tests.diffusion.checkpoints.safetensors.hostile_files import (
    ACCEPTED,
    ENTRY,
    FOUR_BYTES,
    REFUSED,
    one_tensor,
    reference_tensors,
    safetensors_bytes,
)

MEBIBYTE = 2**20
PEAK_LIMIT = 64 * MEBIBYTE


def write_file(folder: Path, content: bytes) -> Path:
    """Write a file that claims to be safetensors."""
    path = folder / "model.safetensors"
    path.write_bytes(content)
    return path


def write_header(folder: Path, header: object, data: bytes = FOUR_BYTES) -> Path:
    """Write a file with a header and data, both of which may be wrong."""
    return write_file(folder, safetensors_bytes(header, data))


def peak_bytes(action: Callable[[], object]) -> int:
    """Return the most bytes that Python and NumPy held while `action` ran."""
    tracemalloc.start()
    try:
        action()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def refusal(path: Path) -> ModelFormatError:
    with pytest.raises(ModelFormatError) as caught:
        open_safetensors(path)
    return caught.value


def test_all_cases_are_there() -> None:
    assert len(REFUSED) + len(ACCEPTED) == 73


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str, tmp_path: Path) -> None:
    build, pattern = REFUSED[name]
    path = write_file(tmp_path, build())
    errors: list[ModelFormatError] = []
    assert peak_bytes(lambda: errors.append(refusal(path))) <= PEAK_LIMIT
    message = str(errors[0])
    assert re.search(pattern, message), message
    assert errors[0].file == str(path)
    assert errors[0].field
    assert errors[0].reason
    assert errors[0].hint
    assert message.isprintable()
    assert len(message) - len(str(path)) <= 300, "one clear line"


@pytest.mark.parametrize("name", ACCEPTED)
def test_accepted(name: str, tmp_path: Path) -> None:
    build, names = ACCEPTED[name]
    content = build()
    path = write_file(tmp_path, content)
    files: list[SafetensorsFile] = []
    assert peak_bytes(lambda: files.append(open_safetensors(path))) <= PEAK_LIMIT
    assert set(files[0].names) == set(names)
    for tensor in names:
        assert files[0].read(tensor).shape == files[0].entry(tensor).shape
    assert reference_tensors(content).keys() == set(names), "the reference agrees"


def reading(path: Path) -> object:
    """Return what a header is read as, or the error's text."""
    try:
        return dict(open_safetensors(path).entries)
    except ModelFormatError as error:
        return str(error)


_COMPACT = b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}'
_SPACED = b'{"a": {"dtype": "F16", "shape": [2, 1], "data_offsets": [0, 4]}}'


@pytest.mark.parametrize("text", [_COMPACT, _SPACED])
def test_the_usual_spelling_is_read_as_any_other(
    text: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    others = [text] + [
        text[:at] + put + text[at + cut :]
        for at in range(len(text))
        for cut in (0, 1)
        for put in (b"", b"0", b"9", b" ", b",", b'"', b"-", b"9" * 20, b"1,1,1,1,1,1,1,1,1,")
    ]
    paths = [tmp_path / f"{number}.safetensors" for number in range(len(others))]
    for path, header in zip(paths, others, strict=True):
        path.write_bytes(safetensors_bytes(header))
    found = [reading(path) for path in paths]
    assert sum(isinstance(each, dict) for each in found) > 10
    monkeypatch.setattr(header_module, "_USUAL", re.compile(b"(?!)"))
    assert [reading(path) for path in paths] == found


def test_any_boolean_byte_but_zero_is_true(tmp_path: Path) -> None:
    file = open_safetensors(write_file(tmp_path, ACCEPTED["dtype_boolean_byte_2"][0]()))
    assert file.read("a").tolist() == [False, True, True, True]


# ---------------------------------------------------------------- the limits, from both sides


def test_rank(tmp_path: Path) -> None:
    assert open_safetensors(write_header(tmp_path, one_tensor(shape=[1] * 8))).read("a").ndim == 8
    assert "at most 8 numbers, got more" in str(
        refusal(write_header(tmp_path, one_tensor(shape=[1] * 9)))
    )


def test_name_length_is_counted_in_bytes(tmp_path: Path) -> None:
    assert open_safetensors(write_header(tmp_path, {"é" * 256: ENTRY})).names == ("é" * 256,)
    assert "must be at most 512 bytes long" in str(
        refusal(write_header(tmp_path, {"é" * 256 + "x": ENTRY}))
    )


@pytest.mark.parametrize("bad", ["\x1b[31m", "a\nb", "\x7f", "\x85"])
def test_control_characters_in_names(bad: str, tmp_path: Path) -> None:
    error = refusal(write_header(tmp_path, {bad: ENTRY}))
    assert "control characters" in error.reason
    assert str(error).isprintable()


def test_elements_are_bounded_even_beside_a_zero(tmp_path: Path) -> None:
    largest = one_tensor(shape=[0, 2**48], data_offsets=[0, 0])
    assert open_safetensors(write_header(tmp_path, largest, b"")).read("a").shape == (0, 2**48)
    larger = one_tensor(shape=[0, 2**48 + 1], data_offsets=[0, 0])
    assert "2**48" in refusal(write_header(tmp_path, larger, b"")).reason


def test_number_of_tensors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert header_module.MAX_TENSORS == 100_000
    monkeypatch.setattr(header_module, "MAX_TENSORS", 100)
    empty = ENTRY | {"shape": [0], "data_offsets": [0, 0]}
    most = {str(index): empty for index in range(100)}
    assert len(open_safetensors(write_header(tmp_path, most, b"")).names) == 100
    error = refusal(write_header(tmp_path, most | {"one more": empty}, b""))
    assert "must have at most 100 tensors, got more" in error.reason


def test_300000_tensors_are_too_many_even_where_the_header_may_be_long(tmp_path: Path) -> None:
    path = write_file(tmp_path, REFUSED["names_300000_empty_tensors"][0]())
    with pytest.raises(ModelFormatError, match="must have at most 100000 tensors, got more"):
        open_safetensors(path, header_limit=100_000_000)


def test_metadata_entries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(header_module, "MAX_METADATA", 3)
    notes = {str(index): "" for index in range(3)}
    assert open_safetensors(write_header(tmp_path, {"__metadata__": notes}, b"")).metadata == notes
    error = refusal(write_header(tmp_path, {"__metadata__": notes | {"x": ""}}, b""))
    assert "must have at most 3 entries, got more" in error.reason


def test_header_limit_is_a_setting_with_a_ceiling(tmp_path: Path) -> None:
    text = b"{}" + b" " * (HEADER_LIMIT - 2)
    assert open_safetensors(write_header(tmp_path, text, b"")).names == ()
    larger = write_header(tmp_path, text + b" ", b"")
    assert f"must be at most {HEADER_LIMIT} bytes, got" in refusal(larger).reason
    assert open_safetensors(larger, header_limit=HEADER_LIMIT + 1).names == ()
    with pytest.raises(SettingsError, match="header_limit"):
        open_safetensors(larger, header_limit=100_000_001)


@pytest.mark.parametrize(
    "header",
    [
        b'{"a":' + b"[" * (8 * MEBIBYTE),
        b'{"a":{"dtype":"F32","shape":[' + b"0," * (8 * MEBIBYTE),
        b'{"__metadata__":{' + b",".join(b'"%d":""' % i for i in range(1_000_000)) + b"}}",
        b'{"a":{"x":"' + b"\\n" * (7 * MEBIBYTE) + b'"}}',
    ],
    ids=["brackets", "numbers", "notes", "escapes"],
)
def test_a_large_hostile_header_stays_small_in_memory(header: bytes, tmp_path: Path) -> None:
    path = write_header(tmp_path, header, b"")
    assert peak_bytes(lambda: refusal(path)) <= PEAK_LIMIT


# ---------------------------------------------------------------- where the file is no file


def test_no_such_file(tmp_path: Path) -> None:
    for path in (tmp_path / "none.safetensors", tmp_path / "nul\0.safetensors"):
        with pytest.raises(ModelNotFoundError, match="there is no such file"):
            open_safetensors(path)


def test_folder_and_pipe_are_not_read(tmp_path: Path) -> None:
    assert "must be a plain file, got a folder" in refusal(tmp_path).reason
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe")
        assert "must be a plain file, got a pipe or a device" in refusal(tmp_path / "pipe").reason


# ---------------------------------------------------------------- a file that changes while in use


@pytest.fixture
def opened_file(tmp_path: Path) -> SafetensorsFile:
    path = tmp_path / "model.safetensors"
    save_safetensors(path, {"a": np.arange(4096, dtype=np.float32), "b": np.ones(3, np.float16)})
    return open_safetensors(path)


def assert_changed(file: SafetensorsFile) -> None:
    for name in file.names:
        with pytest.raises(ModelFormatError, match="has changed since it was opened; load"):
            file.read(name)


def test_unchanged(opened_file: SafetensorsFile) -> None:
    assert np.array_equal(opened_file.read("a"), np.arange(4096, dtype=np.float32))


def test_truncated_while_open(opened_file: SafetensorsFile) -> None:
    os.truncate(opened_file.path, 100)
    assert_changed(opened_file)


def test_truncated_in_the_middle_of_a_read(
    opened_file: SafetensorsFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cut(file: SafetensorsFile, handle: object) -> None:
        os.truncate(file.path, 1000)

    monkeypatch.setattr(SafetensorsFile, "_check_unchanged", cut)
    with pytest.raises(ModelFormatError, match="has changed since it was opened"):
        opened_file.read("a")


def test_replaced_while_open(opened_file: SafetensorsFile, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_bytes(opened_file.path.read_bytes())
    other.replace(opened_file.path)
    assert_changed(opened_file)


def test_overwritten_while_open(opened_file: SafetensorsFile) -> None:
    before = opened_file.path.stat()
    with opened_file.path.open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        file.write(b"\xff")
    # A second later by the clock, whatever the file system's resolution.
    os.utime(opened_file.path, ns=(before.st_atime_ns, before.st_mtime_ns + 10**9))
    assert_changed(opened_file)


def test_deleted_while_open(opened_file: SafetensorsFile) -> None:
    opened_file.path.unlink()
    assert_changed(opened_file)
