"""Downloading an offered model into the cache, from where an earlier download stopped."""

from __future__ import annotations

import glob
import hashlib
import os
import shutil
from pathlib import Path
from typing import BinaryIO, cast

import huggingface_hub
from huggingface_hub import constants

from diffusion.checkpoints.hub.cache import find_model
from diffusion.checkpoints.hub.client_errors import translate_client_errors
from diffusion.checkpoints.hub.model_names import split_model_name
from diffusion.checkpoints.hub.offers import Offer, RemoteFile, bytes_on_disk, partial_path
from diffusion.errors import ModelNotFoundError, OutputError

_SPARE = 2**28
"""Bytes that a download leaves free on the disk."""


def pull(offer: Offer) -> Path:
    """Download an offer and return the model's path.

    Large files come first, each to its place among the cache's blobs. The Hub's client then brings
    the small ones and gives all of them their names. Raises `OutputError`, `ModelNotFoundError`.
    """
    repository, _ = split_model_name(offer.name)
    _check_space(offer)
    with translate_client_errors(offer.name):
        for file in offer.files:
            if file.sha256 and bytes_on_disk(offer.folder, offer.commit, file) < file.size:
                _fetch_blob(offer, repository, file, offer.folder / "blobs" / file.sha256)
        huggingface_hub.snapshot_download(
            repository,
            revision=offer.revision,
            allow_patterns=[glob.escape(file.name) for file in offer.files],
            max_workers=4,
        )
    return find_model(offer.name)


def _fetch_blob(offer: Offer, repository: str, file: RemoteFile, blob: Path) -> None:
    """Download a large file, from where its partial file ends, and check its hash.

    The Hub's client resumes within one run only.
    """
    from huggingface_hub.file_download import http_get
    from huggingface_hub.utils import (  # type: ignore[attr-defined]
        WeakFileLock,
        build_hf_headers,
    )

    part = partial_path(blob)
    blob.parent.mkdir(parents=True, exist_ok=True)
    with WeakFileLock(part.with_suffix(".lock")), part.open("a+b") as target:
        if target.tell() > file.size:
            target.truncate(0)
        begun = target.seek(0, os.SEEK_END)
        if begun < file.size:
            http_get(
                huggingface_hub.hf_hub_url(repository, file.name, revision=offer.commit),
                cast("BinaryIO", _BoundedFile(target, file.size)),
                resume_size=begun,
                headers=build_hf_headers(),
                expected_size=file.size,
                displayed_filename=file.name,
            )
        target.flush()
        os.fsync(target.fileno())
        target.seek(0)
        matches = hashlib.file_digest(target, "sha256").hexdigest() == file.sha256
    if not matches:
        part.unlink()
        reason = f"the content of {file.name} does not have the Hub's hash"
        raise ModelNotFoundError(offer.name, reason, "pull it again")
    part.replace(blob)


class _BoundedFile:
    """A file that takes at most ``most`` bytes, so that an endless answer is not written.

    It has the methods that the Hub's client calls.
    """

    def __init__(self, file: BinaryIO, most: int) -> None:
        self._file = file
        self._most = most

    def write(self, data: bytes) -> int:
        if self._file.tell() + len(data) > self._most:
            raise OSError(f"it sends more than the {self._most} bytes that it named")
        return self._file.write(data)

    def tell(self) -> int:
        return self._file.tell()

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        return self._file.seek(offset, whence)

    def truncate(self, size: int | None = None) -> int:
        return self._file.truncate(size)


def _check_space(offer: Offer) -> None:
    """Raise `OutputError` unless the download fits on the disk."""
    root = Path(constants.HF_HUB_CACHE)
    while not root.exists():
        root = root.parent
    free = shutil.disk_usage(root).free
    if offer.missing + _SPARE > free:
        reason = f"disk full: {offer.missing} bytes are needed, and {free} are free"
        raise OutputError(root, reason, "free some space, or set HF_HOME to another disk")
