"""Runs with choices about guidance that diffusers has, too; see `tools/goldens/guidance.py`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.goldens.families import RUN_CASES, RunCase

_RUNS = {case.name: case for case in RUN_CASES}


@dataclass(frozen=True)
class GuidanceCase:
    """A golden run with arguments of diffusers: of the call, and of ``enable_freeu``."""

    title: str
    run: RunCase
    call: Mapping[str, float] = field(default_factory=dict)
    freeu: Mapping[str, float] | None = None

    @property
    def perturbed(self) -> float:
        """The scale of perturbed-attention guidance."""
        return self.call.get("pag_scale", 0.0)

    @property
    def name(self) -> str:
        """The key of the latents after each step: (steps, batch, 4, h, w)."""
        return f"{self.run.model}/{self.title}"


FREEU: Mapping[str, float] = {"b1": 1.4, "b2": 1.6, "s1": 0.9, "s2": 0.2}
_CHOICES: Mapping[str, Mapping[str, Any]] = {
    "rescaled": {"call": {"guidance_rescale": 0.7}},
    "freeu": {"freeu": FREEU},
    "perturbed": {"call": {"pag_scale": 3.0}},
    "perturbed_rescaled": {"call": {"pag_scale": 2.0, "guidance_rescale": 0.4}},
}
GUIDANCE_CASES = [
    GuidanceCase(title, _RUNS[run], **choice)
    for run in ("sd2/run/v", "xl_base/run/negative")
    for title, choice in _CHOICES.items()
]
