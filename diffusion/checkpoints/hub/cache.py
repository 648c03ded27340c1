"""The Hub's cache on this machine: finding, checking and removing the models in it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from warnings import warn

import huggingface_hub
from huggingface_hub import constants

from diffusion.checkpoints.file_errors import reading
from diffusion.checkpoints.hub.model_names import (
    is_commit,
    is_model_name,
    is_single_file,
    repository_folder,
    split_model_name,
)
from diffusion.errors import ModelNotFoundError

_REFERENCE_BYTES = 100
_LICENCE = re.compile(r"^license(?:_name)?:\s*[\"']?([\w.-]{1,60})", re.MULTILINE)


@dataclass(frozen=True)
class CachedModel:
    """A model in the cache; ``path`` is the folder of one revision, or a single file in it."""

    name: str
    commit: str
    path: Path

    @property
    def folder(self) -> Path:
        """The revision's folder."""
        return self.path if self.path.is_dir() else self.path.parent

    @property
    def size(self) -> int:
        """Bytes of all files of the revision, or of the single file."""
        return bytes_of(self.folder if self.path.is_dir() else self.path)

    @property
    def licence(self) -> str:
        """The licence that the model's card names, or ``unknown``."""
        try:
            with (self.folder / "README.md").open(encoding="utf-8", errors="replace") as card:
                head = card.read(10_000)
        except OSError:
            return "unknown"
        found = _LICENCE.search(head)
        return found[1] if found else "unknown"


def bytes_of(path: Path) -> int:
    """Return the bytes of a file, or of all files in a folder; what cannot be read counts as 0."""
    total = 0
    for file in path.rglob("*") if path.is_dir() else [path]:
        with suppress(OSError):
            total += file.stat().st_size if file.is_file() else 0
    return total


def find_model(text: str | Path) -> Path:
    """Return the path of a model: a path that exists, else a name in the cache.

    Raises `ModelNotFoundError`.
    """
    name = text.as_posix() if isinstance(text, Path) else text
    try:
        path = Path(text).expanduser()
        exists = path.exists()
    except (OSError, RuntimeError) as error:  # too long, or the home folder of an unknown user
        reason = f"cannot be looked up: {getattr(error, 'strerror', None) or error}"
        raise ModelNotFoundError(name, reason, "check the path and its rights") from error
    if exists or not is_model_name(name):
        return path
    found = cached_model(name)
    if found is None:
        hint = f"check the path, or download it: avila model pull {name}"
        raise ModelNotFoundError(name, "is no file here and not in the cache", hint)
    return found.path


def cached_model(name: str, revision: str = "main") -> CachedModel | None:
    """Return a model in the cache, or None. Raises `SettingsError`, `ModelNotFoundError`."""
    repository, file = split_model_name(name)
    folder = repository_folder(repository)
    with reading(folder):
        commit = _read_reference(folder / "refs" / revision) or revision
        snapshot = folder / "snapshots" / commit
        if not is_commit(commit) or not snapshot.is_dir():
            return None
        if file is None:
            return CachedModel(name, commit, _model_path(name, snapshot))
        return CachedModel(name, commit, snapshot / file) if (snapshot / file).exists() else None


def _read_reference(file: Path) -> str | None:
    """Return the commit that a branch's or tag's file names; None where it names none."""
    try:
        with file.open("rb") as opened:
            commit = opened.read(_REFERENCE_BYTES).decode("ascii").strip()
    except (OSError, ValueError):
        return None
    return commit if is_commit(commit) else None


def _model_path(name: str, snapshot: Path) -> Path:
    """Return the snapshot's folder, or its single file where that is all the model is.

    Raises `ModelNotFoundError` for several single files.
    """
    files = sorted(each for each in snapshot.glob("*.*") if is_single_file(each.name))
    if (snapshot / "model_index.json").exists() or not files:
        return snapshot
    if len(files) > 1:
        hint = f"name one: {name}/{files[0].name}"
        raise ModelNotFoundError(name, f"holds {len(files)} single files", hint)
    return files[0]


def cached_models() -> list[CachedModel]:
    """Return every model in the cache that this project may read, by name.

    Warn of those that the cache's own files hide: damaged, or without the right to read them.
    """
    found: list[CachedModel] = []
    for folder in sorted(Path(constants.HF_HUB_CACHE).glob("models--*--*")):
        repository = folder.name.removeprefix("models--").replace("--", "/", 1)
        if not is_model_name(repository):
            continue
        try:
            found += _repository_models(repository, folder)
        except OSError as error:
            warn(f"{repository} is not listed: {folder}: {error.strerror}", stacklevel=2)
    return list({(model.name, model.commit): model for model in found}.values())


def _repository_models(repository: str, folder: Path) -> Iterator[CachedModel]:
    """Yield the models of each revision of a repository. Raises `OSError`."""
    for reference in sorted((folder / "refs").glob("*")):
        commit = _read_reference(reference)
        if commit is not None:
            yield from _snapshot_models(repository, commit, folder / "snapshots" / commit)
        elif not reference.is_dir():
            warn(f"{repository} is not listed: {reference} names no commit", stacklevel=3)


def _snapshot_models(repository: str, commit: str, snapshot: Path) -> list[CachedModel]:
    """Return the models in one snapshot: a folder, or each of its single files."""
    if (snapshot / "model_index.json").exists():
        return [CachedModel(repository, commit, snapshot)]
    files = sorted(each for each in snapshot.glob("*.*") if is_single_file(each.name))
    return [CachedModel(f"{repository}/{file.name}", commit, file) for file in files]


def remove_model(model: CachedModel) -> int:
    """Delete a model's revision from the cache; return how many bytes that frees."""
    plan = huggingface_hub.scan_cache_dir().delete_revisions(model.commit)
    plan.execute()
    return plan.expected_freed_size


def verify_hashes(model: CachedModel) -> Iterator[tuple[Path, bool | None]]:
    """Yield each file of a model, and whether its content has the hash that the Hub gave it.

    The cache keeps a file under its hash: SHA-256, or git's for small ones. None stands for a
    plain copy, whose hash is not known (as on systems without symbolic links).
    """
    with reading(model.path):
        places = sorted(model.folder.rglob("*")) if model.path.is_dir() else [model.path]
        files = [file for file in places if file.is_file()]
    for file in files:
        with reading(file):
            found = _has_its_hash(file)
        yield file, found


def _has_its_hash(file: Path) -> bool | None:
    """Tell whether a file's content has the hash in its target's name; None without a hash."""
    name = file.resolve().name
    if not file.is_symlink() or not re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", name):
        return None
    if len(name) == 64:
        digest = hashlib.sha256()
    else:  # git's name of a blob; no protection is asked of it
        digest = hashlib.sha1(b"blob %d\0" % file.stat().st_size, usedforsecurity=False)
    with file.open("rb") as content:
        while block := content.read(2**20):
            digest.update(block)
    return digest.hexdigest() == name
