"""ControlNet-XS with the goldens' weights, written as diffusers saves it."""

from __future__ import annotations

import json
from pathlib import Path

from safetensors.numpy import save_file

from tests.goldens import xs_cases as cases

__all__ = ["write_xs"]


def write_xs(folder: Path, name: str) -> Path:
    """Write a golden adapter as a folder; return it."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(cases.saved(name)["config"]), encoding="utf-8")
    save_file(cases.parameters(name), folder / "diffusion_pytorch_model.safetensors")
    return folder
