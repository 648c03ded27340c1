"""The factors of LoRA files on the device: whatever their types, and what lies between them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from diffusion.adapters import packed_factors
from diffusion.adapters.packed_factors import PackedFactors
from diffusion.adapters.tensor_group import TensorGroup, read_scalars
from diffusion.checkpoints.safetensors import (
    SafetensorsFile,
    open_safetensors,
    save_safetensors,
    write_safetensors,
)
from diffusion.errors import ModelFormatError
from gpucore import Device, f16, f32
from gpucore.backends.null import NullBackend

ROWS, COLUMNS = 5, 7


def write_file(path: Path, dtypes: list[str], gap: int = 1) -> SafetensorsFile:
    """Write a LoRA of modules of some types, with a number or more between their tensors."""
    rng = np.random.default_rng(len(dtypes))
    shapes: dict[str, tuple[str, tuple[int, ...]]] = {}
    for index, dtype in enumerate(dtypes):
        rank = 1 + index % 3
        shapes[f"{index}.down"] = dtype, (rank, COLUMNS)
        shapes[f"{index}.between"] = dtype, (gap,)
        shapes[f"{index}.alpha"] = dtype, ()
        shapes[f"{index}.up"] = dtype, (ROWS, rank)

    def read(name: str) -> NDArray[np.float32]:
        shape = shapes[name][1]
        return rng.standard_normal(shape, np.float32) if shape else np.full((), 0.5, np.float32)

    write_safetensors(path, shapes, read, {})
    return open_safetensors(path)


def groups_of(file: SafetensorsFile, count: int) -> list[TensorGroup]:
    roles = ("down", "up", "alpha")
    return [
        TensorGroup(file, {role: f"{index}.{role}" for role in roles}, (ROWS, COLUMNS))
        for index in range(count)
    ]


@contextmanager
def null_device(*, has_f16: bool) -> Iterator[Device]:
    info = Device.null().info
    features = info.features if has_f16 else info.features - {"f16"}
    device = Device(NullBackend(replace(info, features=features)))
    yield device
    device.close()


@pytest.mark.parametrize("has_f16", [True, False])
@pytest.mark.parametrize("chunk", [1, 64, 1 << 20])
@pytest.mark.parametrize("gap", [1, 40_000])
def test_factors_lie_where_they_are_said_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, has_f16: bool, chunk: int, gap: int
) -> None:
    monkeypatch.setattr(packed_factors, "_CHUNK", chunk)
    dtypes = ["F16", "F32", "BF16", "F16", "F64", "F16", "BF16"] * 2
    file = write_file(tmp_path / "a.safetensors", dtypes, gap)
    groups = groups_of(file, len(dtypes))
    with null_device(has_f16=has_f16) as device:
        packed = PackedFactors(device, [*groups, groups[0]])
        with packed.reading() as upload:
            upload()
        for group, dtype in zip(groups, dtypes, strict=True):
            for role in ("down", "up"):
                number, first = packed.place(group, role)
                buffer = packed.buffers[number]
                assert buffer.dtype is (f16 if dtype == "F16" and has_f16 else f32)
                expected = file.read(group.names[role]).reshape(-1).astype(buffer.dtype.numpy)
                found = buffer.read()[first : first + expected.size]
                np.testing.assert_array_equal(found, expected)


def test_numbers_are_read_together_and_checked(tmp_path: Path) -> None:
    file = write_file(tmp_path / "a.safetensors", ["F16", "F64", "BF16"])
    groups = groups_of(file, 3)
    known = read_scalars(groups)
    assert [each.scale_of(2, known) for each in groups] == [0.25, 0.25, 0.25]
    assert [each.scale_of(2) for each in groups] == [0.25, 0.25, 0.25]
    save_safetensors(tmp_path / "b.safetensors", {"0.alpha": np.array(1e300)})
    wrong = open_safetensors(tmp_path / "b.safetensors")
    with pytest.raises(ModelFormatError, match=r"0\.alpha.*must be finite, got 1 inf"):
        read_scalars([TensorGroup(wrong, {"alpha": "0.alpha"}, (ROWS, COLUMNS))])


def test_a_file_that_has_changed_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    groups = groups_of(write_file(path, ["F16"] * 4), 4)
    path.write_bytes(path.read_bytes() + b"more")
    packed = PackedFactors(Device.null(), groups)
    with packed.reading() as upload, pytest.raises(ModelFormatError, match="changed"):
        upload()
