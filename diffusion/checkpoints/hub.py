"""Models on the Hugging Face Hub, and in its cache on this machine, which other tools share.

A name is ``owner/name`` for a model folder in the diffusers layout, or ``owner/name/FILE`` for one
``.safetensors`` file of a repository. Only the files that this project reads are ever downloaded:
no pickles, no code. ``HF_HOME``, ``HF_HUB_CACHE``, ``HF_ENDPOINT``, ``HF_TOKEN`` and
``HF_HUB_OFFLINE`` mean what they mean elsewhere; nothing here reaches the network but `offered`
and `pull`.
"""

from __future__ import annotations

import glob
import hashlib
import os
import re
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

import huggingface_hub
from huggingface_hub import constants

from diffusion.errors import ModelNotFoundError, OutputError, SettingsError, quoted

__all__ = [
    "CachedModel",
    "Offer",
    "RemoteFile",
    "cached_model",
    "cached_models",
    "chosen_files",
    "find_model",
    "offered",
    "pull",
    "remove",
    "verified",
]

VARIANTS = ("plain", "fp16")
"""What `offered` may be asked for: the weights as they are, or their half-size copies."""

_PART = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,95}"
_NAME = re.compile(rf"(?P<repository>{_PART}/{_PART})(?:/(?P<file>{_PART}\.safetensors))?")
_KEPT = re.compile(
    r"model_index\.json|README\.md|LICEN[CS]E[\w.-]*|scheduler/scheduler_config\.json"
    r"|(?:unet|vae|text_encoder|text_encoder_2)/config\.json"
    r"|tokenizer(?:_2)?/(?:vocab\.json|merges\.txt|special_tokens_map\.json|tokenizer_config\.json)"
)
_WEIGHTS = re.compile(
    r"(?P<part>(?:unet|vae)(?=/diff)|text_encoder(?:_2)?(?=/model))/(?:diffusion_pytorch_model|model)"
    r"(?:\.(?P<variant>fp16))?(?:-\d{5}-of-\d{5})?"
    r"\.safetensors(?:\.index(?:\.(?P<late>fp16))?\.json)?"
)
_LICENCE = re.compile(r"^license(?:_name)?:\s*[\"']?([\w.-]{1,60})", re.MULTILINE)
_SPARE = 2**28
"""Bytes that a download leaves free on the disk."""


@dataclass(frozen=True)
class RemoteFile:
    """A file of a repository, its size in bytes, and for large ones the hash of its content."""

    name: str
    size: int
    sha256: str | None = None


@dataclass(frozen=True)
class Offer:
    """What a download would bring. ``missing``: bytes that are not on this machine yet."""

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
    def place(self) -> Path:
        """The repository's folder in the cache."""
        return _place(_parsed(self.name)[0])


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
        files = self.folder.rglob("*") if self.path.is_dir() else [self.path]
        return sum(file.stat().st_size for file in files if file.is_file())

    @property
    def licence(self) -> str:
        """What the model's card says, or ``unknown``."""
        try:
            with (self.folder / "README.md").open(encoding="utf-8", errors="replace") as card:
                head = card.read(10_000)
        except OSError:
            return "unknown"
        found = _LICENCE.search(head)
        return found[1] if found else "unknown"


def _parsed(name: str) -> tuple[str, str | None]:
    """The repository and the file in it. Raises `SettingsError`."""
    found = _NAME.fullmatch(name)
    if found is None or ".." in name:
        hint = "give owner/name, or owner/name/FILE.safetensors"
        raise SettingsError("model", name, hint)
    return found["repository"], found["file"]


def _place(repository: str) -> Path:
    """A repository's folder in the cache."""
    return Path(constants.HF_HUB_CACHE) / f"models--{repository.replace('/', '--')}"


def find_model(text: str | Path) -> Path:
    """The path of a model: a path that exists, else a name in the cache.

    Raises `ModelNotFoundError`.
    """
    name = text.as_posix() if isinstance(text, Path) else text
    try:
        path = Path(text).expanduser()
        exists = path.exists()
    except (OSError, RuntimeError) as error:  # too long, or the home of nobody
        raise ModelNotFoundError(quoted(name), "cannot be a path", "check the path") from error
    if exists or not _NAME.fullmatch(name) or ".." in name:
        return path
    found = cached_model(name)
    if found is None:
        hint = f"check the path, or download it: avila model pull {name}"
        raise ModelNotFoundError(name, "is no file here and not in the cache", hint)
    return found.path


def cached_model(name: str, revision: str = "main") -> CachedModel | None:
    """A model in the cache, or None. Raises `SettingsError`, `ModelNotFoundError`."""
    repository, file = _parsed(name)
    place = _place(repository)
    try:
        commit = (place / "refs" / revision).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        commit = revision
    snapshot = place / "snapshots" / commit
    if not re.fullmatch(r"[0-9a-f]{40}", commit) or not snapshot.is_dir():
        return None
    if file is not None:
        return CachedModel(name, commit, snapshot / file) if (snapshot / file).exists() else None
    return CachedModel(name, commit, _path_within(name, snapshot))


