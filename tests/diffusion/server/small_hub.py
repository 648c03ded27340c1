"""A Hub with one small model, which is asked in place of the real one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from huggingface_hub import constants

from tests.diffusion.checkpoints.hub.hub_server import Hub, Repository, run_hub

__all__ = ["WEIGHTS", "run_small_hub"]

CARD = b"---\nlicense: mit\n---\n# A model\n"
WEIGHTS = bytes(range(256)) * 1000


@contextmanager
def run_small_hub(cache: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """Run it while the test runs, with an empty ``cache``."""
    files = {
        "model_index.json": b'{"_class_name": "StableDiffusionPipeline"}',
        "README.md": CARD,
        "unet/config.json": b"{}",
        "unet/diffusion_pytorch_model.safetensors": WEIGHTS,
    }
    with run_hub({"some/model": Repository(files, licence="mit")}) as remote:
        monkeypatch.setattr(constants, "ENDPOINT", remote.url)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))
        yield remote
