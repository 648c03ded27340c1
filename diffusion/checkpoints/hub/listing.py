"""What the Hub says of a repository: its commit, its files and its licence, checked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

__all__ = ["Listing", "RemoteFile", "parse_listing"]

MOST_FILES = 100_000
LARGEST_FILE = 2**43
"""Bytes."""


@dataclass(frozen=True)
class RemoteFile:
    """A file of a repository, its size in bytes, and the hash of its content.

    The Hub gives ``sha256`` for large files, and git's name of the blob (``git_hash``) for all.
    """

    name: str
    size: int
    sha256: str | None = None
    git_hash: str | None = None

    @property
    def blob(self) -> str:
        """The hash, by which the cache names the file; "" where the Hub gives none."""
        return self.git_hash or "" if self.sha256 is None else self.sha256


class Listing(NamedTuple):
    """A revision of a repository."""

    commit: str
    licence: str
    gated: bool
    files: tuple[RemoteFile, ...]


def parse_listing(name: str, tree: dict[str, Any]) -> Listing:
    """Return what the Hub's JSON object says of the model ``name``. Raises `ConnectionError`."""
    siblings = tree.get("siblings")
    if not isinstance(siblings, list) or len(siblings) > MOST_FILES:
        raise ConnectionError(f"it sends no list of the files of {name}")
    commit = tree.get("sha")
    return Listing(
        commit if isinstance(commit, str) else "",
        _licence(tree.get("cardData")),
        bool(tree.get("gated")),
        tuple(_parse_file(each) for each in siblings),
    )


def _parse_file(entry: object) -> RemoteFile:
    """Return a file of the list. Raises `ConnectionError`."""
    if not isinstance(entry, dict):
        raise ConnectionError("it lists something that is no file")
    found, large, git_hash = entry.get("rfilename"), entry.get("lfs"), entry.get("blobId")
    size = entry.get("size") or 0
    if not isinstance(found, str) or type(size) is not int or not 0 <= size <= LARGEST_FILE:
        raise ConnectionError("it lists a file without a name or a size")
    sha256 = large.get("sha256") if isinstance(large, dict) else None
    if large is not None and not isinstance(sha256, str):
        raise ConnectionError("it lists a large file without a hash")
    return RemoteFile(found, size, sha256, git_hash if isinstance(git_hash, str) else None)


def _licence(card: object) -> str:
    """Return the licence that the model's card names, or ``unknown``."""
    if not isinstance(card, dict):
        return "unknown"
    named = (card.get("license_name"), card.get("license"))
    texts = (each[0] if isinstance(each, list) and each else each for each in named)
    return next((each for each in texts if isinstance(each, str) and each), "unknown")
