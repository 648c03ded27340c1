"""The textual inversions that a model's prompts may name: of a folder, of settings, of LoRAs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final

from diffusion.checkpoints.safetensors.regular_file import FileIdentity, identity_of
from diffusion.errors import ModelNotFoundError, SettingsError, path_text
from diffusion.pipeline.loras import Loras
from diffusion.pipeline.networks import Networks
from diffusion.pipeline.passes import base_pass, hires_pass
from diffusion.pipeline.run_cache import RunCache
from diffusion.prompts import NO_WORDS, LearnedWord, NamedWord, WordTable
from diffusion.settings import Settings
from diffusion.text.inversions import (
    InversionFolder,
    bundled_words,
    read_bundled,
    read_inversion,
)

__all__ = ["Inversions"]

_PREFIX: Final = "embedding:"
"""ComfyUI's, which may stand before a word."""


class Inversions:
    """The words that a model's prompts may have. ``folder``: where files are looked for."""

    def __init__(self, networks: Networks, loras: Loras, folder: InversionFolder) -> None:
        self.folder = folder
        self._networks = networks
        self._loras = loras
        self._read: dict[tuple[Path, FileIdentity, str], LearnedWord] = {}
        self._tokens: dict[str, tuple[int, ...]] = {}

    def words(self, settings: Settings) -> WordTable:
        """Return the words of a run: of its settings, then of the folder, then of its LoRAs.

        Their files are opened where a prompt has the word. Raises `SettingsError` for a LoRA that
        is not found.
        """
        named = [*self._of_settings(settings), *self._of_folder(), *self._of_loras(settings)]
        if not named:
            return NO_WORDS
        prefix = self._cut(_PREFIX)
        return WordTable([*named, *(each._replace(tokens=prefix + each.tokens) for each in named)])

    def fields(self, settings: Settings) -> dict[str, str]:
        """Return the field of an infotext with the hashes of the words in complete settings."""
        words = self.words(settings)
        if not words:
            return {}
        base = base_pass(self._networks, RunCache(), replace(settings, init_image=None), words)
        passes = [base, *([hires_pass(base, settings.hires)] if settings.hires else [])]
        found = {
            word.name.replace(",", "").replace(":", ""): word.digest
            for each in passes
            for word in each.found_words
            if word.digest
        }
        pairs = ", ".join(f"{name}: {digest}" for name, digest in found.items())
        return {"TI hashes": pairs} if pairs else {}

    def _of_settings(self, settings: Settings) -> Iterator[NamedWord]:
        for each in settings.inversions:
            yield self._name(each.name, partial(self._open, Path(each.file), each.name))

    def _of_folder(self) -> Iterator[NamedWord]:
        files: dict[tuple[int, ...], dict[Path, str]] = {}
        for word, paths in self.folder.words.items():
            same = files.setdefault(self._cut(word), {})
            same.update(dict.fromkeys(paths, word))
        for tokens, same in files.items():
            yield NamedWord(tokens, partial(self._open_only, same))

    def _of_loras(self, settings: Settings) -> Iterator[NamedWord]:
        for path in self._loras.files(settings):
            for word in bundled_words(path):
                yield self._name(word, partial(self._open, path, word, bundled=True))

    def _name(self, word: str, read: Callable[[], LearnedWord]) -> NamedWord:
        return NamedWord(self._cut(word), read)

    def _cut(self, word: str) -> tuple[int, ...]:
        """Return the tokens of a word."""
        if word not in self._tokens:
            self._tokens[word] = tuple(self._networks.tokenizer.tokens(word))
        return self._tokens[word]

    def _open_only(self, files: dict[Path, str]) -> LearnedWord:
        """Return the word of a folder's file. Raises `SettingsError` for several."""
        if len(files) > 1:
            names = " and ".join(path_text(path) for path in list(files)[:5])
            hint = f"{names} have this word; rename one of them"
            raise SettingsError("embeddings", next(iter(files.values())), hint)
        ((path, word),) = files.items()
        return self._open(path, word)

    def _open(self, path: Path, word: str, *, bundled: bool = False) -> LearnedWord:
        """Return the word of a file; the same one while the file does not change."""
        try:
            key = path, identity_of(path.stat()), word
        except (OSError, ValueError):
            raise ModelNotFoundError(path, "there is no such file", "check the path") from None
        if key not in self._read:
            encoders = self._networks.folder.text_encoders
            widths: dict[str, int] = {part: config.hidden_size for part, config in encoders.items()}
            read = read_bundled if bundled else read_inversion
            self._read[key] = read(path, word, widths, self._networks.tokenizer.capacity)
        return self._read[key]
