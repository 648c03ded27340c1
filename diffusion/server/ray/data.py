"""Draw the work of a batch on a Ray cluster, by Ray Data.

The cluster draws and this process writes, so that each picture is written once. A part of the work
that Ray does twice, since a machine was lost, comes here once more and is not counted again.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, replace
from types import TracebackType
from typing import Any, Final, Self

import pyarrow as pa
import ray
import ray.data

from diffusion.server.batch.drawing import LocalDrawing
from diffusion.server.batch.options import BatchOptions
from diffusion.server.batch.pieces import Outcome, Work
from diffusion.server.batch.pool import EnginePool
from diffusion.server.engine.messages import Drawn
from diffusion.server.errors import UnavailableError
from diffusion.server.ray.device import own_device

__all__ = ["RayDrawing"]

LINES_A_TASK: Final = 16
"""Lines that a worker is sent at once; a lost machine costs as many."""
ROUNDS: Final = 3
"""Times that work is sent whose pictures do not come."""


class RayDrawing:
    """Draws work on a cluster: see `BatchOptions`. Use it in a ``with`` block.

    ``stopping``: tells whether no more is to be waited for.
    """

    def __init__(self, options: BatchOptions, stopping: Callable[[], bool]) -> None:
        self._options, self._stopping = options, stopping

    def __enter__(self) -> Self:
        address = self._options.ray
        more = {"include_dashboard": False} if address == "local" else {}
        try:
            ray.init(address=address, logging_level="warning", log_to_driver=False, **more)
        except Exception as error:  # Ray raises plain ones where it does not start
            reason = str(error).strip().partition("\n")[0]
            message = f"the Ray cluster at {address} does not answer: {reason}"
            raise UnavailableError(message) from error
        logging.getLogger("ray.data").setLevel(logging.ERROR)  # the caller tells how far it is
        context = ray.data.DataContext.get_current()
        context.enable_progress_bars = False
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        ray.shutdown()

    def draw(self, works: Iterator[Work]) -> Iterator[Outcome]:
        """Yield the outcome of each picture, as they come. Raises `UnavailableError`."""
        left = {each.key: each for each in works}
        for _ in range(ROUNDS):
            for outcome in self._draw(list(left.values())):
                work = left.get(outcome.key)
                if work is None or outcome.number not in work.numbers:
                    continue  # it came before
                numbers = tuple(each for each in work.numbers if each != outcome.number)
                left[outcome.key] = replace(work, numbers=numbers)
                if not numbers:
                    del left[outcome.key]
                yield outcome
            if not left or self._stopping():
                return
        raise UnavailableError(f"the cluster gave no pictures of {len(left)} lines; its log tells")

    def _draw(self, works: list[Work]) -> Iterator[Outcome]:
        """Yield outcomes of one round."""
        gpus = ray.cluster_resources().get("GPU", 0)
        workers = self._options.workers or max(1, int(gpus))
        rows = [{"work": json.dumps(asdict(each))} for each in works]
        tasks = min(len(rows), max(workers, len(rows) // LINES_A_TASK))
        drawn = ray.data.from_items(rows, override_num_blocks=tasks).map_batches(
            _Drawer,
            fn_constructor_args=(self._options,),
            batch_format="pyarrow",
            batch_size=LINES_A_TASK,
            num_gpus=1 if gpus else 0,
            num_cpus=1,
            compute=ray.data.ActorPoolStrategy(size=min(workers, tasks)),
        )
        try:
            for row in drawn.iter_rows():
                yield _outcome(row)
                if self._stopping():
                    return
        except ray.exceptions.RayError as error:
            reason = str(error).strip().splitlines()[-1]
            raise UnavailableError(f"the cluster stopped drawing: {reason}") from error


class _Drawer:
    """A worker of the cluster: it draws on the GPU that Ray gave it."""

    def __init__(self, options: BatchOptions) -> None:
        own = replace(options, device=own_device(options.device))
        pool = EnginePool(own.engines(), lambda: False)
        self._drawing = LocalDrawing(pool.__enter__(), own.model_names())  # its end is the actor's

    def __call__(self, table: Any) -> Any:
        """Return a row for each picture of the work in a table.

        All at once: rows of a task that Ray repeats must not mix with those of the first time.
        """
        works = (_work(text) for text in table.column("work").to_pylist())
        outcomes = list(self._drawing.draw(works))
        texts = [_head(each) for each in outcomes]
        files = [each.drawn.png if each.drawn is not None else b"" for each in outcomes]
        columns = {"head": texts, "png": pa.array(files, pa.large_binary())}
        return pa.table(columns)


def _work(text: str) -> Work:
    found = json.loads(text)
    return Work(**{**found, "numbers": tuple(found["numbers"])})


def _head(outcome: Outcome) -> str:
    """Return an outcome without its file, as JSON."""
    drawn = outcome.drawn
    about = None if drawn is None else {**vars(drawn), "png": None}
    head = {"key": outcome.key, "number": outcome.number, "reason": outcome.reason, "drawn": about}
    return json.dumps(head)


def _outcome(row: Mapping[str, Any]) -> Outcome:
    head = json.loads(row["head"])
    about = head["drawn"]
    drawn = None if about is None else Drawn(**{**about, "png": bytes(row["png"])})
    return Outcome(head["key"], head["number"], drawn, head["reason"])
