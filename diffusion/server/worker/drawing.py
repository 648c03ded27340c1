"""One job on its way: a generator that gives way after each step, so that jobs can take turns."""

from __future__ import annotations

import io
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Final

from PIL import Image

from diffusion.errors import NotFiniteError
from diffusion.images import arrange_grid
from diffusion.infotext.files import png_info
from diffusion.infotext.from_settings import infotext_from_settings, other_networks_fields
from diffusion.pipeline.events import Result, Stage, Step
from diffusion.pipeline.pipeline import Pipeline
from diffusion.release import version
from diffusion.server.engine.messages import Draw, Drawn, Previewed, Staged, Stepped, Stop
from diffusion.server.worker.mailbox import Mailbox
from diffusion.settings import Settings
from gpucore.integers import ceil_div

__all__ = ["Drawing"]

PREVIEW_SIDE: Final = 1024
"""Pixels of a preview's longer side; larger ones are scaled down."""


@dataclass
class Drawing:
    """A job's pictures, batch by batch. ``stopped``: it ended because it was asked to."""

    task: Draw
    pipeline: Pipeline
    mailbox: Mailbox
    stopped: bool = False

    def steps(self) -> Iterator[None]:
        """Draw, and yield after each step. Raises as `Pipeline.generate`."""
        complete = self.task.settings.with_defaults(self.pipeline.defaults)
        size = complete.batch or 1
        batches = ceil_div(complete.count, size)
        for number, first in enumerate(range(0, complete.count, size)):
            part = complete.part(first, min(size, complete.count - first))
            yield from self._draw_batch(part, number, batches)
            if self.stopped:
                return

    def _draw_batch(self, part: Settings, number: int, batches: int) -> Generator[None]:
        first = number * (self.task.settings.batch or 1)
        with closing(self.pipeline.generate(part)) as events:
            for event in events:
                if isinstance(event, Stage):
                    self.mailbox.send(Staged(self.task.job, event.name))
                elif isinstance(event, Step):
                    event.wait()
                    self._report(event, number, batches)
                    yield
                else:
                    self._send(part, first, event.images, event.seeds)
                    yield
                how = self.mailbox.stop_of(self.task.job)
                if how is None:
                    continue
                self.stopped = self.stopped or how is not Stop.SKIP
                if how is not Stop.DROP and isinstance(event, Step):
                    self._send_partial(part, first, event)
                if not isinstance(event, Result) or self.stopped:
                    return

    def _report(self, step: Step, batch: int, batches: int) -> None:
        """Send a step's number, and a preview where one is due."""
        job, every = self.task.job, self.task.preview_every
        self.mailbox.send(Stepped(job, batch * step.total + step.index, batches * step.total))
        if every and step.index % every == 0 and step.index < step.total:
            try:
                images = step.preview()
            except NotFiniteError:
                return  # a picture that cannot be previewed fails at its end, with a reason
            self.mailbox.send(Previewed(job, _preview(images)))

    def _send_partial(self, part: Settings, first: int, step: Step) -> None:
        """Send the pictures of a batch as they are after a step."""
        images = self.pipeline.decode(step.latents(), part.vae_tiling, part.seamless)
        seeds = [part.part(i, 1).seed for i in range(len(images))]
        self._send(part, first, images, seeds, partial=True)

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
            file = io.BytesIO()
            image.save(file, "PNG", pnginfo=png_info(text))
            place, size = first + i, image.size
            drawn = Drawn(self.task.job, place, file.getvalue(), seeds[i], *size, text, partial)
            self.mailbox.send(drawn)

    def _infotext(self, part: Settings, number: int) -> str:
        about = self.pipeline.provenance
        model = about["model"]
        more = other_networks_fields(about, None) | self.pipeline.loras.fields(part)
        program = f"Avila {version()}"
        return infotext_from_settings(part, number, model["name"], model["hash"], program, more)


def _preview(images: list[Image.Image]) -> bytes:
    """Return pictures side by side as a small JPEG."""
    grid = arrange_grid(images)
    grid.thumbnail((PREVIEW_SIDE, PREVIEW_SIDE))
    file = io.BytesIO()
    grid.convert("RGB").save(file, "JPEG", quality=80)
    return file.getvalue()
