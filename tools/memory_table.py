"""Print what runs take of a device within budgets of memory: planned, and measured.

    python -m tools.memory_table FOLDER [--size 1024] [--budgets 3G,4G] [--control FILE]
        [--dtype f16] [--weights f16,fp8,q8_0,q4_k] [--steps 20] [--measure] [--json FILE]

``FOLDER``: a model. Without --measure nothing is computed and no weight is read, so that a folder
of holes will do (`tools.full_size.random_folder`). With it each row loads the model anew and draws
three pictures: the second is timed, and each step of the third. *Card* is what the driver says
(nvidia-smi) beyond what it said before, with what the driver takes for itself. *Host* is the most
that the process had of memory of its own while it loaded, beyond what lies there on purpose.
*Call* is the time of a step, *copy* that of its copies from the host alone, by the rate that
`avila plan` measures, and *rate* their bytes by the time of the step. Where copies run beside what
computes, a call takes little more than the longer of both.
"""

from __future__ import annotations

import argparse
import gc
import json
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from diffusion import Pipeline, Settings
from diffusion.checks import read_bytes
from diffusion.control import Control
from diffusion.memory import Budget
from diffusion.pipeline.memory import MemoryBudget, traced_device
from gpucore import Device, OutOfMemoryError
from gpucore.memory.host import host_bytes

__all__ = ["Row", "Source", "measured_row", "planned_row"]

_MB = 1e6


@dataclass
class Row:
    """A run within a budget (None: all). Bytes in MB; None where it was not measured.

    ``weights``: their format, None for the file's own. ``equal``: the bits of the picture with all
    on the device.
    """

    weights: str | None
    budget: str | None
    placement: str
    planned: float
    moved_per_call: float = 0.0
    measured: float | None = None
    card: float | None = None
    host: float | None = None
    load_s: float | None = None
    first_step_s: float | None = None
    picture_s: float | None = None
    call_ms: float | None = None
    copy_ms: float | None = None
    rate_gb_s: float | None = None
    equal: bool | None = None

    def text(self) -> str:
        """Return the row in Markdown."""
        return "| " + " | ".join(_cell(value) for value in asdict(self).values()) + " |"


def _cell(value: object) -> str:
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:.2f}" if value < 100 else f"{value:,.0f}"
    return (
        {True: "yes", False: "no"}.get(value, str(value)) if isinstance(value, bool) else str(value)
    )


class Source(NamedTuple):
    """What is loaded: a model, the type that it computes in, and what its weights become."""

    model: Path
    dtype: str
    weights: str | None


def planned_row(source: Source, settings: Settings, device: Device, text: str | None) -> Row:
    """Return the row of a budget, without computing. Raises `OutOfMemoryError`."""
    model, dtype, weights = source
    pipeline = Pipeline.load(model, traced_device(device), dtype, weights=weights)
    pipeline.memory = MemoryBudget(read_bytes("budget", text))
    found = pipeline.memory.fit(pipeline, device, settings.with_defaults(pipeline.defaults))
    plan = found.plan
    return Row(weights, text, str(found.placement), plan.peak / _MB, plan.moved_per_call / _MB)


