"""A tuning run: the products of a model, the tiles that were timed, and the table on disk."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from diffusion.cli.app import complain
from diffusion.cli.interruption import interruptible
from diffusion.cli.job import STOPPING
from diffusion.cli.options.model import ModelOptions
from diffusion.errors import OutputError, SettingsError
from diffusion.settings import Settings
from gpucore import Device
from gpustd.matmul.tile_files import TUNING_VARIABLE, TileSize, read_tiles, user_file, write_tiles
from gpustd.matmul.tiles import Tile, tile_size
from gpustd.matmul.tuned_tiles import SeenMatmul, recorded_matmuls
from gpustd.tuning.timing import Outcome, Standing, tune_matmul

__all__ = ["Tuning", "find_matmuls", "table_file"]


def table_file(device: Device) -> Path:
    """Return the file of the table. Raises `SettingsError` where tables are turned off."""
    file = user_file(device.info)
    if file is None:
        raise SettingsError(TUNING_VARIABLE, "off", "must name the file of the table")
    return file


def find_matmuls(device: Device, model: ModelOptions, settings: Settings) -> list[SeenMatmul]:
    """Return the products of one step that have several tiles, those with the most work first.

    Software renderers have none, as their kernels have no tiles.
    """
    if device.is_cpu:
        return []
    pipeline = model.load(device)
    with recorded_matmuls() as seen:
        for _ in pipeline.generate(settings):
            pass
    pipeline.release()
    return sorted((each for each in seen.values() if len(each.tiles) > 1), key=_work, reverse=True)


def _work(seen: SeenMatmul) -> int:
    """Return the multiplications of all launches of a product."""
    matmul = seen.matmul
    taps = matmul.window.get("kernel_height", 1) * matmul.window.get("kernel_width", 1)
    return seen.count * matmul.m * matmul.n * sum(matmul.channels) * taps


@dataclass
class Tuning:
    """One run of ``avila tune``: the table that it fills, and what it found.

    ``known``: how many products of the model the table had before.
    """

    device: Device
    file: Path
    tiles: dict[str, TileSize] = field(default_factory=dict)
    outcomes: list[Outcome] = field(default_factory=list)
    known: int = 0

    @property
    def timed(self) -> list[Outcome]:
        """The outcomes of products that have a sound tile."""
        return [outcome for outcome in self.outcomes if outcome.tile is not None]

    def read(self) -> None:
        """Read the tiles in the file. Raises `OutputError` for a file that is not such a table."""
        try:
            self.tiles |= read_tiles(self.file, self.device.info)
        except FileNotFoundError:
            return
        except (OSError, ValueError, RecursionError) as error:
            hint = f"remove it, or name another in {TUNING_VARIABLE}"
            raise OutputError(self.file, f"it is not a table of tiles: {error}", hint) from error

    def run(
        self, products: Callable[[], Iterable[SeenMatmul]], retune: bool, *, shown: bool
    ) -> None:
        """Tune what the table lacks, or all with ``retune``. Ctrl-C raises `KeyboardInterrupt`."""
        bar = progress_bar(shown)
        line = bar.add_task("finding the products of a step", total=None)

        def describe(text: str) -> None:
            bar.update(line, description=text)

        with bar, interruptible(lambda: describe(STOPPING)) as interruption:
            seen = list(products())
            interruption.check()
            todo = [each for each in seen if retune or each.key not in self.tiles]
            self.known = len(seen) - len(todo)
            bar.reset(line, total=len(todo))
            if todo:
                self._write()  # a file that cannot be written is reported before any work
            for each in todo:
                for standing in self._tune(each):
                    describe(f"{each.key}  {standing_text(standing)}")
                    interruption.check()
                bar.advance(line)

    def _tune(self, seen: SeenMatmul) -> Iterator[Standing]:
        """Tune one product and write the table. Raises `OutputError`."""
        outcome = yield from tune_matmul(self.device, seen)
        self.outcomes.append(outcome)
        self.device.trim()
        self._write(outcome)

    def _write(self, outcome: Outcome | None = None) -> None:
        """Write the table, with what others have added meanwhile. Raises `OutputError`."""
        self.read()
        if outcome is not None and outcome.tile is not None:
            self.tiles[outcome.seen.key] = tile_size(outcome.tile)
        elif outcome is not None:
            self.tiles.pop(outcome.seen.key, None)
        try:
            write_tiles(self.file, self.device.info, self.tiles)
        except OSError as error:
            reason, hint = error.strerror or str(error), f"name another file in {TUNING_VARIABLE}"
            raise OutputError(self.file, reason, hint) from error

    def report_refused_tiles(self) -> None:
        """Warn of tiles that did not compile or were wrong, once for a product and reason."""
        for outcome in self.outcomes:
            for reason in dict.fromkeys(outcome.refused.values()):
                names = [tile_text(t) for t, why in outcome.refused.items() if why == reason]
                tiles = ", ".join(names) if outcome.tile else f"{len(names)} tiles"
                complain(f"warning: {outcome.seen.key}: not used: {tiles}: {reason}")

    def table(self) -> Table:
        """Return a table with a row for each product."""
        table = Table("product", "launches", "tile", "time", "gain", box=None)
        for outcome in self.timed:
            assert outcome.tile is not None
            seconds = seconds_text(outcome.seconds[outcome.tile])
            row = (tile_text(outcome.tile), seconds, f"{outcome.gain:.2f}x")
            table.add_row(Text(outcome.seen.key), str(outcome.seen.count), *row)
        return table

    def record(self) -> dict[str, object]:
        """Return what ``--json`` prints."""
        rows = [
            {
                "product": outcome.seen.key,
                "launches": outcome.seen.count,
                "tile": outcome.tile and tile_size(outcome.tile),
                "seconds": outcome.tile and outcome.seconds[outcome.tile],
                "gain": round(outcome.gain, 4),
                "refused": {tile_text(tile): reason for tile, reason in outcome.refused.items()},
            }
            for outcome in self.outcomes
        ]
        device = {"name": self.device.name, "backend": self.device.backend}
        return {"file": str(self.file), "device": device, "known": self.known, "products": rows}

    def summary(self) -> str:
        """Return a few lines for people."""
        if not self.outcomes:
            if self.known:
                return f"all {self.known} products are in {self.file}; --again measures them again"
            return f"nothing to tune: on {self.device.name} products have no choice of tiles"
        spent = [(e.seen.count * e.seconds[e.tile], e.gain) for e in self.timed if e.tile]
        after = sum(seconds for seconds, _ in spent)
        before = sum(seconds * gain for seconds, gain in spent)
        counts = f"{len(spent)} products tuned, {self.known} known before; {self.file}"
        gain = f"{before / after:.3f} times as fast as without a table" if after else "none sound"
        return f"{counts}\nthese launches together: {gain}"


def progress_bar(shown: bool) -> Progress:
    """Return a bar on stderr that is gone at the end."""
    console = Console(stderr=True)
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=20),
        MofNCompleteColumn(),
        TextColumn("ETA"),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not (shown and console.is_terminal),
    )


def tile_text(tile: Tile) -> str:
    """Return a tile as ``128x160x64/32x80``: the block of a workgroup, and its parts.

    ``*2`` follows for two teams, ``+4`` for four loaders.
    """
    teams = f"*{tile.teams}" if tile.teams > 1 else ""
    loaders = f"+{tile.loaders}" if tile.loaders else ""
    return f"{tile.bm}x{tile.bn}x{tile.bk}/{tile.wm}x{tile.wn}{teams}{loaders}"


def standing_text(standing: Standing) -> str:
    """Return the quickest tile so far, with its time."""
    if standing.tile is None or standing.seconds is None:
        return "checking"
    return f"{tile_text(standing.tile)} {seconds_text(standing.seconds)}"


def seconds_text(seconds: float) -> str:
    """Return a time in microseconds, or in milliseconds from one millisecond on."""
    return f"{seconds * 1e3:.2f} ms" if seconds >= 1e-3 else f"{seconds * 1e6:.1f} µs"
