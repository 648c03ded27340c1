"""The reader and the writer against the safetensors package, on made and on mutated files."""

from __future__ import annotations

import json
import os
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from diffusion.checkpoints import open_safetensors, save_safetensors
from diffusion.errors import ModelFormatError, OutputError, SettingsError
from tests.diffusion.checkpoints.safetensors.hostile_files import (
    ACCEPTED,
    ENTRY,
    REFUSED,
    one_tensor,
    reference_tensors,
    safetensors_bytes,
)

TYPES = ["bool", "u1", "i1", "u2", "i2", "f2", "u4", "i4", "f4", "u8", "i8", "f8"]
# One temporary folder serves all examples of a test: each example writes its own file anew.
PROFILE = settings(
    deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200
)

names = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=30).filter(
    lambda name: name != "__metadata__"
)
notes = st.dictionaries(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=40),
    max_size=3,
)


@st.composite
def arrays(draw: st.DrawFn) -> NDArray[Any]:
    """Draw an array of any type, rank and bits that the format has, also of size zero."""
    dtype = np.dtype(draw(st.sampled_from(TYPES)))
    shape = tuple(draw(st.lists(st.integers(0, 4), max_size=5)))
    size = int(np.prod(shape)) * dtype.itemsize
    raw = np.frombuffer(draw(st.binary(min_size=size, max_size=size)), "u1")
    return (raw % 2 if dtype.kind == "b" else raw).view(dtype).reshape(shape)


def have_same_bits(ours: NDArray[Any], theirs: NDArray[Any]) -> bool:
    """Tell whether type, shape and bits are equal (so that a NaN equals itself)."""
    return (ours.dtype, ours.shape, ours.tobytes()) == (
        theirs.dtype,
        theirs.shape,
        theirs.tobytes(),
    )


@PROFILE
@given(tensors=st.dictionaries(names, arrays(), max_size=6), metadata=notes)
def test_valid_files_of_the_reference_come_out_equal(
    tmp_path: Path, tensors: dict[str, NDArray[Any]], metadata: dict[str, str]
) -> None:
    path = tmp_path / "theirs.safetensors"
    path.write_bytes(save(tensors, metadata or None))
    file = open_safetensors(path)
    assert set(file.names) == set(tensors)
    assert file.metadata == metadata
    assert all(have_same_bits(file.read(name), tensors[name]) for name in tensors)


@PROFILE
@given(tensors=st.dictionaries(names, arrays(), max_size=6), metadata=notes)
def test_files_we_write_are_read_by_both(
    tmp_path: Path, tensors: dict[str, NDArray[Any]], metadata: dict[str, str]
) -> None:
    path = tmp_path / "ours.safetensors"
    save_safetensors(path, tensors, metadata)
    theirs = load_file(path)
    file = open_safetensors(path)
    assert set(file.names) == set(theirs) == set(tensors)
    assert file.metadata == metadata
    for name, array in tensors.items():
        assert have_same_bits(file.read(name), array)
        assert have_same_bits(theirs[name], array)
        assert file.entry(name).offset % array.dtype.itemsize == 0, "aligned"


def seeds() -> list[bytes]:
    """Return files small enough to mutate, half of them valid."""
    tensors: dict[str, NDArray[Any]] = {
        "a.weight": np.ones((2, 3), np.float32),
        "b": np.arange(5, dtype=np.int8),
    }
    sound = [save(tensors, {"k": "v"}), *(build() for build, _ in ACCEPTED.values())]
    broken = [seed for seed in (build() for build, _ in REFUSED.values()) if len(seed) < 400]
    return sound * (len(broken) // len(sound) + 1) + broken


PIECES = [b'"', b"{", b"}", b"[", b"]", b",", b":", b"0", b"-1", b"1e3", b"\\u0041", b" ", b"\n"]
PIECES += [
    b" ",
    b"\t",
    b"\r",
    b"x",
    b"\x7f",
    b"a",
    b"dtype",
    b"shape",
    b"F16",
    b"__metadata__",
    b"null",
    b"\xff",
    b"\0",
    b"\\u0000",
]
SEEDS = seeds()


def mutate(source: bytes, choice: random.Random) -> bytes:
    """Edit the header once or a few times; the length field and the data mostly follow it."""
    cut = source.rfind(b"}}") + 2
    header, data = source[8:cut], source[max(cut, 8) :]
    for _ in range(choice.choice([1, 1, 1, 2, 5])):
        start = choice.randint(0, len(header))
        stop = min(len(header), start + choice.choice([0, 0, 0, 1, 1, 5, 20]))
        piece = choice.choice([*PIECES, header[stop : stop + 9]])
        header = header[:start] + piece + header[stop:]
    data = choice.choice([data] * 9 + [data[:-1], data + b"\0", b""])
    length = len(header) + choice.choice([0] * 20 + [1, -1, 2**40])
    return safetensors_bytes(header, data, max(0, length))


def check_against_reference(path: Path, content: bytes) -> bool:
    """Tell whether we read a file; if so, the reference must read the same bytes."""
    path.write_bytes(content)
    try:
        file = open_safetensors(path)
    except ModelFormatError as error:
        if not (error.field and error.reason and error.hint and str(error).isprintable()):
            pytest.fail(f"no clear message: {error}")
        return False
    found = {name: file.read(name) for name in file.names}
    theirs = reference_tensors(content)
    assert found.keys() == theirs.keys()
    for name in found:
        entry = file.entry(name)
        assert content[entry.offset : entry.offset + entry.nbytes] == theirs[name]["data"]
        assert (entry.dtype, list(entry.shape)) == (theirs[name]["dtype"], theirs[name]["shape"])
    return True


def test_mutated_files_are_refused_or_read_as_the_reference_reads_them(tmp_path: Path) -> None:
    """A reader that accepted what the reference refuses would raise SafetensorError here."""
    choice = random.Random(1)
    read = sum(
        check_against_reference(tmp_path / "m", mutate(choice.choice(SEEDS), choice))
        for _ in range(8000)
    )
    assert read > 100, "some mutants must stay sound, or this test compares nothing"


@settings(PROFILE, max_examples=300)
@given(content=st.binary(max_size=300))
def test_noise_is_refused(tmp_path: Path, content: bytes) -> None:
    check_against_reference(tmp_path / "noise", content)


@settings(PROFILE, max_examples=500)
@given(
    header=st.recursive(
        st.none()
        | st.booleans()
        | st.integers(-1, 9)
        | st.sampled_from(["F32", "U8", "a", "shape"]),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(["a", "dtype", "shape", "data_offsets", "x"]), inner)
        ),
    )
)
def test_any_json_is_refused_or_read_as_the_reference_reads_it(tmp_path: Path, header: Any) -> None:
    check_against_reference(tmp_path / "json", safetensors_bytes({"a": ENTRY | {"x": header}}))
    check_against_reference(tmp_path / "json", safetensors_bytes({"a": header} | {"b": ENTRY}))
    check_against_reference(tmp_path / "json", safetensors_bytes(header))


