"""Options about textual inversion: which files, and the folder whose words prompts may have."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

from typer import Option

from diffusion.cli.options.groups import OptionGroup
from diffusion.errors import SettingsError
from diffusion.settings import Settings
from diffusion.text.inversions import InversionFolder, TextualInversion

__all__ = ["EmbeddingOptions"]


@dataclass(frozen=True)
class EmbeddingOptions(OptionGroup, panel="Textual inversion"):
    """Words whose embeddings come from files."""

    embedding: Annotated[
        list[Path] | None,
        Option(
            "--embedding",
            metavar="FILE",
            help="A .safetensors file whose name, without its end, counts as a word in the prompt "
            "and the negative prompt. Give it several times for several.",
            show_default=False,
        ),
    ] = None
    embeddings: Annotated[
        Path | None,
        Option(
            "--embeddings",
            metavar="FOLDER",
            help="All files in this folder count as words, as in the WebUI.",
            show_default=False,
        ),
    ] = None

    def change(self, settings: Settings) -> Settings:
        """Return ``settings`` with the files that were typed. Raises `SettingsError`."""
        typed = [TextualInversion(path) for path in self.embedding or ()]
        for each in typed:
            if not Path(each.file).is_file():
                raise SettingsError("embedding", str(each.file), "there is no such file")
        return replace(settings, inversions=(*settings.inversions, *typed))

    def folder(self) -> InversionFolder:
        """Return the folder of words. Raises `SettingsError`."""
        return InversionFolder(self.embeddings)
