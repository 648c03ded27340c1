"""One job on its way: a generator for a `Batcher`, so that jobs share the calls of the UNet."""

from __future__ import annotations

import functools
import io
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass
from typing import Final, NamedTuple

from PIL import Image

from diffusion.batching import is_before_other_work
from diffusion.errors import NotFiniteError
from diffusion.images import arrange_grid
from diffusion.infotext.files import png_info
from diffusion.infotext.from_settings import infotext_from_settings, other_networks_fields
from diffusion.pipeline.calls import LatentsEstimate, Reading, UNetCall, ask_driver
from diffusion.pipeline.events import Event, Result, Stage, Step
from diffusion.pipeline.memory import with_tiles
from diffusion.pipeline.pipeline import Pipeline
from diffusion.pipeline.refiner import NO_COMPANIONS, Companions
from diffusion.release import version
from diffusion.server.engine.messages import Draw, Drawn, Previewed, Staged, Stepped, Stop
from diffusion.server.worker.mailbox import Mailbox
from diffusion.settings import Settings

__all__ = ["Drawing"]

PREVIEW_SIDE: Final = 1024
"""Pixels of a preview's longer side; larger ones are scaled down."""


class _Recorded(NamedTuple):
    """A step that the device may still compute, and the function that waits for it."""

    step: Step
    wait: Callable[[], None]


@dataclass
class Drawing:
    """A job's pictures, batch by batch. ``stopped``: it ended because it was asked to."""

    task: Draw
    pipeline: Pipeline
    mailbox: Mailbox
    companions: Companions = NO_COMPANIONS
    stopped: bool = False

    def calls(self) -> Generator[UNetCall | None, LatentsEstimate | None, None]:
        """Draw, and yield as a `diffusion.batching.Drawing`. Raises as `Pipeline.generate`."""
        parts, first = self.pipeline.parts(self.task.settings), 0
        for number, part in enumerate(parts):
            yield from self._draw_batch(part, first, number, len(parts))
            first += part.count
            if self.stopped:
                return

    def _draw_batch(
        self, part: Settings, first: int, number: int, batches: int
    ) -> Generator[UNetCall | None, LatentsEstimate | None, None]:
        """Draw pictures from ``first`` on, in batch ``number``.

        A step is waited for and reported while the device is busy with the call after it.
        """
        recorded: _Recorded | None = None
        latest: Step | None = None
        with closing(self.companions.events_and_calls(self.pipeline, part)) as events:
            go_on: Callable[[], Event | Reading | UNetCall] = functools.partial(next, events)
            while True:
                try:
                    event = go_on()
                except StopIteration:
                    return
                go_on = functools.partial(next, events)
                before, recorded = recorded, None
                if isinstance(event, Step):
                    recorded = _Recorded(event, event.begin_wait())
                if isinstance(event, UNetCall):
                    go_on = yield from ask_driver(event, events)
                elif before is not None or is_before_other_work(event):
                    yield None
                if before is not None:
                    before.wait()
                    latest = before.step
                    self._report(latest, number, batches)
                if isinstance(event, Stage):
                    self.mailbox.send(Staged(self.task.job, event.name))
                elif isinstance(event, Result):
                    self._send(event.settings, first, event.images, event.seeds)
                how = self.mailbox.stop_of(self.task.job)
                if how is not None:
                    self.stopped = how is not Stop.SKIP
                    if not (how is Stop.DROP or latest is None or isinstance(event, Result)):
                        self._send_partial(part, first, latest)
                    return

    def _report(self, step: Step, batch: int, batches: int) -> None:
        """Send a step's number, and a preview where one is due, unless the job is to stop."""
        job, every = self.task.job, self.task.preview_every
        self.mailbox.send(Stepped(job, batch * step.total + step.index, batches * step.total))
        is_due = every and step.index % every == 0 and step.index < step.total
        if is_due and not self.mailbox.has_stop(job):
            try:
                # In software a whole one takes as long as several steps.
                small = self.pipeline.device.is_cpu
                images = step.preview(small, lambda: self.mailbox.has_stop(job))
            except NotFiniteError:
                return  # a picture that cannot be previewed fails at its end, with a reason
            if not self.mailbox.has_stop(job):
                self.mailbox.send(Previewed(job, _preview(images)))

    def _send_partial(self, part: Settings, first: int, step: Step) -> None:
        """Send the pictures of a batch as they are after a step."""
        drawn = with_tiles(part, self.pipeline.networks.placement)
        images = self.pipeline.decode(step.latents(), drawn.vae_tiling, drawn.seamless)
        seeds = [drawn.part(i, 1).seed for i in range(len(images))]
        self._send(drawn, first, images, seeds, partial=True)

    def _send(
        self,
        part: Settings,
        first: int,
        images: list[Image.Image],
        seeds: list[int],
        partial: bool = False,
    ) -> None:
        for i, image in enumerate(images):
            text = self._infotext(part, i)
            self.mailbox.send_later(
                functools.partial(
                    _picture_message,
                    self.task.job,
                    first + i,
                    image,
                    seeds[i],
                    text,
                    partial=partial,
                )
            )

    def _infotext(self, part: Settings, number: int) -> str:
        beside = self.companions
        about = self.pipeline.provenance
        for name, other in (("refiner", beside.refiner), ("hires", beside.hires)):
            if other is not None:
                about[name] = other.provenance["model"]
        model = about["model"]
        switch = None if beside.refiner is None else beside.switch
        more = other_networks_fields(about, switch) | self.pipeline.adapter_fields(part)
        program = f"Avila {version()}"
        return infotext_from_settings(part, number, model["name"], model["hash"], program, more)


def _picture_message(
    job: str, number: int, image: Image.Image, seed: int, text: str, *, partial: bool
) -> Drawn:
    """Return the message with a picture's file."""
    file = io.BytesIO()
    image.save(file, "PNG", pnginfo=png_info(text))
    return Drawn(job, number, file.getvalue(), seed, *image.size, text, partial)


def _preview(images: list[Image.Image]) -> bytes:
    """Return pictures side by side as a small JPEG."""
    grid = arrange_grid(images)
    grid.thumbnail((PREVIEW_SIDE, PREVIEW_SIDE))
    file = io.BytesIO()
    grid.convert("RGB").save(file, "JPEG", quality=80)
    return file.getvalue()
