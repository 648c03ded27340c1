"""The steps of runs, as generators that a test can look at."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import pytest

from diffusion.pipeline.run import Run

__all__ = ["kept_steps"]


def kept_steps(monkeypatch: pytest.MonkeyPatch) -> list[Generator[Any]]:
    """Each generator that `Run.steps` makes from now on, referred to by this list."""
    inside: list[Generator[Any]] = []
    original = Run.steps

    def kept(*arguments: Any) -> Generator[Any]:
        inside.append(original(*arguments))
        return inside[-1]

    monkeypatch.setattr(Run, "steps", kept)
    return inside
