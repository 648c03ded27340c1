"""The words that prompts may have: of a folder, of settings, of LoRAs' files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Final

from diffusion.checkpoints.safetensors.regular_file import FileIdentity, identity_of
from diffusion.errors import ModelNotFoundError, SettingsError, path_text
from diffusion.prompts import NO_WORDS, LearnedWord, NamedWord, WordTable
from diffusion.text.inversions.choice import TextualInversion
from diffusion.text.inversions.folder import InversionFolder
from diffusion.text.inversions.inversion_file import bundled_words, read_bundled, read_inversion
from diffusion.text.tokenizer import ClipTokenizer

__all__ = ["InversionWords"]

_PREFIX: Final = "embedding:"
"""ComfyUI's, which may stand before a word."""


class InversionWords:
    """The words that a model's prompts may have. ``folder``: where files are looked for.

    ``widths``: of the embeddings of the model's text encoders, by part and in order.
    """

    def __init__(
        self, tokenizer: ClipTokenizer, widths: Mapping[str, int], folder: InversionFolder
    ) -> None:
        self.folder = folder
        self._tokenizer = tokenizer
        self._widths = widths
        self._read: dict[tuple[Path, FileIdentity, str], LearnedWord] = {}
        self._tokens: dict[str, tuple[int, ...]] = {}

    def table(self, chosen: Iterable[TextualInversion], loras: Iterable[Path]) -> WordTable:
        """Return the words of settings, then those of the folder, then those of LoRAs' files.

        The files of the first two are opened where a prompt has the word. Raises `ModelError` for
        the file of a LoRA.
        """
        named = [*self._of_settings(chosen), *self._of_folder(), *self._of_loras(loras)]
        if not named:
            return NO_WORDS
        prefix = self._cut(_PREFIX)
        return WordTable([*named, *(each._replace(tokens=prefix + each.tokens) for each in named)])

    def _of_settings(self, chosen: Iterable[TextualInversion]) -> Iterator[NamedWord]:
        for each in chosen:
            read = partial(self._open, Path(each.file), each.name)
            yield NamedWord(self._cut(each.name), read)

    def _of_folder(self) -> Iterator[NamedWord]:
        files: dict[tuple[int, ...], dict[Path, str]] = {}
        for word, paths in self.folder.words.items():
            same = files.setdefault(self._cut(word), {})
            same.update(dict.fromkeys(paths, word))
        for tokens, same in files.items():
            yield NamedWord(tokens, partial(self._open_only, same))

    def _of_loras(self, loras: Iterable[Path]) -> Iterator[NamedWord]:
        for path in loras:
            for word in bundled_words(path):
                yield NamedWord(self._cut(word), partial(self._open, path, word, bundled=True))

    def _cut(self, word: str) -> tuple[int, ...]:
        """Return the tokens of a word."""
        if word not in self._tokens:
            self._tokens[word] = tuple(self._tokenizer.tokens(word))
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
            read = read_bundled if bundled else read_inversion
            self._read[key] = read(path, word, self._widths, self._tokenizer.capacity)
        return self._read[key]
