"""Pictures that several threads draw with one pipeline have the bits of a single thread's."""

from __future__ import annotations

import threading
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest

from diffusion import Pipeline, Settings, Step
from diffusion.pipeline.run_queue import RunQueue, queue_of
from diffusion.tasks import Hires
from gpucore import CaptureError, Device
from tests.diffusion.bundled_model import pipeline_on, pixels

SMALL = Settings("a red apple", "blurry", width=64, height=48, steps=3, guidance=4.0, seed=5)
THREADS = 8
KINDS = [
    SMALL,
    replace(SMALL, prompt="a blue cup", seed=6),
    replace(SMALL, prompt="a (green:1.3) leaf AND a tree", width=48, sampler="euler_a", seed=7),
    replace(SMALL, prompt="[a cat:a dog:2]", count=2, steps=2, seed=8),
    replace(SMALL, steps=2, guidance=1.0, negative="", hires=Hires(2)),
]


def draw_together(pipeline: Pipeline, rounds: int) -> None:
    """Draw every kind in eight threads at once, each in another order, and compare the pixels."""
    expected = [pixels(pipeline, kind) for kind in KINDS]
    begun = threading.Barrier(THREADS)

    def work(number: int) -> None:
        begun.wait(60)
        for i in range(rounds):
            at = (number + i) % len(KINDS)
            np.testing.assert_array_equal(pixels(pipeline, KINDS[at]), expected[at])
            if number == 0:
                pipeline.release()

    with ThreadPoolExecutor(THREADS) as pool:
        for each in [pool.submit(work, number) for number in range(THREADS)]:
            each.result(300)


def test_eight_threads_share_a_pipeline(device: Device) -> None:
    draw_together(pipeline_on(device), 1)


@pytest.mark.slow
def test_eight_threads_share_a_pipeline_for_long(device: Device) -> None:
    draw_together(pipeline_on(device), 5)


def test_previews_and_decoding_of_other_threads(device: Device) -> None:
    """They use the networks between steps of a run, not during one."""
    pipeline = pipeline_on(device)
    expected = pixels(pipeline, SMALL)
    shown: list[bytes] = []
    with ThreadPoolExecutor(3) as pool:
        for event in (events := pipeline.generate(SMALL)):
            if isinstance(event, Step):
                shown += pool.map(lambda step: step.preview()[0].tobytes(), [event] * 3)
                latents = device.buffer_from_array(event.latents())
                tasks = [pool.submit(pipeline.decode, latents) for _ in range(3)]
        found = np.stack([np.asarray(image) for image in event.images])  # type: ignore[union-attr]
        decoded = [task.result(60)[0].tobytes() for task in tasks]
    events.close()
    np.testing.assert_array_equal(found, expected)
    assert len(set(shown)) == 3, "one for each step"
    assert len(set(decoded)) == 1


def test_another_thread_waits_until_a_run_is_closed(device: Device) -> None:
    pipeline = pipeline_on(device)
    expected = pixels(pipeline, SMALL)
    held = pipeline.generate(SMALL)
    next(held)
    with ThreadPoolExecutor(1) as pool:
        other = pool.submit(pixels, pipeline, SMALL)
        np.testing.assert_array_equal(pixels(pipeline, SMALL), expected)  # this thread may
        assert not other.done()
        held.close()
        np.testing.assert_array_equal(other.result(60), expected)


def test_a_run_of_a_thread_that_ended_holds_nobody_up(device: Device) -> None:
    pipeline = pipeline_on(device)
    held = pipeline.generate(SMALL)
    thread = threading.Thread(target=lambda: next(held))
    thread.start()
    thread.join(60)
    expected = pixels(pipeline, SMALL)
    *_, last = held
    np.testing.assert_array_equal(np.asarray(last.images[0]), expected[0])  # type: ignore[union-attr]


def test_runs_of_one_thread_alternate() -> None:
    queue, seen = RunQueue(), []

    def begin(name: str) -> Generator[str]:
        return queue.events(lambda: (f"{name}{i}" for i in range(2)))

    first, second = begin("a"), begin("b")
    for _ in range(2):
        seen += [next(first), next(second)]
    assert seen == ["a0", "b0", "a1", "b1"]
    assert list(first) == list(second) == []


def test_a_run_that_fails_lets_the_next_begin() -> None:
    queue = RunQueue()

    def fail() -> None:
        def events():  # type: ignore[no-untyped-def]
            yield 1
            raise ValueError("of the run")

        for _ in queue.events(events):
            pass

    for _ in range(2):
        with ThreadPoolExecutor(1) as pool, pytest.raises(ValueError, match="of the run"):
            pool.submit(fail).result(10)


def test_a_capture_refuses_a_pipeline() -> None:
    device = Device.null()
    with device.capture(), pytest.raises(CaptureError, match="a pipeline inside"):
        queue_of(device)
