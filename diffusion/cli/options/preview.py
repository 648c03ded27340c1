"""Options about a file that shows the pictures while they are drawn."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from typer import Option

from diffusion.checkpoints.quick_preview import PREVIEW_METHODS
from diffusion.checks import check_integer
from diffusion.cli.options.completion import complete_from
from diffusion.cli.options.groups import OptionGroup
from diffusion.cli.previews import EVERY, EVERY_QUICK, Preview
from diffusion.errors import SettingsError

__all__ = ["PreviewOptions"]


@dataclass(frozen=True)
class PreviewOptions(OptionGroup, panel="Preview", prefix="preview"):
    """The preview's file, how often it is written, and what decodes it."""

    file: Annotated[
        Path | None,
        Option(
            "--preview",
            metavar="FILE",
            help="A PNG, JPEG or WebP file that shows the pictures while they are drawn, those of "
            "a batch side by side. It is rewritten every few steps, each time as a whole, and "
            "once they are finished. Only an earlier preview is replaced.",
        ),
    ] = None
    every: Annotated[
        int | None,
        Option(
            metavar="STEPS",
            help="Steps from one preview to the next.",
            show_default=f"{EVERY}, or {EVERY_QUICK} with --preview-vae",
        ),
    ] = None
    vae: Annotated[
        Path | None,
        Option(
            metavar="PATH",
            help="Folder or .safetensors file of a tiny decoder for previews alone: TAESD for SD 1 "
            "and 2, TAESDXL for XL. Without it the model's own VAE decodes them. Each then takes "
            "the time of a few steps, and as much memory as the finished picture.",
        ),
    ] = None

    method: Annotated[
        str | None,
        Option(
            metavar="NAME",
            autocompletion=complete_from(PREVIEW_METHODS.names),
            help="What makes the previews: full (the model's own VAE), taesd (found in a folder "
            "vae_approx beside the model, or in the Hub's cache), approx (colours of latents, at "
            "no cost), or auto (taesd if it is found).",
            show_default="full, or --preview-vae",
        ),
    ] = None

    @property
    def source(self) -> str | Path | None:
        """The name of a method, or the path of a VAE; None for the model's own VAE."""
        return self.vae or self.method

    def preview(self, other_files: Iterable[Path | None]) -> Preview | None:
        """Return the preview, or None where there is none.

        ``other_files``: those that the command reads or writes. Raises `SettingsError` and
        `OutputError`.
        """
        if self.file is None:
            if self.every is not None:
                raise SettingsError("preview every", self.every, "needs --preview FILE")
            if self.vae is not None:
                raise SettingsError("preview vae", str(self.vae), "needs --preview FILE")
            if self.method is not None:
                raise SettingsError("preview method", self.method, "needs --preview FILE")
            return None
        if self.method is not None:
            PREVIEW_METHODS.find(self.method)
            if self.vae is not None:
                hint = "must not be given with --preview-vae"
                raise SettingsError("preview method", self.method, hint)
        check_integer("preview every", self.every, 1, 1000)
        is_quick = self.vae is not None or self.method in ("taesd", "approx")
        usual = EVERY_QUICK if is_quick else EVERY
        others = tuple(file for file in other_files if file is not None)
        return Preview.at(self.file, self.every or usual, others)
