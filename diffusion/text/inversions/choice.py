"""`TextualInversion`: a file, and the word that it stands for in the prompts of a picture."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from diffusion.errors import SettingsError

__all__ = ["MOST_INVERSIONS", "TextualInversion", "check_inversions"]

MOST_INVERSIONS = 1000
"""Files that the settings of one picture name."""
LONGEST_WORD = 200


@dataclass(frozen=True)
class TextualInversion:
    """A file and its word; it counts wherever the prompt or the negative prompt has the word.

    ``file``: the path of a ``.safetensors`` file. ``word``: None for the file's name without its
    end.
    """

    file: str | Path
    word: str | None = None

    @property
    def name(self) -> str:
        """The word in prompts."""
        return Path(self.file).stem if self.word is None else self.word

    def check(self) -> None:
        """Raise `SettingsError` for a file or a word that cannot be."""
        file: object = self.file
        if not isinstance(file, str | Path) or not str(file):
            raise SettingsError("embedding", self.file, "must be a path")
        word: object = self.name
        if not isinstance(word, str) or not 0 < len(word.strip()) <= LONGEST_WORD:
            hint = f"must be a word of 1 to {LONGEST_WORD} characters"
            raise SettingsError("embedding", self.word, hint)


def check_inversions(inversions: object) -> None:
    """Raise `SettingsError` unless ``inversions`` is a tuple of checked `TextualInversion`."""
    if not isinstance(inversions, tuple) or not all(
        isinstance(each, TextualInversion) for each in inversions
    ):
        raise SettingsError("inversions", inversions, "must be a tuple of TextualInversion")
    if len(inversions) > MOST_INVERSIONS:
        raise SettingsError("inversions", len(inversions), f"must be at most {MOST_INVERSIONS}")
    for each in inversions:
        each.check()
