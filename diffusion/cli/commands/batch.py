"""``avila batch``: the jobs of a file, each drawn once, here or on a Ray cluster."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from typer import Argument, Option

from diffusion.cli.app import (
    STOPPED,
    WRONG_INPUT,
    app,
    complain,
    examples,
    needing_extra,
    reporting,
)
from diffusion.cli.interruption import Interruption, interruptible
from diffusion.cli.job import STOPPING
from diffusion.cli.options.shared import (
    ControlFolderOption,
    DebugOption,
    DeviceOption,
    EmbeddingFolderOption,
    LoraFolderOption,
    NetworkTypeOption,
    QuietOption,
    UpscalerFolderOption,
    VaeFolderOption,
    VramOption,
    WeightsOption,
)
from diffusion.cli.progress import ProgressBar

__all__ = ["draw_batch"]

EXAMPLES = examples(
    "avila batch prompts.jsonl",
    "avila batch prompts.jsonl --output pictures/ --set steps=30 --set hires.scale=2",
    "avila batch prompts.jsonl --devices all --model owner/name",
    "avila batch prompts.jsonl --ray auto --workers 16",
    "avila batch prompts.jsonl --retry-failed",
)


@app.command("batch", epilog=EXAMPLES)
def draw_batch(
    context: typer.Context,
    file: Annotated[
        Path,
        Argument(help="A file of JSON lines, or - for stdin.", show_default=False),
    ],
    *,
    output: Annotated[
        Path | None,
        Option(
            "--output",
            "-o",
            metavar="FOLDER",
            help="Folder of the pictures and of results.jsonl.",
            show_default="the file's name without its end",
        ),
    ] = None,
    changes: Annotated[
        list[str] | None,
        Option(
            "--set",
            metavar="NAME=VALUE",
            help="A field for all lines that do not give it, such as steps=30; may be repeated.",
        ),
    ] = None,
    model: Annotated[
        str | None,
        Option(
            "--model",
            "-m",
            metavar="MODEL",
            help="Model of lines that name none: a folder, a .safetensors file, or a name that "
            "'avila model list' shows.",
            show_default="the bundled model",
        ),
    ] = None,
    models: Annotated[
        Path | None,
        Option(metavar="FOLDER", help="Folder of models that lines may name, too."),
    ] = None,
    loras: LoraFolderOption = None,
    embeddings: EmbeddingFolderOption = None,
    controls: ControlFolderOption = None,
    upscalers: UpscalerFolderOption = None,
    vaes: VaeFolderOption = None,
    strict: Annotated[bool, Option("--strict", help="Draw nothing where a line is wrong.")] = False,
    retry_failed: Annotated[
        bool, Option("--retry-failed", help="Try lines again that failed while they were drawn.")
    ] = False,
    restart: Annotated[
        bool, Option("--restart", help="Forget what is finished, and draw all lines anew.")
    ] = False,
    device: DeviceOption = None,
    devices: Annotated[
        str | None,
        Option(
            metavar="LIST",
            help="Draw on several GPUs: all, numbers such as 0,1, or names as --device takes them.",
            show_default="--device alone",
        ),
    ] = None,
    dtype: NetworkTypeOption = None,
    vram: VramOption = None,
    weights: WeightsOption = None,
    at_once: Annotated[
        int | None,
        Option(
            metavar="N",
            min=1,
            max=64,
            help="Pictures that a device draws together.",
            show_default="8 on a GPU, 1 in software",
        ),
    ] = None,
    ray: Annotated[
        str | None,
        Option(
            metavar="ADDRESS",
            help="Draw on a Ray cluster: auto for the one that this machine belongs to, "
            "HOST:PORT or ray://HOST:PORT, or local for one of this machine alone.",
            show_default="no cluster",
        ),
    ] = None,
    workers: Annotated[
        int | None,
        Option(
            metavar="N",
            min=1,
            help="Workers on the cluster.",
            show_default="one for each GPU, or one without GPUs",
        ),
    ] = None,
    json_lines: Annotated[
        bool, Option("--json", help="Print the record of each line in place of file names.")
    ] = False,
    quiet: QuietOption = False,
    debug: DebugOption = False,
) -> None:
    """Draw the jobs of a file, each once, and write what came of them.

    A line is a job as JSON, with the fields of POST /api/v1/jobs: {"prompt": "a fox", "steps": 20,
    "seed": 7, "count": 2}. Its "id" begins the names of its pictures; without one they have the
    line's number. Pictures in it are base64, and "model" is a name, never a path. Blank lines and
    those with # are left out.

    Pictures and results.jsonl grow in the folder. The same command goes on where a run was stopped
    or killed: a line that is done is not drawn again, and new lines are. results.jsonl has a record
    for each line, as they end: line, id, state (done or failed), message, model, seed, pictures
    (file, seed, width, height, sha256).

    A line that is wrong or fails is told with its number, and the others go on. All pictures share
    the calls of the UNet, so that count and batch make no difference in speed.

    Ctrl-C ends it once the pictures under way are finished, the second one at once. 'avila txt2img
    --prompts' reads such a file, too: with the command's own options, on one device.

    Exit status 0: all lines are done. 2: some failed, or it could not begin. 130: it was stopped.
    """
    with reporting(context, debug):
        # Imported here: a plain install lacks the libraries, and other commands need not wait.
        with needing_extra("server" if ray is None else "ray"):
            from diffusion.server.batch.launch import BatchWork, run_batch
            from diffusion.server.batch.options import BatchOptions, parse_changes
        fields = parse_changes(changes or [])
        work = BatchWork(file, output, fields, strict=strict, restart=restart, retry=retry_failed)
        options = BatchOptions(
            model=model,
            models=models,
            loras=loras,
            embeddings=embeddings,
            controls=controls,
            upscalers=upscalers,
            vaes=vaes,
            device=device,
            devices=devices,
            dtype=dtype,
            vram=vram,
            weights=weights,
            at_once=at_once,
            ray=ray,
            workers=workers,
        )
        with watching(work.folder.folder, json_lines, quiet) as reporter:
            with needing_extra("ray"):
                states = run_batch(work, options, reporter)
            reporter.report(states)
    if reporter.stopping():
        raise typer.Exit(STOPPED)
    if states["failed"]:
        raise typer.Exit(WRONG_INPUT)


class Reporter:
    """Tells people how a batch goes, on stderr; names or records go to stdout."""

    def __init__(self, folder: Path, as_json: bool, quiet: bool, bar: ProgressBar) -> None:
        self._folder, self._as_json, self._quiet, self._bar = folder, as_json, quiet, bar
        self._done, self._total = 0, 0
        self.interruption: Interruption | None = None

    def warn(self, text: str) -> None:
        """Tell of a line that is wrong."""
        complain(text)

    def begin(self, left: int, total: int) -> None:
        """Tell how much of the work is left."""
        self._done, self._total = total - left, total
        if self._done and not self._quiet:
            complain(f"{self._done} of {total} pictures are finished from before")

    def count_picture(self) -> None:
        """Count a picture that has ended."""
        self._done += 1
        self._bar.step(self._done, self._total, "pictures")

    def tell(self, record: Mapping[str, Any]) -> None:
        """Tell of a line that has ended."""
        if self._as_json:
            self._bar.print(json.dumps(record))
            return
        if record["state"] == "failed" and record["seed"] is not None:  # others were told before
            complain(f"line {record['line']}: {record['message']}")
        for each in record["pictures"]:
            self._bar.print(str(self._folder / each["file"]))

    def stopping(self) -> bool:
        """Tell whether Ctrl-C was typed."""
        return self.interruption is not None and self.interruption.requested

    def report(self, states: Mapping[str, int]) -> None:
        """Tell what came of all lines."""
        if not self._quiet:
            counts = ", ".join(f"{count} {name}" for name, count in states.items() if count)
            complain(
                f"{sum(states.values())} lines: {counts}; see {self._folder / 'results.jsonl'}"
            )
        if self.stopping():
            complain("the same command goes on from there")


@contextmanager
def watching(folder: Path, as_json: bool, quiet: bool) -> Iterator[Reporter]:
    """Show progress in the block, and let Ctrl-C stop it once what runs is finished."""
    with ProgressBar(shown=not (as_json or quiet)) as bar:
        bar.phase("starting workers")
        reporter = Reporter(folder, as_json, quiet, bar)
        with interruptible(lambda: complain(STOPPING)) as interruption:
            reporter.interruption = interruption
            yield reporter
