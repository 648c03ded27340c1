"""Subgroups whose barriers meet though they are in different places of the kernel.

WGSL's own rules forbid it, but kernels whose subgroups have different jobs do so (some load tiles,
others multiply), where an engine's check is off. Each job runs in a thread of its own. One thread
runs at a time: to its next barrier, where it waits until all are at one.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from contextvars import copy_context
from threading import Semaphore, Thread

import numpy as np

from gpucore.interpreter.lanes import Lanes
from gpucore.interpreter.scope import Run
from gpucore.interpreter.values import Data, Value, merge

__all__ = ["run_together"]


class _Strand:
    """A job, done by the invocations of a mask."""

    def __init__(self, lanes: Lanes, mask: Data, run: Run) -> None:
        self.mask = mask
        self.lanes = copy.copy(lanes)
        self.lanes.set_mask(mask)
        self.lanes.slots, self.lanes.scopes = list(lanes.slots), list(lanes.scopes)
        self.lanes.loops = list(lanes.loops)
        self.lanes.wait_at_barrier = self._pause
        self.barrier = (0, "")
        self._run = run
        self._is_done = self._is_left = False
        self._error: BaseException | None = None
        self._may_run, self._is_waiting = Semaphore(0), Semaphore(0)
        self._thread = Thread(target=copy_context().run, args=(self._work,), daemon=True)

    def _work(self) -> None:
        self._may_run.acquire()
        try:
            if not self._is_left:
                self._run(self.lanes)
        except SystemExit:
            pass
        except BaseException as error:  # noqa: BLE001 - raised again by `advance`
            self._error = error
        self._is_done = True
        self._is_waiting.release()

    def _pause(self, at: int, name: str) -> None:
        """Wait until the others are at a barrier, too."""
        self.barrier = at, name
        self._is_waiting.release()
        self._may_run.acquire()
        if self._is_left:
            raise SystemExit

    def advance(self) -> bool:
        """Run to the next barrier or the end; tell whether it is a barrier."""
        if self._is_done:
            return False
        if self._thread.ident is None:
            self._thread.start()
        self._may_run.release()
        self._is_waiting.acquire()
        if self._error is not None:
            raise self._error
        return not self._is_done

    def leave(self) -> None:
        """End the thread, also in the middle of its work."""
        self._is_left = True
        if self._thread.ident is not None and not self._is_done:
            self._may_run.release()
            self._thread.join()


def run_together(lanes: Lanes, jobs: Sequence[tuple[Data, Run]]) -> None:
    """Let the invocations of each mask do their job; the masks are those that are active."""
    strands = [_Strand(lanes, mask, run) for mask, run in jobs]
    try:
        while waiting := [each for each in strands if each.advance()]:
            lanes.set_mask(np.logical_or.reduce([each.lanes.mask for each in waiting]))
            lanes.barrier(*waiting[0].barrier)
    finally:
        for each in strands:
            each.leave()
    for slot, before in enumerate(lanes.slots):
        for each in strands:
            if each.lanes.slots[slot] is not before:
                lanes.slots[slot] = _merge(each.mask, each.lanes.slots[slot], lanes.slots[slot])
    lanes.set_mask(np.logical_or.reduce([each.lanes.mask for each in strands]))


def _merge(mask: Data, new: Value, old: Value) -> Value:
    """Return a variable with the values that the invocations of a mask gave it."""
    if old is None or isinstance(new, tuple) or new.shape[:-1] != old.shape[:-1]:
        return new
    return merge(mask, new, old) if new.shape[-1] in (1, len(mask)) else new
