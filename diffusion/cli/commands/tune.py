"""``avila tune``: the quickest tiles for a model's matrix products on this device, kept on disk."""

from __future__ import annotations

import json
import sys
from typing import Annotated

import typer
from rich.console import Console
from typer import Option

from diffusion.checks import check_integer
from diffusion.cli.app import STOPPED, app, complain, examples, reporting
from diffusion.cli.job import check_settings, open_device
from diffusion.cli.native_messages import hide_native_messages
from diffusion.cli.options.groups import with_groups
from diffusion.cli.options.model import ModelOptions
from diffusion.cli.options.parsing import parse_size
from diffusion.cli.options.shared import (
    DebugOption,
    DeviceOption,
    JsonOption,
    ModelOption,
    PredictionOption,
    SizeOption,
    TokenizerOption,
)
from diffusion.cli.tuning import Tuning, find_matmuls, table_file
from diffusion.settings import Settings

__all__ = ["UNSOUND", "tune_device"]

UNSOUND = 1
"""Exit status where no tile of some product gives the right result."""

EXAMPLES = examples(
    "avila tune",
    "avila tune --model path/to/model --size 768x768 --batch 4",
    "GPUCORE_TUNING=card.json avila tune --device wgpu",
)

BatchOption = Annotated[
    int | None,
    Option("--batch", help="How many pictures are computed at once.", show_default="1"),
]
RetuneOption = Annotated[bool, Option("--again", help="Measure again what the table already has.")]


@app.command("tune", epilog=EXAMPLES)
@with_groups
def tune_device(
    context: typer.Context,
    *,
    model: ModelOption = None,
    tokenizer: TokenizerOption = None,
    prediction: PredictionOption = None,
    size: SizeOption = None,
    batch: BatchOption = None,
    retune: RetuneOption = False,
    device: DeviceOption = None,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Find the quickest tiles for a model's products on this device, and remember them.

    Nearly all of a picture's time goes into matrix products: convolutions and linear layers. A GPU
    computes them in tiles. Which tile is quickest depends on the card, its driver and the sizes.
    Without a table, a rule of thumb chooses.

    One step is drawn to find the products. Each tile is checked against the plainest kernel and
    then timed on random numbers, a minute or two in all. Pictures keep every bit: only the time
    changes. Tune once for each size and batch that you draw often.

    The table is for this adapter, engine and driver. It lies in the user's cache folder. The
    environment variable GPUCORE_TUNING names another file, or with "off" lets runs use no table.
    Ctrl-C keeps what is done, and the next call continues from there. Exit status 1: some product
    has no tile whose result is right.
    """
    with reporting(context, debug):
        check_integer("batch", batch, 1, 64)
        width, height = (None, None) if size is None else parse_size(size)
        count = batch or 1
        settings = Settings("a", width=width, height=height, steps=1, count=count, batch=count)
        check_settings(settings)
        options = ModelOptions(model, tokenizer, prediction)
        options.check()
        with hide_native_messages(shown=debug):
            opened = open_device(device)
        tuning = Tuning(opened, table_file(opened))
        tuning.read()
        try:
            tuning.run(lambda: find_matmuls(opened, options, settings), retune, shown=not as_json)
        except KeyboardInterrupt:
            complain(f"stopped; {len(tuning.outcomes)} products are tuned and kept")
            raise typer.Exit(STOPPED) from None
        finally:
            tuning.report_refused_tiles()
    if as_json:
        print(json.dumps(tuning.record()))
    else:
        if tuning.timed:
            Console(soft_wrap=True).print(tuning.table())
        print(tuning.summary(), file=sys.stderr)
    if unsound := len(tuning.outcomes) - len(tuning.timed):
        hint = "its pictures may be wrong; update the driver, or use another engine (avila doctor)"
        complain(f"{unsound} products have no sound tile here: {hint}")
        raise typer.Exit(UNSOUND)
