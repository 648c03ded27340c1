"""A job on its way in the worker: within a budget, its pictures tell how they were drawn."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from diffusion import Pipeline, Settings
from diffusion.batching import Batcher
from diffusion.memory import Placement
from diffusion.server.engine.messages import Draw, Drawn, EngineEvent, Stepped, Stop
from diffusion.server.worker.drawing import Drawing
from gpucore import Device

SETTINGS = Settings("a red apple", width=64, height=64, steps=3, seed=4)


@dataclass
class ListMailbox:
    """Keeps what is sent; asks the job to stop after step ``last``."""

    last: int = 99
    sent: list[EngineEvent] = field(default_factory=list)

    def send(self, event: EngineEvent) -> None:
        self.sent.append(event)

    def send_later(self, make: Callable[[], EngineEvent]) -> None:
        self.sent.append(make())

    def has_stop(self, job: str) -> bool:
        return self.stop_of(job) is not None

    def stop_of(self, job: str) -> Stop | None:
        steps = sum(isinstance(each, Stepped) for each in self.sent)
        return Stop.KEEP if steps >= self.last else None


@pytest.fixture
def tiled(device: Device) -> Pipeline:
    """Return a pipeline as a budget leaves it whose VAE must compute in tiles."""
    pipeline = Pipeline.load(device=device)
    pipeline.networks = replace(pipeline.networks, placement=Placement(tile=4))
    return pipeline


@pytest.mark.parametrize("last", [99, 2])
def test_infotext_tells_the_tiles_of_a_budget(tiled: Pipeline, last: int) -> None:
    """Also that of a job which is stopped before its end."""
    mailbox: Any = ListMailbox(last)
    batcher = Batcher()
    batcher.add("job", Drawing(Draw("job", Path(), SETTINGS), tiled, mailbox).calls())
    ended = [each for _ in iter(lambda: len(batcher), 0) for each in batcher.turn()]
    assert [each.error for each in ended] == [None]
    (drawn,) = (each for each in mailbox.sent if isinstance(each, Drawn))
    assert drawn.partial == (last == 2)
    assert "VAE tiling: on" in drawn.infotext
    if last == 99:
        picture = tiled.draw(SETTINGS)[0]
        assert picture.infotext == drawn.infotext
        asked = replace(SETTINGS, vae_tiling="on")
        np.testing.assert_array_equal(np.asarray(picture), np.asarray(tiled.draw(asked)[0]))


def test_a_decoding_outside_a_run_takes_the_tiles_of_its_budget(tiled: Pipeline) -> None:
    latents = np.random.default_rng(1).standard_normal((1, 8, 8, 4)).astype(np.float32)

    def decoded(tiling: str) -> Any:
        image: Image.Image = tiled.decode(latents, tiling)[0]
        return np.asarray(image)

    np.testing.assert_array_equal(decoded("auto"), decoded("on"))
    assert not np.array_equal(decoded("off"), decoded("on"))
