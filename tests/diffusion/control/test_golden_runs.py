"""Whole runs against diffusers' own pipelines: several networks, windows, guess mode, adapters.

Tolerance: 1e-4 relative in f32 after each step, as for runs without controls.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from diffusion import Pipeline, Settings, Step
from diffusion.control import Control
from gpucore import Device
from tests.diffusion.control.golden_controls import write_control
from tests.diffusion.golden_families import networks
from tests.goldens import control_cases as cases
from tests.goldens.cases import NEGATIVE, PROMPT
from tests.goldens.loader import channels_last, load, relative_error

TOLERANCE = 1e-4


@pytest.mark.parametrize("name", cases.RUNS)
def test_runs(device: Device, name: str, tmp_path: Path) -> None:
    case = cases.RUNS[name]
    made = networks(device, case.model, changes=(("timestep_spacing", "trailing"),))
    pipeline = Pipeline(made)
    controls = tuple(
        Control(
            write_control(tmp_path / each, each),
            Image.fromarray(cases.levels(each)),
            weight=scale,
            start=start,
            end=end,
            mode="guess" if case.guess else "balanced",
        )
        for each, scale, start, end in zip(
            case.networks, case.scales, case.starts, case.ends, strict=True
        )
    )
    settings = Settings(
        PROMPT,
        NEGATIVE,
        width=2 * cases.SECOND_SIDE,
        height=2 * cases.FIRST_SIDE,
        steps=case.steps,
        guidance=cases.RUN_GUIDANCE,
        sampler="euler",
        schedule="trailing",
        latents=channels_last(cases.run_noise()),
        controls=controls,
    )
    found = [
        event.noisy_latents() for event in pipeline.generate(settings) if isinstance(event, Step)
    ]
    expected = load("control")[f"{name}/latents"]
    assert len(found) == len(expected)
    for number, (ours, theirs) in enumerate(zip(found, expected, strict=True)):
        assert relative_error(ours, channels_last(theirs)) < TOLERANCE, f"step {number}"
    pipeline.release()
    plain = Settings(**{**vars(settings), "controls": ()})
    last = [each for each in pipeline.generate(plain) if isinstance(each, Step)][-1]
    assert relative_error(last.noisy_latents(), channels_last(expected[-1])) > 100 * TOLERANCE
    assert np.isfinite(expected).all()
