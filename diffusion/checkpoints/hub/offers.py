"""Offers: what a download of a model would bring, as the Hub lists it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote as quote_url

from huggingface_hub import constants

from diffusion.checkpoints.hub.client_errors import translate_client_errors
from diffusion.checkpoints.hub.listing import RemoteFile, parse_listing
from diffusion.checkpoints.hub.model_names import (
    is_commit,
    is_revision,
    is_single_file,
    repository_folder,
    split_model_name,
)
from diffusion.checkpoints.hub.repository_files import VARIANTS, choose_files, is_weight_file
from diffusion.checkpoints.hub.transfer import fetch_json
from diffusion.errors import ModelNotFoundError, SettingsError, quote


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
    if not is_revision(revision):
        raise SettingsError("revision", revision, "must be a branch, a tag or a commit")
    with translate_client_errors(name):
        address = f"{constants.ENDPOINT}/api/models/{repository}/revision/{quote_url(revision, '')}"
        listing = parse_listing(name, fetch_json(name, f"{address}?blobs=true"))
    remote = {each.name: each for each in listing.files}
    chosen = choose_files(remote, variant) if file is None else [file]
    _check_chosen(name, file, remote, chosen)
    files = tuple(remote[each] for each in chosen)
    check_hashes(name, listing.commit, files)
    folder = repository_folder(repository)
    missing = sum(each.size - bytes_on_disk(folder, listing.commit, each) for each in files)
    licence = quote(listing.licence)[1:-1]
    return Offer(name, revision, listing.commit, licence, listing.gated, files, missing)


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
    for file in files:
        length = 40 if file.sha256 is None else 64
        if not re.fullmatch(rf"[0-9a-f]{{{length}}}", file.blob):
            reason = f"the Hub sent a malformed hash of {quote(file.name)}"
            raise ModelNotFoundError(name, reason, "check HF_ENDPOINT")
    if not is_commit(commit):
        raise ModelNotFoundError(name, "the Hub sent a malformed hash", "check HF_ENDPOINT")


def bytes_on_disk(folder: Path, commit: str, file: RemoteFile) -> int:
    """Return how much of a file is in a repository's ``folder`` of the cache."""
    if (folder / "snapshots" / commit / file.name).exists():
        return file.size
    blob = folder / "blobs" / file.blob
    part = partial_path(blob)
    here = file.size if blob.exists() else part.stat().st_size if part.exists() else 0
    return min(here, file.size)


def partial_path(blob: Path) -> Path:
    """Return the path that holds a blob's beginning until all of it has come."""
    return blob.with_name(f"{blob.name}.avila.incomplete")
