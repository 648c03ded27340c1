"""What becomes of devices when their process forks, or ends while they are busy.

A forked child has the parent's engines but none of their threads, so that the first call into one
would hang. There, locks are replaced by one that raises. A process does not wait at its end for
work that may never be done. In both cases the engines' objects are never released, and the C
library's exit handlers do not run, since they wait for a driver's threads.
"""

from __future__ import annotations

import atexit
import ctypes
import gc
import os
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from gpucore.backends import Pending
from gpucore.errors import GpuError
from gpucore.waiting import Locked

__all__ = ["kept_if_ended", "watch"]

_ENGINE_MODULES = ("wgpu", "_cffi_backend")
_GRACE = 1.0  # seconds for work that is under way when the process ends
_LOOK = 0.005

_watched: weakref.WeakSet[Any] = weakref.WeakSet()
_kept: set[Any] = set()


def watch(owner: Locked) -> None:
    """Replace the lock of ``owner`` in forked children, and do not wait for its work at the end.

    An owner with an ``engine`` may have work under way.
    """
    _watched.add(owner)


@contextmanager
def kept_if_ended(owner: Locked) -> Iterator[None]:
    """Keep ``owner`` where Ctrl-C or a timeout ends the wait inside, until one ends by itself.

    Dropping it would wait for the work, in the engine.
    """
    try:
        yield
    except GpuError:
        raise
    except BaseException:
        _kept.add(owner)
        raise
    _kept.discard(owner)


class _ForkedLock:
    """The lock in a forked child: it raises `GpuError`."""

    def acquire(self, blocking: bool = True) -> bool:
        raise GpuError(
            "a GPU device does not survive os.fork(), and this process was forked after one was "
            "opened or listed: start processes with multiprocessing.get_context('spawn'), and open "
            "the device in the child"
        )

    def release(self) -> None:
        """Do nothing: it is never held."""

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(self, *error: object) -> None:
        """Do nothing: it is never held."""


def _end_use_in_child() -> None:
    """Make devices raise in a child that was forked."""
    owners = list(_watched)
    for owner in owners:
        owner.lock = _ForkedLock()
    _watched.clear()
    _kept.clear()
    if owners:
        _abandon_engines()


def _abandon_busy_devices() -> None:
    """Wait a moment for work under way, then let the process end without it."""
    fences = [fence for owner in list(_watched) for fence in _fences(owner)]
    end = time.monotonic() + _GRACE
    while any(not each.done for each in fences):
        if time.monotonic() > end:
            _abandon_engines()
            return
        time.sleep(_LOOK)


def _fences(owner: Any) -> list[Pending]:
    """Return what tells that the owner's work is done; nothing where it is closed or lost."""
    if not hasattr(owner, "engine"):
        return []
    if not owner.lock.acquire(blocking=False):
        return [_Never()]
    try:
        return [owner.engine.fence()]
    except GpuError:
        return []
    finally:
        owner.lock.release()


class _Never:
    """Work of a thread that is stuck in an engine."""

    done = False

    def wait(self) -> None:
        """Do nothing: nobody waits for it."""


def _abandon_engines() -> None:
    """Never release what the engines' modules made, and skip the C library's exit handlers.

    Handlers run in the reverse order. So the C files are flushed, then the process ends with the
    status that it had. Only glibc offers this.
    """
    keep = ctypes.pythonapi.Py_IncRef
    keep.argtypes, keep.restype = [ctypes.py_object], None
    for each in gc.get_objects():
        if type(each).__module__.startswith(_ENGINE_MODULES):
            keep(each)
    library = ctypes.CDLL(None) if os.name == "posix" else None
    names = "on_exit", "__cxa_atexit", "_exit", "fflush"
    if library is None or not all(hasattr(library, name) for name in names):
        return
    on_exit, at_exit, end, flush = (getattr(library, name) for name in names)
    on_exit(ctypes.cast(end, ctypes.c_void_p), None)
    at_exit(ctypes.cast(flush, ctypes.c_void_p), None, None)


atexit.register(_abandon_busy_devices)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_end_use_in_child)