def measured_row(
    source: Source, settings: Settings, name: str, text: str | None
) -> tuple[Row, Image.Image]:
    """Load, draw twice, and return the row and the picture."""
    gc.collect()  # what the last row left in cycles
    before, begun = _card_bytes(), time.perf_counter()
    with closing(Device.by_name(name, checks=False)) as device:
        with _watched_host() as host:
            budget = None if text is None else Budget(text, settings)
            model, dtype, weights = source
            pipeline = Pipeline.load(model, device, dtype, vram=budget, weights=weights)
        loaded = time.perf_counter()
        steps: list[float] = []

        def note_step(step: object) -> None:
            step.wait()  # type: ignore[attr-defined]
            steps.append(time.perf_counter())

        first = pipeline.draw(settings, note_step)
        card, first_step = _card_bytes() - before, steps[0] - begun
        again = time.perf_counter()
        second = pipeline.draw(settings)
        seconds = time.perf_counter() - again
        steps.clear()
        pipeline.draw(settings, note_step)
        call = (steps[-1] - steps[0]) / (len(steps) - 1) if len(steps) > 1 else None
        assert np.array_equal(np.asarray(first[0]), np.asarray(second[0]))
        plan = pipeline.plan(settings)
        copy = plan.seconds_per_call if plan.moved_per_call else None
        row = Row(
            weights,
            text,
            str(pipeline.networks.placement),
            plan.peak / _MB,
            plan.moved_per_call / _MB,
            device.memory.peak_reserved / _MB,
            card / _MB,
            (max(host) - host[0] - host_bytes(device)) / _MB,
            loaded - begun,
            first_step,
            seconds,
            None if call is None else 1e3 * call,
            None if copy is None else 1e3 * copy,
            plan.moved_per_call / call / 1e9 if call and plan.moved_per_call else None,
        )
        return row, second[0]


def _card_bytes() -> float:
    """Return the bytes in use on the first card, as NVIDIA's driver says; 0 without one."""
    try:
        command = ["nvidia-smi", "--query-gpu=memory.used", "--format=csv,noheader,nounits"]
        found = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        return int(found.split()[0]) * 2.0**20
    except (OSError, subprocess.CalledProcessError, IndexError):
        return 0.0


@contextmanager
def _watched_host() -> Iterator[list[int]]:
    """Note the bytes of this process that no file backs, again and again, inside the context."""
    found, stop = [_own_bytes()], threading.Event()

    def watch() -> None:
        while not stop.wait(0.002):
            found.append(_own_bytes())

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield found
    finally:
        stop.set()
        thread.join()


def _own_bytes() -> int:
    text = Path("/proc/self/status").read_text(encoding="ascii")
    return sum(1024 * int(n) for n in re.findall(r"(?:RssAnon|RssShmem):\s+(\d+)", text))


def _rows(
    source: Source,
    settings: Settings,
    budgets: Sequence[str | None],
    device: Device,
    *,
    measures: bool,
) -> Iterator[Row]:
    """Yield the rows of a model within budgets, the first without one."""
    reference: Image.Image | None = None
    for text in budgets:
        try:
            if not measures:
                yield planned_row(source, settings, device, text)
                continue
            row, picture = measured_row(source, settings, device.backend, text)
        except OutOfMemoryError as error:
            print(f"| {source.weights} | {text} | {error} |", file=sys.stderr)
            continue
        reference = reference or picture
        row.equal = np.array_equal(np.asarray(reference), np.asarray(picture))
        yield row


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.memory_table",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--budgets", default="")
    parser.add_argument("--control", type=Path)
    parser.add_argument("--device", default="")
    parser.add_argument("--dtype", default="f16")
    parser.add_argument("--weights", help="formats, separated by commas (the file's own)")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--measure", action="store_true")
    parser.add_argument("--json", type=Path)
    chosen = parser.parse_args()
    blank = Image.new("RGB", (chosen.size, chosen.size))
    controls = (Control(chosen.control, blank),) if chosen.control else ()
    settings = Settings(
        "a red apple", "a dog", chosen.size, chosen.size, chosen.steps, 7.0, controls=controls
    )
    budgets: list[str | None] = [None, *filter(None, chosen.budgets.split(","))]
    rows: list[Row] = []
    print("| " + " | ".join(Row.__dataclass_fields__) + " |")
    with closing(Device.by_name(chosen.device, checks=False)) as device:
        for weights in chosen.weights.split(",") if chosen.weights else [None]:
            source = Source(chosen.folder, chosen.dtype, weights)
            for row in _rows(source, settings, budgets, device, measures=chosen.measure):
                rows.append(row)
                print(row.text(), flush=True)
    if chosen.json:
        chosen.json.write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n")


if __name__ == "__main__":
    main()
