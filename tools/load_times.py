"""Print what the time from a model's files to the first step goes to.

    python -m tools.load_times FOLDER [--device cuda] [--dtype f16] [--size 1024] [--readers 1,4]
        [--vram 4G]

Each number of ``--readers`` (threads that read files) loads the model anew and draws one step, the
files in the system's cache. Times are those of the calling thread, each without what it calls of
the others: *plans* place weights within a budget (``--vram``), *files* waits for tensors that are
read, *writes* hands bytes to the engine, *keeps* gets memory of the host for weights that stay
there, *reads* and *waits* are for the device, *trims* give memory back, *memory* takes it from the
device, *compiling* starts kernels, *submits* waits for them, makes the driver's graphs and hands
commands over, *captures* record graphs, and *rest* is Python. *Step* counts from the loaded model.
Kernels that no process has compiled yet take seconds more: run it twice.
"""

from __future__ import annotations

import argparse
import functools
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

from diffusion import Pipeline, Settings
from diffusion.checkpoints.safetensors import read_ahead
from diffusion.memory import Budget
from diffusion.pipeline.memory import budget
from gpucore import Device, Graph

__all__ = ["Clock", "load_times"]

NAMES = (
    *("plans", "files", "writes", "keeps", "reads", "waits", "trims", "memory", "compiling"),
    *("submits", "captures", "rest"),
)


class Clock:
    """Seconds by activity; what begins inside another stops that one's clock."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self._under_way = ["rest"]
        self._since = time.perf_counter()

    def _charge(self) -> None:
        now = time.perf_counter()
        self.seconds[self._under_way[-1]] += now - self._since
        self._since = now

    @contextmanager
    def during(self, name: str) -> Iterator[None]:
        """Count the time inside as that of an activity; all of planning is planning."""
        self._charge()
        self._under_way.append("plans" if "plans" in self._under_way else name)
        try:
            yield
        finally:
            self._charge()
            self._under_way.pop()

    def take(self) -> dict[str, float]:
        """Return the seconds so far, and begin at zero."""
        self._charge()
        found, self.seconds = self.seconds, defaultdict(float)
        return {name: found[name] for name in NAMES}

    def timed(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        """Return the same call, whose time is that of an activity."""

        @functools.wraps(call)
        def timed(*arguments: Any, **options: Any) -> Any:
            with self.during(name):
                return call(*arguments, **options)

        return timed

    @contextmanager
    def watching(self, device: Device) -> Iterator[None]:
        """Time what a device and the readers of files do."""
        engine = device.engine
        places = [
            (budget, "first_placement", "plans"),
            (budget, "find_fitting", "plans"),
            (read_ahead.ReadAhead, "read", "files"),
            (Device, "synchronize", "waits"),
            (Device, "wait_for", "waits"),
            (Device, "trim", "trims"),
            (engine, "allocate", "memory"),
            (engine, "free", "memory"),
            (engine, "write", "writes"),
            (engine, "keep_on_host", "keeps"),
            (engine, "read", "reads"),
            (engine, "compile", "compiling"),
            (engine, "compile_native", "compiling"),
            (engine, "submit", "submits"),
        ]
        with ExitStack() as stack:
            for owner, method, name in places:
                patched = self.timed(name, getattr(owner, method))
                stack.enter_context(mock.patch.object(owner, method, patched))
            open_graph, end_graph = Graph.__enter__, Graph.__exit__
            captures: list[Any] = []

            def enter(graph: Graph) -> Graph:
                captures.append(self.during("captures"))
                captures[-1].__enter__()
                return open_graph(graph)

            def leave(graph: Graph, *error: Any) -> None:
                try:
                    end_graph(graph, *error)
                finally:
                    captures.pop().__exit__(None, None, None)

            stack.enter_context(mock.patch.object(Graph, "__enter__", enter))
            stack.enter_context(mock.patch.object(Graph, "__exit__", leave))
            yield


def load_times(
    folder: Path, name: str, dtype: str, size: int, readers: int, vram: str | None = None
) -> tuple[dict[str, float], dict[str, float]]:
    """Return the seconds by activity, of loading and of the first step."""
    settings = Settings("a red apple", "a dog", size, size, 1, 7.0)
    limit = None if vram is None else Budget(vram, settings)
    with closing(Device.by_name(name, checks=False)) as device:
        clock = Clock()
        with clock.watching(device), mock.patch.object(read_ahead, "_READERS", readers):
            pipeline = Pipeline.load(folder, device, dtype, vram=limit)
            device.synchronize()
            loading = clock.take()
            step: list[dict[str, float]] = []

            def note(found: Any) -> None:
                found.wait()
                step.append(clock.take())

            pipeline.draw(settings, note)
        return loading, step[0]


def main(arguments: list[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.load_times",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--device", default="")
    parser.add_argument("--dtype", default="f16")
    parser.add_argument("--size", type=int, default=1024)
    parser.add_argument("--readers", default=str(read_ahead._READERS))
    parser.add_argument("--vram", help="the budget of memory, such as 4G (all)")
    chosen = parser.parse_args(arguments)
    print("| readers | part | " + " | ".join(NAMES) + " | all |")
    for readers in map(int, chosen.readers.split(",")):
        source = chosen.folder, chosen.device, chosen.dtype, chosen.size
        found = load_times(*source, readers, chosen.vram)
        for part, seconds in zip(("loading", "step"), found, strict=True):
            cells = [f"{each:.2f}" for each in (*seconds.values(), sum(seconds.values()))]
            print(f"| {readers} | {part} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
