"""The models that requests may name: the bundled one, the Hub's cache, and a folder of files.

A request names a model by its title, name or hash, never by a path; an unknown name is refused.
"""

from __future__ import annotations

import asyncio
import difflib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from diffusion.checkpoints import ModelFile, hub, open_model
from diffusion.checkpoints.bundled import BUNDLED, bundled_model
from diffusion.checkpoints.hashing import weights_hash
from diffusion.checkpoints.tensor_files import MODEL_ENDS
from diffusion.errors import DiffusionError, ModelError, quote
from diffusion.server.errors import ConfigurationError, UnknownModelError
from diffusion.server.jobs.history import History
from diffusion.server.model_files import ModelFiles

__all__ = ["ModelEntry", "ModelTable", "find_entry", "scan_models"]

_HASH_DIGITS: Final = 10
_DEFAULT_HINT: Final = (
    "give a name from the folder --models or from 'avila model list'; paths are none"
)


@dataclass(frozen=True)
class ModelEntry:
    """A model. ``sha256``: of the UNet's weights, or of the single file; None until it is known."""

    name: str
    path: Path
    sha256: str | None = None

    @property
    def digest(self) -> str | None:
        """The first ten digits of the hash."""
        return None if self.sha256 is None else self.sha256[:_HASH_DIGITS]

    @property
    def stem(self) -> str:
        """The name without the end of a file's name."""
        ends = (end for end in MODEL_ENDS if self.name.endswith(end))
        return self.name.removesuffix(next(ends, ""))

    @property
    def title(self) -> str:
        """The name with the hash, as AUTOMATIC1111 writes it: ``name [0123456789]``."""
        return self.name if self.sha256 is None else f"{self.name} [{self.digest}]"

    @property
    def created(self) -> int:
        """The Unix time at which its file or folder was written last; 0 where it is gone."""
        try:
            return int(self.path.stat().st_mtime)
        except OSError:
            return 0

    def answers_to(self, text: str) -> bool:
        """Tell whether a request means this model by ``text``."""
        names = {self.name, self.stem, self.title, self.digest, self.sha256}
        # A title that a client kept from before the hash was known, or the other way round.
        return text in names or text.rpartition(" [")[0] == self.name


def scan_models(folder: Path | None) -> Iterator[ModelEntry]:
    """Yield every model that lies there now, without opening it."""
    yield ModelEntry(BUNDLED, bundled_model())
    for cached in hub.cached_models():
        yield ModelEntry(cached.name, cached.path)
    if folder is not None:
        for path in sorted(folder.glob("*")):
            if path.suffix in MODEL_ENDS or (path / "model_index.json").is_file():
                yield ModelEntry(path.name, path)


def find_entry(
    entries: Sequence[ModelEntry], text: str, hint: str = "GET /api/v1/models lists all"
) -> ModelEntry:
    """Return the model that ``text`` means. Raises `UnknownModelError` with the nearest names."""
    for entry in entries:
        if entry.answers_to(text):
            return entry
    names = [entry.name for entry in entries]
    near = difflib.get_close_matches(text[:100], names, n=3, cutoff=0.3) or names[:3]
    guess = f"did you mean {' or '.join(near)}?"
    raise UnknownModelError(f"there is no model {quote(text)}; {guess} {hint}")


class ModelTable:
    """All models, and the one that is taken where none is named.

    ``files``: what completes those that lack a part. Raises `ConfigurationError` where the folder
    is none, or the default is not among its models or cannot be drawn with.
    """

    def __init__(
        self, folder: Path | None, default: str | None, history: History, files: ModelFiles
    ) -> None:
        if folder is not None and not folder.is_dir():
            raise ConfigurationError(f"models must be a folder of models; got {quote(str(folder))}")
        self._folder, self._history, self.files = folder, history, files
        self.entries: tuple[ModelEntry, ...] = tuple(scan_models(folder))
        try:
            self.default = find_entry(self.entries, default or BUNDLED, _DEFAULT_HINT)
            files.open(self.default.path)
        except (UnknownModelError, ModelError) as error:
            raise ConfigurationError(f"model: {error}") from error

    async def refresh(self) -> None:
        """Look for models again, and learn their hashes."""
        known = {entry.path: entry for entry in self.entries}
        found = await asyncio.to_thread(lambda: list(scan_models(self._folder)))
        self.entries = tuple(known.get(entry.path, entry) for entry in found)
        await self.learn_hashes()

    async def learn_hashes(self) -> None:
        """Read the files whose hash is not known; large ones take seconds, in a thread."""
        for entry in self.entries:
            if entry.sha256 is None:
                try:
                    learnt = replace(entry, sha256=await self._hash(entry.path))
                except (DiffusionError, OSError):
                    continue  # who draws with it gets the reason
                self.entries = tuple(learnt if e is entry else e for e in self.entries)
                if self.default == entry:
                    self.default = learnt

    async def _hash(self, model: Path) -> str:
        weights = await asyncio.to_thread(_weights_of, model)
        known = await self._history.do(self._history.hash_of, weights)
        if known is None:
            known = await asyncio.to_thread(weights_hash, weights)
            await self._history.do(self._history.set_hashes, [(weights, known)])
        return known

    def find(self, text: str | None) -> ModelEntry:
        """Return the model that a request names; the default for None.

        Raises `UnknownModelError` with the nearest names.
        """
        return self.default if text is None else find_entry(self.entries, text)


def _weights_of(model: Path) -> Path:
    """Return the file whose hash stands for a model. Raises `ModelError`."""
    if model.is_file():
        return model
    opened = open_model(model)
    assert not isinstance(opened, ModelFile)
    return opened.weights("unet").path
