"""Downloading an offered model into the cache, from where an earlier download stopped.

Each file comes by the commit that the offer shows, and gets its name only once its content has the
hash that the offer names.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO
from urllib.parse import quote as quote_url

from huggingface_hub import constants

from diffusion.checkpoints.file_kinds import PROBE_BYTES, recognise_file
from diffusion.checkpoints.hub.cache import cached_model
from diffusion.checkpoints.hub.client_errors import (
    translate_client_errors,
    web_page_error,
)
from diffusion.checkpoints.hub.listing import RemoteFile
from diffusion.checkpoints.hub.model_names import split_model_name
from diffusion.checkpoints.hub.offers import Offer, partial_path
from diffusion.checkpoints.hub.transfer import chunks, open_answer
from diffusion.errors import ModelNotFoundError, OutputError, StoppedError

Progress = Callable[[str, int], None]
"""Takes a file's name, and how many of its bytes are here."""

_SPARE = 2**28
"""Bytes that a download leaves free on the disk."""

_ATTEMPTS = 3
"""How often a connection may break off without a byte before a download gives up."""


def pull(offer: Offer, progress: Progress | None = None) -> Path:
    """Download an offer and return the model's path.

    Each file comes to its place among the cache's blobs, large ones first, and is then named.
    ``progress`` may raise `StoppedError` to stop; a later download goes on from there.
    Raises `OutputError`, `ModelNotFoundError`.
    """
    _check_space(offer)
    for file in sorted(offer.files, key=lambda each: -each.size):
        blob = offer.folder / "blobs" / file.blob
        place = offer.folder / "snapshots" / offer.commit / file.name
        if not blob.exists() and place.exists() and place.stat().st_size == file.size:
            continue  # a copy, from a system without symbolic links
        if not blob.exists():
            with translate_client_errors(offer.name):
                _fetch_blob(offer, file, blob, progress or (lambda name, done: None))
        _name_blob(blob, place)
    _name_commit(offer)
    found = cached_model(offer.name, offer.commit)
    assert found is not None
    return found.path


def _fetch_blob(offer: Offer, file: RemoteFile, blob: Path, progress: Progress) -> None:
    """Download a file, from where its partial file ends, and check its hash."""
    from huggingface_hub.utils import WeakFileLock  # type: ignore[attr-defined]

    part = partial_path(blob)
    lock = Path(constants.HF_HUB_CACHE, ".locks", offer.folder.name, f"{file.blob}.lock")
    with _writing(part):
        blob.parent.mkdir(parents=True, exist_ok=True)
        lock.parent.mkdir(parents=True, exist_ok=True)
    with WeakFileLock(lock), _open_part(part) as target:
        if target.tell() > file.size:
            target.truncate(0)
        _fetch_rest(offer, file, target, progress)
        with _writing(part):
            target.flush()
            os.fsync(target.fileno())
        if _hash_of(target, file) != file.blob:
            _check_start(offer.name, target)
            target.truncate(0)
            reason = f"the content of {file.name} does not have the Hub's hash"
            raise ModelNotFoundError(offer.name, reason, "pull it again")
    with _writing(blob):
        part.replace(blob)


def _open_part(part: Path) -> BinaryIO:
    """Open the partial file for appending. Raises `OutputError`."""
    with _writing(part):
        return part.open("a+b")


def _fetch_rest(offer: Offer, file: RemoteFile, target: BinaryIO, progress: Progress) -> None:
    """Append what is missing of a file; ask again where the connection breaks off."""
    repository, _ = split_model_name(offer.name)
    url = f"{constants.ENDPOINT}/{repository}/resolve/{offer.commit}/{quote_url(file.name)}"
    attempts = 0
    while (begun := target.seek(0, os.SEEK_END)) < file.size:
        fault: Exception | None = None
        try:
            _append(offer.name, url, file, target, progress)
        except ConnectionError:
            raise
        except Exception as error:
            if isinstance(error, ModelNotFoundError | OutputError | StoppedError):
                raise
            fault = error
        came = target.seek(0, os.SEEK_END)
        attempts = attempts + 1 if came <= begun else 0
        if attempts >= _ATTEMPTS:
            _check_start(offer.name, target)
            raise fault or ConnectionError(
                f"it sends {came} of the {file.size} bytes of {file.name}"
            )


def _check_start(name: str, target: BinaryIO) -> None:
    """Empty a file that begins as a web page does. Raises `ModelNotFoundError` for it."""
    target.seek(0)
    kind = recognise_file(target.read(PROBE_BYTES))
    if kind is not None and "web page" in kind.reason:
        target.truncate(0)
        raise web_page_error(name)


def _append(name: str, url: str, file: RemoteFile, target: BinaryIO, progress: Progress) -> None:
    """Append what one answer brings, which may break off."""
    begun = target.tell()
    with open_answer(name, url, begun) as response:
        if begun and response.status_code == 200:  # the server sends all of it again
            target.truncate(0)
            begun = target.seek(0)
        done = begun
        for chunk in chunks(response):
            done += len(chunk)
            if done > file.size:
                raise ConnectionError(f"it sends more than the {file.size} bytes that it named")
            with _writing(Path(target.name)):
                target.write(chunk)
            progress(file.name, done)


def _hash_of(target: BinaryIO, file: RemoteFile) -> str:
    """Return the hash of a file's content, of the kind that the Hub gives for it."""
    target.seek(0)
    digest = hashlib.sha256()
    if file.sha256 is None:  # git's name of a blob; a hostile Hub chooses the content anyhow
        digest = hashlib.sha1(b"blob %d\0" % file.size, usedforsecurity=False)
    while block := target.read(2**20):
        digest.update(block)
    return digest.hexdigest()


def _name_blob(blob: Path, place: Path) -> None:
    """Give a blob its name in the snapshot: a link, or a copy where links are not supported."""
    if place.exists() and place.samefile(blob):
        return
    with _writing(place):
        place.parent.mkdir(parents=True, exist_ok=True)
        place.unlink(missing_ok=True)
        try:
            place.symlink_to(os.path.relpath(blob, place.parent))
        except OSError:  # Windows without the right to make links
            shutil.copyfile(blob, place)


def _name_commit(offer: Offer) -> None:
    """Write which commit the branch or tag stands for, once all files are here."""
    if offer.revision == offer.commit:
        return
    place = offer.folder / "refs" / offer.revision
    draft = place.with_name(f"{place.name}.{os.getpid()}.tmp")
    with _writing(place):
        place.parent.mkdir(parents=True, exist_ok=True)
        draft.write_text(offer.commit, encoding="utf-8")
        draft.replace(place)


@contextmanager
def _writing(place: Path) -> Iterator[None]:
    """Turn an error of the system inside the block into `OutputError`."""
    try:
        yield
    except OSError as error:
        hint = "free some space, or set HF_HOME to another disk"
        raise OutputError(place, error.strerror or str(error), hint) from error


def _check_space(offer: Offer) -> None:
    """Raise `OutputError` unless the download fits on the disk."""
    root = Path(constants.HF_HUB_CACHE)
    with _writing(root):
        while not root.exists():
            root = root.parent
        free = shutil.disk_usage(root).free
    if offer.missing + _SPARE > free:
        reason = f"disk full: {offer.missing} bytes are needed, and {free} are free"
        raise OutputError(root, reason, "free some space, or set HF_HOME to another disk")
