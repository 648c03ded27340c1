"""Offers: what a download of a model would bring, as the Hub lists it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import huggingface_hub

from diffusion.checkpoints.hub.client_errors import translate_client_errors
from diffusion.checkpoints.hub.model_names import (
    is_commit,
    is_single_file,
    repository_folder,
    split_model_name,
)
from diffusion.checkpoints.hub.repository_files import VARIANTS, choose_files, is_weight_file
from diffusion.errors import ModelNotFoundError, SettingsError, quote


@dataclass(frozen=True)
class RemoteFile:
    """A file of a repository, its size in bytes, and for large ones the hash of its content."""

    name: str
    size: int
    sha256: str | None = None


@dataclass(frozen=True)
class Offer:
    """A model that can be downloaded. ``missing``: bytes that are not on this machine yet."""

    name: str
    revision: str
    commit: str
    licence: str
    gated: bool
    files: tuple[RemoteFile, ...]
    missing: int

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files)

    @property
    def folder(self) -> Path:
        """The repository's folder in the cache."""
        return repository_folder(split_model_name(self.name)[0])


def fetch_offer(name: str, revision: str = "main", variant: str | None = None) -> Offer:
    """Ask the Hub what a download would bring; nothing is downloaded.

    Raises `SettingsError`, `ModelNotFoundError`.
    """
    repository, file = split_model_name(name)
    if variant not in (None, *VARIANTS):
        raise SettingsError("variant", variant, f"must be one of {', '.join(VARIANTS)}")
    with translate_client_errors(name):
        info = huggingface_hub.HfApi().model_info(
            repository, revision=revision, files_metadata=True, timeout=30
        )
    remote = {
        each.rfilename: RemoteFile(
            each.rfilename, each.size or 0, each.lfs.sha256 if each.lfs else None
        )
        for each in info.siblings or []
    }
    chosen = choose_files(remote, variant) if file is None else [file]
    _check_chosen(name, file, remote, chosen)
    files = tuple(remote[each] for each in chosen)
    commit = info.sha or ""
    check_hashes(name, commit, files)
    folder = repository_folder(repository)
    missing = sum(each.size - bytes_on_disk(folder, commit, each) for each in files)
    named = (getattr(info.card_data, key, None) for key in ("license_name", "license"))
    licence = next((str(each) for each in named if each), "unknown")
    return Offer(name, revision, commit, quote(licence)[1:-1], bool(info.gated), files, missing)


def _check_chosen(name: str, file: str | None, remote: Iterable[str], chosen: list[str]) -> None:
    """Raise `ModelNotFoundError` unless the chosen files make a model."""
    singles = sorted(each for each in remote if is_single_file(each))
    if file is None and "model_index.json" not in chosen:
        hint = f"name one of its files: {name}/{singles[0]}" if singles else "check the name"
        raise ModelNotFoundError(name, "is no model in the diffusers folder layout", hint)
    if file is not None and file not in singles:
        hint = f"it has {', '.join(map(quote, singles[:5]))}" if singles else "check the name"
        raise ModelNotFoundError(name, "the repository has no such file", hint)
    if file is None and not any(is_weight_file(each) for each in chosen):
        reason = "has no weights as safetensors; pickles can run code and are not downloaded"
        raise ModelNotFoundError(name, reason, "look for a copy of the model as safetensors")


def check_hashes(name: str, commit: str, files: Iterable[RemoteFile]) -> None:
    """Raise `ModelNotFoundError` for a malformed hash: the cache names its files by them."""
    hashes = (file.sha256 for file in files if file.sha256 is not None)
    if not is_commit(commit) or not all(re.fullmatch(r"[0-9a-f]{64}", each) for each in hashes):
        raise ModelNotFoundError(name, "the Hub sent a malformed hash", "check HF_ENDPOINT")


def bytes_on_disk(folder: Path, commit: str, file: RemoteFile) -> int:
    """Return how much of a file is in a repository's ``folder`` of the cache."""
    if (folder / "snapshots" / commit / file.name).exists():
        return file.size
    if file.sha256 is None:
        return 0
    blob = folder / "blobs" / file.sha256
    part = partial_path(blob)
    return file.size if blob.exists() else part.stat().st_size if part.exists() else 0


def partial_path(blob: Path) -> Path:
    """Return the path that holds a blob's beginning until all of it has come."""
    return blob.with_name(f"{blob.name}.avila.incomplete")
