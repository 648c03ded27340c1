"""ControlNet-LLLite files with the goldens' weights."""

from __future__ import annotations

from pathlib import Path

from safetensors.numpy import save_file

from tests.goldens import lite_cases as cases

__all__ = ["write_lite"]


def write_lite(folder: Path, name: str) -> Path:
    """Write a golden file; return its path."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.safetensors"
    save_file(cases.parameters(name), path)
    return path
