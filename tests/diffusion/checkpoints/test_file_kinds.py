"""A file in place of a model is told by its first bytes, whatever its name."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from diffusion.checkpoints import open_model, open_safetensors, save_safetensors
from diffusion.checkpoints.pytorch import open_torch
from diffusion.errors import ModelFormatError
from tests.diffusion.checkpoints.small_folder import random_tensors


def picture(kind: str) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (64, 64), "red").save(file, kind)
    return file.getvalue()


def tar() -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("a"))
    return file.getvalue()


def zipped() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("a.txt", "a" * 1000)
    return file.getvalue()


def array() -> bytes:
    file = io.BytesIO()
    np.save(file, np.zeros(100))
    return file.getvalue()


KINDS = {
    "PNG": picture("PNG"),
    "JPEG": picture("JPEG"),
    "WebP": picture("WEBP"),
    "GIF": picture("GIF"),
    "TIFF": picture("TIFF"),
    "AVIF": b"\0\0\0\x20ftypavif\0\0\0\0" + bytes(600),
    "video": b"\0\0\0\x20ftypisom\0\0\0\0" + bytes(600),
    "zip archive": zipped(),
    "gzip archive": gzip.compress(bytes(10**5)),
    "bzip2 archive": bz2.compress(bytes(10**5)),
    "xz archive": lzma.compress(bytes(10**5)),
    "7z archive": b"7z\xbc\xaf\x27\x1c\0\x04" + bytes(600),
    "RAR archive": b"Rar!\x1a\x07\x01\0" + bytes(600),
    "Zstandard archive": b"\x28\xb5\x2f\xfd\x04" + bytes(600),
    "tar archive": tar(),
    "web page": b"<!DOCTYPE html><html>" + b" " * 600,
    "JSON text": b'{"a": 1}' + b" " * 600,
    "git-LFS pointer": b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n",
    "GGUF file": b"GGUF\3\0\0\0" + bytes(600),
    "old file of ggml": b"tjgg\3\0\0\0" + bytes(600),
    "ONNX model": b"\x08\x07\x12\x07pytorch\x1a\x052.0.1" + bytes(600),
    "TensorFlow Lite model": b"\x1c\0\0\0TFL3" + bytes(600),
    "HDF5 file": b"\x89HDF\r\n\x1a\n" + bytes(600),
    "array of NumPy": array(),
    "PDF document": b"%PDF-1.7\n" + bytes(600),
    "program": b"\x7fELF\2\1\1" + bytes(600),
    "database": b"SQLite format 3\0" + bytes(600),
    "Python pickle": b"\x80\x02}q\0(X\x01\0\0\0aq\x01K\x01u." + bytes(600),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_says_what_it_is(kind: str, tmp_path: Path) -> None:
    for name, opener in (
        ("a.safetensors", open_safetensors),
        ("a.safetensors", open_model),
        ("a.png", open_model),
        ("a", open_model),
        ("a.png", open_safetensors),
    ):
        (tmp_path / name).write_bytes(KINDS[kind])
        with pytest.raises(ModelFormatError) as error:
            opener(tmp_path / name)
        assert kind in error.value.reason, name


@pytest.mark.parametrize("kind", sorted(set(KINDS) - {"zip archive", "Python pickle"}))
def test_a_checkpoint_says_what_it_is(kind: str, tmp_path: Path) -> None:
    (tmp_path / "a.ckpt").write_bytes(KINDS[kind])
    with pytest.raises(ModelFormatError) as error:
        open_torch(tmp_path / "a.ckpt")
    assert kind in error.value.reason


def test_safetensors_under_another_name(tmp_path: Path) -> None:
    save_safetensors(tmp_path / "a.ckpt", random_tensors("a"))
    with pytest.raises(ModelFormatError, match="this is a safetensors file"):
        open_torch(tmp_path / "a.ckpt")
    (tmp_path / "a.ckpt").rename(tmp_path / "a.model")
    with pytest.raises(ModelFormatError, match=r"give it a name that ends in \.safetensors"):
        open_model(tmp_path / "a.model")
    assert open_safetensors(tmp_path / "a.model").names == ("a",)
