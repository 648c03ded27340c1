"""One run of a batch: what is left is drawn, and written as it comes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from diffusion.server.batch.folder import BatchFolder, Record
from diffusion.server.batch.lines import BadLine, BatchFile, Line
from diffusion.server.batch.pieces import Outcome, Work

__all__ = ["BatchRun", "DrawWork"]

DrawWork = Callable[[Iterator[Work]], Iterator[Outcome]]
"""A function that draws work, here or on a cluster, and yields pictures as they come."""


@dataclass
class BatchRun:
    """The lines of a batch, and how far they are. ``found``: its lines, checked.

    ``tell`` is called with the record of each line that ends in this run.
    """

    file: BatchFile
    folder: BatchFolder
    found: Sequence[Line | BadLine]
    tell: Callable[[Record], None] = lambda _: None
    _lines: dict[str, Line] = field(default_factory=dict)

    @property
    def total(self) -> int:
        """The pictures of all lines."""
        return sum(each.count for each in self.found if isinstance(each, Line))

    @property
    def left(self) -> int:
        """The pictures that are still to be drawn."""
        return sum(len(self.folder.missing(each)) for each in self._jobs())

    def states(self) -> dict[str, int]:
        """Return the number of lines that are done, failed and left."""
        states = [self.folder.done.get(each.key, {}).get("state", "left") for each in self.found]
        return {name: states.count(name) for name in ("done", "failed", "left")}

    def run(self, draw: DrawWork, count_picture: Callable[[], None]) -> None:
        """Draw what is left. ``count_picture`` is called after each picture.

        Raises as ``draw``, and `OutputError`.
        """
        for line in self.found:
            if isinstance(line, BadLine) and not self.folder.is_done(line):
                self.tell(self.folder.fail(line))
            elif isinstance(line, Line) and (record := self.folder.finish(line)) is not None:
                self.tell(record)  # a kill came between its last picture and its record
        self._lines = {each.key: each for each in self._jobs()}
        for outcome in draw(self._work()):
            record = self.folder.keep(self._lines[outcome.key], outcome)
            count_picture()
            if record is not None:
                self.tell(record)
        if self.states()["done"] == len(self.found):
            self.folder.mark_complete()

    def _jobs(self) -> Iterator[Line]:
        return (each for each in self.found if isinstance(each, Line))

    def _work(self) -> Iterator[Work]:
        """Yield what is left, by models, each model's lines as they stand."""
        models = list(dict.fromkeys(each.model for each in self._jobs()))
        for line in sorted(self._jobs(), key=lambda each: models.index(each.model)):
            numbers = self.folder.missing(line)
            if numbers:
                request = self.file.request_json(line)
                yield Work(line.key, request, self.folder.seed_of(line), line.model, numbers)
