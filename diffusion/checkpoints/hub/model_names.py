"""The grammar of models' names: ``owner/name``, or ``owner/name/FILE`` (.safetensors, .gguf)."""

from __future__ import annotations

import re
from pathlib import Path

from huggingface_hub import constants

from diffusion.errors import SettingsError

_PART = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,95}"
_END = r"(?:safetensors|gguf)"
_NAME = re.compile(rf"(?P<repository>{_PART}/{_PART})(?:/(?P<file>{_PART}\.{_END}))?")
_SINGLE_FILE = re.compile(rf"{_PART}\.{_END}")
_REVISION = re.compile(rf"{_PART}(?:/{_PART}){{0,3}}")
_COMMIT = re.compile(r"[0-9a-f]{40}")


def is_model_name(text: str) -> bool:
    """Tell whether a text has the form of a model's name."""
    return _NAME.fullmatch(text) is not None and ".." not in text


def split_model_name(name: str) -> tuple[str, str | None]:
    """Return the repository and the file in it, None for a whole folder. Raises `SettingsError`."""
    found = _NAME.fullmatch(name)
    if found is None or ".." in name:
        hint = "give owner/name, or owner/name/FILE (.safetensors or .gguf)"
        raise SettingsError("model", name, hint)
    return found["repository"], found["file"]


def is_single_file(name: str) -> bool:
    """Tell whether a file's name is that of a single file at the top of a repository."""
    return _SINGLE_FILE.fullmatch(name) is not None


def is_commit(text: str) -> bool:
    """Tell whether a text is a commit's hash."""
    return _COMMIT.fullmatch(text) is not None


def is_revision(text: str) -> bool:
    """Tell whether a text may name a branch, a tag or a commit; it becomes a path in the cache."""
    return _REVISION.fullmatch(text) is not None and ".." not in text


def repository_folder(repository: str) -> Path:
    """Return a repository's folder in the cache."""
    return Path(constants.HF_HUB_CACHE) / f"models--{repository.replace('/', '--')}"