def _path_within(name: str, snapshot: Path) -> Path:
    """The folder, or the single file where that is all the model is."""
    files = sorted(snapshot.glob("*.safetensors"))
    if (snapshot / "model_index.json").exists() or not files:
        return snapshot
    if len(files) > 1:
        hint = f"name one: {name}/{files[0].name}"
        raise ModelNotFoundError(name, f"holds {len(files)} single files", hint)
    return files[0]


def cached_models() -> list[CachedModel]:
    """Every model in the cache that this project may read, by name."""
    root = Path(constants.HF_HUB_CACHE)
    found = []
    for place in sorted(root.glob("models--*--*")):
        repository = place.name.removeprefix("models--").replace("--", "/", 1)
        for reference in sorted(path for path in (place / "refs").glob("*") if path.is_file()):
            commit = reference.read_text(encoding="utf-8").strip()
            snapshot = place / "snapshots" / commit
            if _NAME.fullmatch(repository) and re.fullmatch(r"[0-9a-f]{40}", commit):
                found += _models_within(repository, commit, snapshot)
    return list({(model.name, model.commit): model for model in found}.values())


def _models_within(repository: str, commit: str, snapshot: Path) -> list[CachedModel]:
    if (snapshot / "model_index.json").exists():
        return [CachedModel(repository, commit, snapshot)]
    files = sorted(snapshot.glob("*.safetensors"))
    return [CachedModel(f"{repository}/{file.name}", commit, file) for file in files]


def chosen_files(names: Iterable[str], variant: str | None = None) -> list[str]:
    """The files of a repository in the diffusers layout that are downloaded.

    ``variant``: one of `VARIANTS`; None for ``fp16`` where every part has it, else ``plain``. A
    part that lacks the variant comes in the other.
    """
    names = list(names)
    weights = [(name, match) for name in names if (match := _WEIGHTS.fullmatch(name))]
    kinds: dict[str, set[str]] = {}
    for _, match in weights:
        kinds.setdefault(match["part"], set()).add(_variant(match))
    if variant is None:
        variant = "fp16" if all("fp16" in found for found in kinds.values()) else "plain"
    taken = {part: variant if variant in found else min(found) for part, found in kinds.items()}
    chosen = [name for name, match in weights if taken[match["part"]] == _variant(match)]
    return sorted([name for name in names if _KEPT.fullmatch(name)] + chosen)


def _variant(match: re.Match[str]) -> str:
    return match["variant"] or match["late"] or "plain"


def offered(name: str, revision: str = "main", variant: str | None = None) -> Offer:
    """Ask the Hub what a download would bring; nothing is downloaded.

    Raises `SettingsError`, `ModelNotFoundError`.
    """
    repository, file = _parsed(name)
    if variant not in (None, *VARIANTS):
        raise SettingsError("variant", variant, f"give one of {', '.join(VARIANTS)}")
    with _told(name):
        info = huggingface_hub.HfApi().model_info(
            repository, revision=revision, files_metadata=True, timeout=30
        )
    remote = {
        each.rfilename: RemoteFile(
            each.rfilename, each.size or 0, each.lfs.sha256 if each.lfs else None
        )
        for each in info.siblings or []
    }
    chosen = chosen_files(remote, variant) if file is None else [file]
    _check_chosen(name, file, remote, chosen)
    files = tuple(remote[each] for each in chosen)
    commit = info.sha or ""
    _check_hashes(name, commit, files)
    missing = sum(each.size - _bytes_here(_place(repository), commit, each) for each in files)
    named = (getattr(info.card_data, key, None) for key in ("license_name", "license"))
    licence = next((str(each) for each in named if each), "unknown")
    return Offer(name, revision, commit, quoted(licence)[1:-1], bool(info.gated), files, missing)


def _check_chosen(name: str, file: str | None, sizes: Iterable[str], chosen: list[str]) -> None:
    """Raise `ModelNotFoundError` unless the files make a model."""
    singles = sorted(each for each in sizes if re.fullmatch(rf"{_PART}\.safetensors", each))
    if file is None and "model_index.json" not in chosen:
        hint = f"name one of its files: {name}/{singles[0]}" if singles else "check the name"
        raise ModelNotFoundError(name, "is no model in the diffusers folder layout", hint)
    if file is not None and file not in singles:
        hint = f"it has {', '.join(map(quoted, singles[:5]))}" if singles else "check the name"
        raise ModelNotFoundError(name, "the repository has no such file", hint)
    if file is None and not any(_WEIGHTS.fullmatch(each) for each in chosen):
        reason = "has no weights as safetensors; pickles can run code and are not downloaded"
        raise ModelNotFoundError(name, reason, "look for a copy of the model as safetensors")


def _check_hashes(name: str, commit: str, files: Iterable[RemoteFile]) -> None:
    """Raise `ModelNotFoundError` for a hash that is none: the cache names its files by them."""
    sound = re.fullmatch(r"[0-9a-f]{40}", commit) is not None
    hashes = (file.sha256 for file in files if file.sha256 is not None)
    if not sound or not all(re.fullmatch(r"[0-9a-f]{64}", each) for each in hashes):
        raise ModelNotFoundError(name, "the Hub named a hash that is none", "check HF_ENDPOINT")


