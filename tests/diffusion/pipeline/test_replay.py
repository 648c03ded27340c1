"""The host's work for a picture: submissions, bind groups, reads, and the prompt's keys."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from diffusion import Pipeline, Result, Settings, Step
from gpucore import Device
from gpucore.backends import Command, Launch, null

SETTINGS = Settings("a red apple", "blurry", width=64, height=64, steps=4, guidance=4.0, seed=1)


class CountingBackend(null.NullBackend):
    """A device that is always busy, and counts its calls.

    An idle one gets long graphs as two submissions (tests/gpucore/recording/test_graph.py).
    """

    under_way = 1 << 30
    bound = read_back = 0

    def bind(self, *arguments: Any) -> Any:
        self.bound += 1
        return super().bind(*arguments)

    def read(self, *arguments: Any) -> Any:
        self.read_back += 1
        return super().read(*arguments)

    def take_counts(self) -> Counts:
        """Return the counts since the last call."""
        counts = Counts(self.submitted, self.bound, self.read_back)
        self.submitted, self.bound, self.read_back = [], 0, 0
        return counts


@dataclass(frozen=True)
class Counts:
    """The counts of one event of a run: submissions, bind groups made, reads begun."""

    submitted: list[list[Command]]
    bound: int
    read_back: int

    @property
    def launches(self) -> list[Launch]:
        return [c for commands in self.submitted for c in commands if isinstance(c, Launch)]


@dataclass
class Counted:
    """The counts of a run: up to its first step, of each later step, and of its end."""

    begin: Counts
    steps: list[Counts] = field(default_factory=list)
    end: Counts | None = None


@pytest.fixture(scope="module")
def runs() -> list[Counted]:
    """Draw three pictures of one size, each with another prompt."""
    backend = CountingBackend(null.adapters()[0])
    pipeline = Pipeline.load(device=Device(backend))
    found = []
    for prompt in ("a red apple", "a green dragon", "a fox"):
        backend.take_counts()
        counted = None
        for event in pipeline.generate(dataclasses.replace(SETTINGS, prompt=prompt)):
            if isinstance(event, Step) and counted is None:
                counted = Counted(backend.take_counts())
            elif isinstance(event, Step):
                assert counted is not None
                counted.steps.append(backend.take_counts())
            elif isinstance(event, Result):
                assert counted is not None
                counted.end = backend.take_counts()
        assert counted is not None
        assert len(counted.steps) == SETTINGS.steps - 1
        found.append(counted)
    return found


def test_a_step_is_one_submission_of_the_whole_network(runs: Sequence[Counted]) -> None:
    for run in runs:
        for step in run.steps:
            (commands,) = step.submitted
            assert len(commands) == len(run.steps[0].submitted[0]) > 150


def test_nothing_is_read_before_the_picture_is_on_its_way(runs: Sequence[Counted]) -> None:
    for run in runs:
        assert run.begin.read_back == 0
        assert all(step.read_back == 0 for step in run.steps)
        assert run.end is not None
        assert run.end.read_back > 0


def test_the_network_is_bound_once(runs: Sequence[Counted]) -> None:
    """A step binds only the sampler's few buffers, and so does the whole third picture."""
    for run in runs:
        assert all(step.bound <= 6 for step in run.steps)
    assert runs[0].begin.bound > 150
    assert runs[2].begin.bound <= 6


def test_the_prompts_keys_are_computed_once_a_picture(runs: Sequence[Counted]) -> None:
    for run in runs:
        assert count_keys(run.begin.launches) == 7
        assert all(count_keys(step.launches) == 0 for step in run.steps)


def count_keys(launches: Sequence[Launch]) -> int:
    """Count launches that make keys of cross-attentions; values come from the same product."""
    return sum(launch.region.endswith("to_k") for launch in launches)


def test_sampler_and_guidance_run_on_the_device(runs: Sequence[Counted]) -> None:
    labels = [launch.program.label for launch in runs[0].steps[0].launches]
    assert sum("combination/guidance" in label for label in labels) == 1
    assert any("combination/combination" in label for label in labels)


def test_no_launch_only_joins_or_enlarges(runs: Sequence[Counted]) -> None:
    """Skip connections and larger images are addresses; only inputs of both prompts are doubled."""
    labels = [launch.program.label for launch in runs[0].steps[0].launches]
    # Time shifts; at the first attention queries, residual and the transformer's input; the three
    # skip connections from before it.
    assert sum("layout/" in label for label in labels) == 7
    assert not [label for label in labels if "concat" in label or "upsample" in label]
    assert any(" two " in label and label.startswith("gemm/") for label in labels)
    assert any(" scale2" in label and label.startswith("gemm/") for label in labels)
