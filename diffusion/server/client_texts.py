"""Errors as clients see them: a file has its name, and the server's folders stay its own."""

from __future__ import annotations

from pathlib import Path

from diffusion.errors import path_text

__all__ = ["text_for_clients"]


def text_for_clients(error: Exception) -> str:
    """Return an error's sentence, without the folders of the files that it names."""
    text = str(error)
    for attribute in ("path", "file"):
        given = getattr(error, attribute, None)
        if isinstance(given, str) and Path(given).is_absolute():
            folder = str(Path(given).parent)
            text = text.replace(path_text(given), path_text(Path(given).name))
            text = text.replace(path_text(f"{folder}/"), "").replace(
                path_text(folder), "its folder"
            )
    return text
