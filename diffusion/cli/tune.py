"""``avila tune``: the quickest tiles for a model's products on this device, remembered on disk."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import typer
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

from diffusion.checks import check_integer
from diffusion.cli import options
from diffusion.cli.app import STOPPED, app, complain, reporting
from diffusion.cli.interruption import interruptible
from diffusion.cli.job import (
    NamedModel,
    check,
    opened_device,
    parsed_prediction,
    parsed_size,
)
from diffusion.cli.native_messages import held_back
from diffusion.errors import OutputError, SettingsError
from diffusion.settings import Settings
from gpucore import Device
from gpustd.matmul.tiles import Tile, tile_size
from gpustd.matmul.tuned_tiles import SeenMatmul, recorded_matmuls
from gpustd.tuning.files import TUNING_VARIABLE, TileSize, read_tiles, user_file, write_tiles
from gpustd.tuning.timing import Outcome, Standing, tune_matmul

__all__ = ["UNSOUND", "tune"]

UNSOUND = 1
"""Exit status where a product has no tile whose result is right."""

_UNSOUND = "its pictures may be wrong; update the driver, or take another engine (avila doctor)"

EXAMPLES = """\
Examples:

[cyan]avila tune[/cyan]

[cyan]avila tune --model path/to/model --size 768x768 --batch 4[/cyan]

[cyan]GPUCORE_TUNING=card.json avila tune --device wgpu[/cyan]
"""

Again = Annotated[
    bool,
    typer.Option("--again", help="Time also what the table knows already."),
]


@app.command(epilog=EXAMPLES)
def tune(
    context: typer.Context,
    *,
    model: options.Model = None,
    tokenizer: options.Tokenizer = None,
    prediction: options.Predicts = None,
    size: options.Size = None,
    batch: options.Batch = None,
    again: Again = False,
    device: options.DeviceName = None,
    as_json: options.AsJson = False,
    debug: options.Debug = False,
) -> None:
    """Find the quickest tiles for a model's products on this device, and remember them.

    Nearly all of a picture's time goes into products: convolutions and linear layers. A GPU
    computes them in tiles, and which tile is quickest depends on the card, its driver and the
    sizes. Without a table a rule of thumb chooses.

    One step is drawn to see which products there are. Each tile is checked against the plainest
    kernel and then timed on random numbers; a minute or two in all. Pictures keep every bit: only
    the time changes. Tune once for each size and batch that you draw often.

    The table is for this adapter, engine and driver, in the user's cache folder; the environment
    variable GPUCORE_TUNING names another file, or with "off" lets runs use no table. Ctrl-C keeps
    what is done, and the next call goes on from there. Exit status 1: some product has no tile
    whose result is right.
    """
    with reporting(context, debug):
        check_integer("batch", batch, 1, 64)
        count = 1 if batch is None else batch
        settings = Settings("a", "", *parsed_size(size), steps=1, count=count, batch=count)
        check(settings)
        parsed_prediction(prediction)
        named = NamedModel(model, tokenizer, prediction)
        with held_back(shown=debug):
            opened = opened_device(device)
        tuning = Tuning(opened, table_file(opened))
        tuning.read()
        try:
            tuning.run(lambda: seen_products(opened, named, settings), again, shown=not as_json)
        except KeyboardInterrupt:
            complain(f"stopped; {len(tuning.outcomes)} products are tuned and kept")
            raise typer.Exit(STOPPED) from None
        finally:
            tuning.tell_refused()
    if as_json:
        print(json.dumps(tuning.record()))
    else:
        if tuning.timed:
            Console(soft_wrap=True).print(tuning.table())
        print(tuning.summary(), file=sys.stderr)
    if unsound := len(tuning.outcomes) - len(tuning.timed):
        complain(f"{unsound} products have no sound tile here: {_UNSOUND}")
        raise typer.Exit(UNSOUND)


def table_file(device: Device) -> Path:
    """The file to write. Raises `SettingsError` where there is none."""
    file = user_file(device.info)
    if file is None:
        raise SettingsError(TUNING_VARIABLE, "off", "name the file that the table goes to")
    return file


def seen_products(device: Device, model: NamedModel, settings: Settings) -> list[SeenMatmul]:
    """The products of one step with a choice of tiles, those with the most work first.

    Software renderers have none: their kernels have no tiles.
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
    """Multiplications of all its launches."""
    product = seen.matmul
    taps = product.window.get("kernel_height", 1) * product.window.get("kernel_width", 1)
    return seen.count * product.m * product.n * sum(product.channels) * taps


