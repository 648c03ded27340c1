"""The generators of sampler steps that runs make, for a test to look at."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import pytest

from diffusion.pipeline import run
from diffusion.pipeline.sampling import sample

__all__ = ["record_steps"]


def record_steps(monkeypatch: pytest.MonkeyPatch) -> list[Generator[Any]]:
    """Return a list that will refer to each generator that `sample` makes from now on."""
    generators: list[Generator[Any]] = []

    def sample_and_record(*arguments: Any) -> Generator[Any]:
        generators.append(sample(*arguments))
        return generators[-1]

    monkeypatch.setattr(run, "sample", sample_and_record)
    return generators