def _bytes_here(place: Path, commit: str, file: RemoteFile) -> int:
    """How much of a file is on this machine."""
    if (place / "snapshots" / commit / file.name).exists():
        return file.size
    if file.sha256 is None:
        return 0
    blob = place / "blobs" / file.sha256
    part = _part(blob)
    return file.size if blob.exists() else part.stat().st_size if part.exists() else 0


def _part(blob: Path) -> Path:
    """Where the beginning of a blob is kept until it is whole."""
    return blob.with_name(f"{blob.name}.avila.incomplete")


def pull(offer: Offer) -> Path:
    """Download what is offered, going on where an earlier download stopped; the model's path.

    Large files come first, each to its place among the cache's blobs; the Hub's client then
    brings the small ones and gives all of them their names. Raises `OutputError`,
    `ModelNotFoundError`.
    """
    repository, _ = _parsed(offer.name)
    _check_space(offer)
    with _told(offer.name):
        for file in offer.files:
            if _bytes_here(offer.place, offer.commit, file) < file.size and file.sha256:
                _fetch(offer, repository, file, offer.place / "blobs" / file.sha256)
        huggingface_hub.snapshot_download(
            repository,
            revision=offer.revision,
            allow_patterns=[glob.escape(file.name) for file in offer.files],
            max_workers=4,
        )
    return find_model(offer.name)


def _fetch(offer: Offer, repository: str, file: RemoteFile, blob: Path) -> None:
    """Bring a large file, from where its beginning ends, and check its hash.

    The Hub's client resumes within one run only.
    """
    from huggingface_hub.file_download import http_get
    from huggingface_hub.utils import (  # type: ignore[attr-defined]
        WeakFileLock,
        build_hf_headers,
    )

    part = _part(blob)
    blob.parent.mkdir(parents=True, exist_ok=True)
    with WeakFileLock(part.with_suffix(".lock")), part.open("a+b") as target:
        if target.tell() > file.size:
            target.truncate(0)
        begun = target.seek(0, os.SEEK_END)
        if begun < file.size:
            http_get(
                huggingface_hub.hf_hub_url(repository, file.name, revision=offer.commit),
                cast("BinaryIO", _Bounded(target, file.size)),
                resume_size=begun,
                headers=build_hf_headers(),
                expected_size=file.size,
                displayed_filename=file.name,
            )
        target.flush()
        os.fsync(target.fileno())
        target.seek(0)
        sound = hashlib.file_digest(target, "sha256").hexdigest() == file.sha256
    if not sound:
        part.unlink()
        reason = f"{file.name} came with a content that is not the Hub's"
        raise ModelNotFoundError(offer.name, reason, "pull it again")
    part.replace(blob)


class _Bounded:
    """A file that takes no more than ``most`` bytes: an answer of any length is not written.

    It has what the Hub's client asks of one.
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


def remove(model: CachedModel) -> int:
    """Delete a model's revision from the cache; how many bytes that frees."""
    cache = huggingface_hub.scan_cache_dir()
    plan = cache.delete_revisions(model.commit)
    plan.execute()
    return plan.expected_freed_size


def verified(model: CachedModel) -> Iterator[tuple[Path, bool | None]]:
    """Each file of a cached model, and whether its content has the hash that the Hub gave it.

    The cache keeps a file under its hash: SHA-256, or git's for small ones. None where the file
    is a plain copy, whose hash is not known (as on systems without symbolic links).
    """
    files = sorted(model.folder.rglob("*")) if model.path.is_dir() else [model.path]
    for file in files:
        if file.is_file():
            yield file, _has_its_hash(file)


def _has_its_hash(file: Path) -> bool | None:
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


@contextmanager
def _told(name: str) -> Iterator[None]:
    """Turn what the Hub's client raises into `ModelNotFoundError`."""
    from huggingface_hub import errors  # with it comes an HTTP client, which takes time to load

    try:
        yield
    except errors.OfflineModeIsEnabled:
        hint = "unset HF_HUB_OFFLINE to download"
        raise ModelNotFoundError(name, "HF_HUB_OFFLINE forbids to ask the Hub", hint) from None
    except errors.GatedRepoError:
        hint = "accept its terms on the Hub's page, then set HF_TOKEN or run `hf auth login`"
        raise ModelNotFoundError(name, "the model is gated", hint) from None
    except errors.RevisionNotFoundError:
        raise ModelNotFoundError(name, "there is no such revision", "check --revision") from None
    except errors.RepositoryNotFoundError:
        hint = "check the name; a private model needs HF_TOKEN"
        raise ModelNotFoundError(name, "there is no such model on the Hub", hint) from None
    except (OSError, errors.HTTPError) as error:  # type: ignore[attr-defined]
        line = str(error).strip().partition("\n")[0]
        hint = "check the connection and try again; a download goes on where it stopped"
        raise ModelNotFoundError(name, f"the Hub failed: {quoted(line, 200)}", hint) from error