def test_the_reference_refuses_what_the_differential_tests_rely_on() -> None:
    with pytest.raises(SafetensorError):
        reference_tensors(safetensors_bytes(one_tensor(shape=[3])))


# ---------------------------------------------------------------- types


def test_bf16_becomes_float32_exactly(tmp_path: Path) -> None:
    values = np.array([0.0, -0.0, 1.0, -2.5, 3.0e38, 2.0**-126, np.inf, -np.inf], np.float32)
    bits = (values.view(np.uint32) >> 16).astype("<u2")
    assert np.array_equal((bits.astype(np.uint32) << 16).view(np.float32)[:4], values[:4])
    path = tmp_path / "bf16.safetensors"
    path.write_bytes(
        safetensors_bytes(
            one_tensor(dtype="BF16", shape=[2, 4], data_offsets=[0, 16]), bits.tobytes()
        )
    )
    found = open_safetensors(path).read("a")
    assert found.dtype == np.float32
    expected = (bits.astype(np.uint32) << 16).view(np.float32).reshape(2, 4)
    assert have_same_bits(found, expected)


def test_every_bf16_pattern(tmp_path: Path) -> None:
    bits = np.arange(65536, dtype="<u2")
    path = tmp_path / "bf16.safetensors"
    header = one_tensor(dtype="BF16", shape=[65536], data_offsets=[0, 131072])
    path.write_bytes(safetensors_bytes(header, bits.tobytes()))
    found = open_safetensors(path).read("a").view(np.uint32)
    assert np.array_equal(found >> 16, bits)
    assert not np.any(found & 0xFFFF)


@pytest.mark.parametrize("dtype", ["F4", "F6_E2M3", "F8_E8M0", "C64"])
def test_types_that_are_not_read_say_what_to_do(dtype: str, tmp_path: Path) -> None:
    path = tmp_path / "odd.safetensors"
    path.write_bytes(safetensors_bytes(one_tensor(dtype=dtype, shape=[4])))
    with pytest.raises(
        ModelFormatError, match=f"must be a supported type, got '{dtype}'; save the model again as"
    ):
        open_safetensors(path)


# ---------------------------------------------------------------- the writer


def test_writer_takes_any_memory_order(tmp_path: Path) -> None:
    array = np.arange(24, dtype=np.float16).reshape(2, 3, 4).transpose(2, 0, 1)[::2]
    save_safetensors(tmp_path / "t", {"a": array})
    assert np.array_equal(open_safetensors(tmp_path / "t").read("a"), array)


def test_writer_replaces_whole_files_or_nothing(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    save_safetensors(path, {"a": np.ones(3, np.float32)})
    before = path.read_bytes()
    with pytest.raises(ModelFormatError, match="control characters"):
        save_safetensors(path, {"a\0": np.ones(3, np.float32)})
    with pytest.raises(SettingsError, match="complex64"):
        save_safetensors(path, {"a": np.ones(3, np.complex64)})
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["model.safetensors"]


def test_writer_cleans_up_after_a_full_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("diffusion.checkpoints.safetensors.writer.os.fsync", full)
    with pytest.raises(OutputError, match="No space left on device; choose a folder"):
        save_safetensors(tmp_path / "model.safetensors", {"a": np.ones(3, np.float32)})
    assert list(tmp_path.iterdir()) == []


def test_header_is_padded_to_eight_bytes(tmp_path: Path) -> None:
    save_safetensors(tmp_path / "t", {"a": np.ones(1, np.float32)}, {"k": "é"})
    content = (tmp_path / "t").read_bytes()
    length = int.from_bytes(content[:8], "little")
    assert length % 8 == 0
    assert json.loads(content[8 : 8 + length])["__metadata__"] == {"k": "é"}


def test_a_header_is_that_of_the_file_as_it_is(tmp_path: Path) -> None:
    """Another one of the same length, time and path is read all the same."""
    path = tmp_path / "x.safetensors"
    for name in ("a", "b"):
        path.write_bytes(save({name: np.zeros(3, np.float32)}))
        os.utime(path, ns=(1, 1))
        assert open_safetensors(path).names == (name,)
