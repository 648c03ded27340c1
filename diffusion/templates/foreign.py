"""Syntax of other tools that prompts are written with, and that is drawn as text here."""

from __future__ import annotations

import re
import warnings
from collections.abc import Container
from typing import Final

__all__ = ["warn_of_foreign_syntax", "warn_of_idle_tags"]

FOREIGN: Final = {
    re.compile(r"<hypernet:[^<>\n]+>"): "no such network is loaded",
    re.compile(r"<(?!(?:lora|lyco):[^<>\n]+>)\s*(?i:lora|lyco)\s*:[^<>\n]*>?"): (
        "write <lora:name:weight>"
    ),
    re.compile(r"\{[^{}\n]*\|[^{}\n]*\}|\{[\d\s-]*\$\$"): "--dynamic draws from it",
    re.compile(r"(?<!\w)__[\w*][\w*./ -]*?__(?!\w)"): "--wildcards FOLDER draws from files",
}
_EMBEDDING: Final = re.compile(r"(?<!\w)embedding:([\w.-]+)")

_TAG: Final = re.compile(r"<(?:lora|lyco):[^<>\n]+>")


def warn_of_idle_tags(name: str, text: str, advice: str) -> None:
    """Warn of a LoRA that a text names without effect."""
    if found := _TAG.search(text):
        message = f"{name}: {_shorten(found[0])} is left out; {advice}"
        warnings.warn(message, UserWarning, stacklevel=3)


def warn_of_foreign_syntax(name: str, text: str, words: Container[str] = ()) -> None:
    """Warn of each kind of foreign syntax in a prompt, once, with its first example.

    ``words``: the learned words that were found in it, in small letters.
    """
    first = {
        found[0]: advice for pattern, advice in FOREIGN.items() if (found := pattern.search(text))
    }
    for found in _EMBEDDING.finditer(text):
        if found[1].lower() not in words:
            first[found[0]] = "no such embedding is found; --embeddings FOLDER names where it lies"
            break
    for example, advice in first.items():
        message = f"{name}: {_shorten(example)} is drawn as text; {advice}"
        warnings.warn(message, UserWarning, stacklevel=3)


def _shorten(text: str) -> str:
    return text if len(text) <= 40 else f"{text[:39]}…"
