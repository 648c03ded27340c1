"""Several settings drawn at once, by one call."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from functools import partial
from typing import Final

from diffusion.batching.batcher import Batcher
from diffusion.batching.limits import BatchLimits, images_of_512
from diffusion.pipeline.calls import LatentsEstimate, Reading, UNetCall, ask_driver
from diffusion.pipeline.events import Event, Result, Stage
from diffusion.pipeline.picture import Picture
from diffusion.pipeline.pipeline import Pipeline
from diffusion.settings import Settings

__all__ = ["draw_together", "is_before_other_work", "pictures_and_calls"]

OTHER_WORK_STAGES: Final = ("encoding prompt", "encoding picture", "enlarging", "decoding")
"""Stages that take about as long as a call of the UNet, or longer."""


def is_before_other_work(found: Event | Reading) -> bool:
    """Tell whether a run that yields this does other work next, and must give way before."""
    if isinstance(found, Stage):
        return found.name in OTHER_WORK_STAGES
    return isinstance(found, Reading)


def draw_together(
    pipeline: Pipeline, settings: Sequence[Settings], limits: BatchLimits | None = None
) -> list[list[Picture]]:
    """Return what ``pipeline.draw`` returns for each of ``settings``, with calls that they share.

    Settings with other LoRAs than the first wait until those before them are done, and so do those
    that no longer fit one call. Raises the first error of any, after the others are drawn.
    """
    batcher = Batcher(limits)
    found: dict[int, list[Picture]] = {}
    sizes: dict[int, float] = {}
    errors: list[Exception] = []
    waiting = list(enumerate(settings))
    adapters = None
    try:
        while waiting or len(batcher):
            while waiting:
                number, each = waiting[0]
                merging = pipeline.adapters_of(each)
                sizes[number] = images_of_512(each.with_defaults(pipeline.defaults))
                under_way = (size for name, size in sizes.items() if name in batcher)
                fits = batcher.limits.fits([*under_way, sizes[number]])
                if not fits or (len(batcher) and merging != adapters):
                    break
                adapters = merging
                batcher.add(number, pictures_and_calls(pipeline, each))
                del waiting[0]
            for ended in batcher.turn():
                if ended.error is not None:
                    errors.append(ended.error)
                else:
                    assert isinstance(ended.name, int)
                    found[ended.name] = ended.result
    finally:
        batcher.close()
    if errors:
        raise errors[0]
    return [found[number] for number in range(len(settings))]


def pictures_and_calls(
    pipeline: Pipeline, settings: Settings
) -> Generator[UNetCall | None, LatentsEstimate | None, list[Picture]]:
    """Draw settings for a `Batcher`; return what ``pipeline.draw`` returns."""
    pictures: list[Picture] = []
    for part in pipeline.parts(settings):
        with closing(pipeline.events_and_calls(part)) as events:
            go_on: Callable[[], Event | Reading | UNetCall] = partial(next, events)
            while True:
                try:
                    found = go_on()
                except StopIteration:
                    break
                go_on = partial(next, events)
                if isinstance(found, UNetCall):
                    go_on = yield from ask_driver(found, events)
                elif is_before_other_work(found):
                    yield None
                elif isinstance(found, Result):
                    pictures += pipeline.pictures(found)
    return pictures
