"""Folders of adapters: names stay inside, aliases and hashes find files."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
from huggingface_hub import constants
from safetensors.numpy import save_file

from diffusion.adapters import NO_LORAS, LoraFolder, hash_of_file
from diffusion.errors import ModelNotFoundError, SettingsError


def write(path: Path, value: float, alias: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    metadata = {"ss_output_name": alias} if alias else None
    save_file({"x": np.full(4, value, np.float32)}, path, metadata=metadata)
    return path


def test_names_paths_and_aliases_find_files(tmp_path: Path) -> None:
    a = write(tmp_path / "a.safetensors", 1, "Alias")
    b = write(tmp_path / "sub" / "b.safetensors", 2)
    folder = LoraFolder(tmp_path)
    assert folder.names == ["a", "sub/b"]
    assert folder.find("a") == folder.find("Alias") == a
    assert folder.find("b") == folder.find("sub/b") == b


@pytest.mark.parametrize(
    "name", ["../secret", "/etc/passwd", "a.safetensors", "./a", "sub/../a", "a\0", "none", ""]
)
def test_names_never_leave_the_folder(tmp_path: Path, name: str) -> None:
    write(tmp_path / "secret.safetensors", 1)
    write(tmp_path / "loras" / "a.safetensors", 1, "none")
    (tmp_path / "loras" / "link.safetensors").symlink_to(tmp_path / "secret.safetensors")
    folder = LoraFolder(tmp_path / "loras")
    assert folder.names == ["a"]
    with pytest.raises(SettingsError, match=r"no such \.safetensors file"):
        folder.find(name)


def test_a_name_of_two_files_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "x" / "a.safetensors", 1, "same")
    write(tmp_path / "y" / "a.safetensors", 2, "same")
    folder = LoraFolder(tmp_path)
    with pytest.raises(SettingsError, match="write one of 'x/a', 'y/a'"):
        folder.find("a")
    with pytest.raises(SettingsError, match="no such"):
        folder.find("same")


def test_a_misspelled_name_is_told(tmp_path: Path) -> None:
    write(tmp_path / "detail.safetensors", 1)
    with pytest.raises(SettingsError, match="did you mean 'detail'"):
        LoraFolder(tmp_path).find("detial")
    with pytest.raises(SettingsError, match="--loras FOLDER"):
        NO_LORAS.find("detail")
    with pytest.raises(SettingsError, match="must be a folder"):
        LoraFolder(tmp_path / "absent")


def test_hashes_leave_the_header_out(tmp_path: Path) -> None:
    plain = write(tmp_path / "a.safetensors", 1)
    noted = write(tmp_path / "b.safetensors", 1, "notes in the header")
    other = write(tmp_path / "c.safetensors", 2)
    digest = hashlib.sha256(np.full(4, 1, np.float32).tobytes()).hexdigest()[:12]
    assert hash_of_file(plain) == hash_of_file(noted) == digest
    assert LoraFolder(tmp_path).find_hash(hash_of_file(other)) == "c"
    assert LoraFolder(tmp_path).find_hash("0" * 12) is None


def test_names_are_found_in_the_hubs_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the folder has none: a repository of one file, or a file of one of several."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    commit = "0123456789abcdef0123456789abcdef01234567"
    for name, files in {"ann--neon": ["neon"], "ann--many": ["a", "b"]}.items():
        place = tmp_path / "hub" / f"models--{name}"
        (place / "refs").mkdir(parents=True)
        (place / "refs" / "main").write_text(commit, encoding="utf-8")
        for each in files:
            write(place / "snapshots" / commit / f"{each}.safetensors", 1)
    own = write(tmp_path / "loras" / "ann" / "neon.safetensors", 2)
    neon = tmp_path / "hub" / "models--ann--neon" / "snapshots" / commit / "neon.safetensors"
    assert NO_LORAS.find("ann/neon") == NO_LORAS.find("ann/neon/neon.safetensors") == neon
    assert LoraFolder(tmp_path / "loras").find("ann/neon") == own
    with pytest.raises(ModelNotFoundError, match=r"name one: ann/many/a\.safetensors"):
        NO_LORAS.find("ann/many")
    with pytest.raises(SettingsError, match="--loras FOLDER"):
        NO_LORAS.find("ann/other")