@dataclass
class Tuning:
    """One run of the command: the table that it fills, and what it found."""

    device: Device
    file: Path
    tiles: dict[str, TileSize] = field(default_factory=dict)
    outcomes: list[Outcome] = field(default_factory=list)
    known: int = 0

    @property
    def timed(self) -> list[Outcome]:
        """Of products with a tile that is sound."""
        return [outcome for outcome in self.outcomes if outcome.tile is not None]

    def read(self) -> None:
        """Take what the file has. Raises `OutputError` for a file that is no such table."""
        try:
            self.tiles |= read_tiles(self.file, self.device.info)
        except FileNotFoundError:
            return
        except (OSError, ValueError, RecursionError) as error:
            hint = f"remove it, or name another in {TUNING_VARIABLE}"
            raise OutputError(
                self.file, f"what is there is no table of tiles: {error}", hint
            ) from (error)

    def run(
        self, products: Callable[[], Iterable[SeenMatmul]], again: bool, *, shown: bool
    ) -> None:
        """Tune what the table lacks, or all ``again``. Ctrl-C raises `KeyboardInterrupt`."""
        bar = progress_bar(shown)
        line = bar.add_task("seeing which products there are", total=None)

        def tell(text: str) -> None:
            bar.update(line, description=text)

        told = "stopping (Ctrl-C again: at once)"
        with bar, interruptible(lambda: tell(told)) as interruption:
            seen = list(products())
            interruption.check()
            todo = [each for each in seen if again or each.key not in self.tiles]
            self.known = len(seen) - len(todo)
            bar.reset(line, total=len(todo))
            if todo:
                self._write()  # a place that takes no file is told before any work
            for each in todo:
                for standing in self._tuned(each):
                    tell(f"{each.key}  {standing_text(standing)}")
                    interruption.check()
                bar.advance(line)

    def _tuned(self, seen: SeenMatmul) -> Iterator[Standing]:
        """Tune one product and write the table. Raises `OutputError`."""
        outcome = yield from tune_matmul(self.device, seen)
        self.outcomes.append(outcome)
        self.device.trim()
        self._write(outcome)

    def _write(self, outcome: Outcome | None = None) -> None:
        """Write the table and what others put into it meanwhile. Raises `OutputError`."""
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

    def tell_refused(self) -> None:
        """Warnings of tiles that did not compile or were wrong: one for a product and reason."""
        for outcome in self.outcomes:
            for why in dict.fromkeys(outcome.refused.values()):
                names = [tile_text(tile) for tile, told in outcome.refused.items() if told == why]
                told = ", ".join(names) if outcome.tile else f"{len(names)} tiles"
                complain(f"warning: {outcome.seen.key}: not used: {told}: {why}")

    def table(self) -> Table:
        """A row for each product."""
        table = Table("product", "launches", "tile", "time", "gain", box=None)
        for outcome in self.timed:
            assert outcome.tile is not None
            seconds = seconds_text(outcome.seconds[outcome.tile])
            row = (tile_text(outcome.tile), seconds, f"{outcome.gain:.2f}x")
            table.add_row(Text(outcome.seen.key), str(outcome.seen.count), *row)
        return table

    def record(self) -> dict[str, object]:
        """What ``--json`` prints."""
        rows = [
            {
                "product": outcome.seen.key,
                "launches": outcome.seen.count,
                "tile": outcome.tile and tile_size(outcome.tile),
                "seconds": outcome.tile and outcome.seconds[outcome.tile],
                "gain": round(outcome.gain, 4),
                "refused": {tile_text(tile): why for tile, why in outcome.refused.items()},
            }
            for outcome in self.outcomes
        ]
        about = {"name": self.device.name, "backend": self.device.backend}
        return {"file": str(self.file), "device": about, "known": self.known, "products": rows}

    def summary(self) -> str:
        """One line for people."""
        if not self.outcomes:
            if self.known:
                return f"all {self.known} products are in {self.file}; --again times them anew"
            return f"nothing to tune: on {self.device.name} products have no choice of tiles"
        spent = [(e.seen.count * e.seconds[e.tile], e.gain) for e in self.timed if e.tile]
        after = sum(seconds for seconds, _ in spent)
        before = sum(seconds * gain for seconds, gain in spent)
        told = f"{len(spent)} products tuned, {self.known} known before; {self.file}"
        gain = f"{before / after:.3f} times as fast as without a table" if after else "none sound"
        return f"{told}\nthese launches together: {gain}"


def progress_bar(shown: bool) -> Progress:
    """A bar on stderr, gone at the end."""
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
    """``128x160x64/32x80``: the block of a workgroup, and its parts.

    Then ``*2`` of two teams, ``+4`` beside four loaders.
    """
    teams = f"*{tile.teams}" if tile.teams > 1 else ""
    loaders = f"+{tile.loaders}" if tile.loaders else ""
    return f"{tile.bm}x{tile.bn}x{tile.bk}/{tile.wm}x{tile.wn}{teams}{loaders}"


def standing_text(standing: Standing) -> str:
    """The quickest tile so far."""
    if standing.tile is None or standing.seconds is None:
        return "checking"
    return f"{tile_text(standing.tile)} {seconds_text(standing.seconds)}"


def seconds_text(seconds: float) -> str:
    """Microseconds, or milliseconds from one on."""
    return f"{seconds * 1e3:.2f} ms" if seconds >= 1e-3 else f"{seconds * 1e6:.1f} µs"
