"""Print what the time from a model's files to the first step goes to.

    python -m tools.load_times FOLDER [--device cuda] [--dtype f16] [--size 1024] [--readers 1,4]

Each number of ``--readers`` (threads that read files) loads the model anew and draws one step, the
files in the system's cache. Times are those of the calling thread, each without what it calls of
the others: *files* waits for tensors that are read, *writes* hands bytes to the engine, *reads* and
*waits* are for the device, *trims* give memory back, *compiling* starts kernels, and submits
commands, which waits for their kernels, *captures* record graphs, and *rest* is Python. *Step*
counts from the loaded model.
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
from gpucore import Device, Graph

__all__ = ["Clock", "load_times"]

NAMES = ("files", "writes", "reads", "waits", "trims", "compiling", "captures", "rest")


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
        """Count the time inside as that of an activity."""
        self._charge()
        self._under_way.append(name)
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
            (read_ahead.ReadAhead, "read", "files"),
            (Device, "synchronize", "waits"),
            (Device, "wait_for", "waits"),
            (Device, "trim", "trims"),
            (engine, "write", "writes"),
            (engine, "read", "reads"),
            (engine, "compile", "compiling"),
            (engine, "compile_native", "compiling"),
            (engine, "submit", "compiling"),
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
    folder: Path, name: str, dtype: str, size: int, readers: int
) -> tuple[dict[str, float], dict[str, float]]:
    """Return the seconds by activity, of loading and of the first step."""
    with closing(Device.by_name(name, checks=False)) as device:
        clock = Clock()
        with clock.watching(device), mock.patch.object(read_ahead, "_READERS", readers):
            pipeline = Pipeline.load(folder, device, dtype)
            device.synchronize()
            loading = clock.take()
            step: list[dict[str, float]] = []

            def note(found: Any) -> None:
                found.wait()
                step.append(clock.take())

            pipeline.draw(Settings("a red apple", "a dog", size, size, 1, 7.0), note)
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
    chosen = parser.parse_args(arguments)
    print("| readers | part | " + " | ".join(NAMES) + " | all |")
    for readers in map(int, chosen.readers.split(",")):
        found = load_times(chosen.folder, chosen.device, chosen.dtype, chosen.size, readers)
        for part, seconds in zip(("loading", "step"), found, strict=True):
            cells = [f"{each:.2f}" for each in (*seconds.values(), sum(seconds.values()))]
            print(f"| {readers} | {part} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
