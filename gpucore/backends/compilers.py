"""Threads in which pipelines compile."""

from __future__ import annotations

import contextlib
import os
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

__all__ = ["Compilers"]


class Compilers:
    """Up to ``max_threads`` threads, at most one per core; with 0, the caller compiles.

    A thread ends when no task waits, and when the main thread has ended. Tasks that wait then are
    built by the caller that asks for their results. (A `concurrent.futures` pool would build all of
    them before the process may end.)
    """

    def __init__(self, max_threads: int) -> None:
        self._max_threads = min(max_threads, os.cpu_count() or 1)
        self._waiting: deque[tuple[Future[Any], Callable[[], Any]]] = deque()
        self._threads: set[threading.Thread] = set()
        self._building = 0  # callers and threads
        self._lock = threading.Condition(threading.Lock())

    def submit(self, build: Callable[[], Any]) -> Future[Any]:
        """Queue ``build()`` and return its future result."""
        future: Future[Any] = Future()
        if not self._max_threads:
            self._run_build(future, build)
            return future
        with self._lock:
            self._waiting.append((future, build))
            if len(self._threads) < self._max_threads and threading.main_thread().is_alive():
                self._start_thread()
        return future

    def result(self, future: Future[Any]) -> Any:
        """Return the result of a future of `submit`; build it here if no thread has begun it."""
        with self._lock:
            task = next((each for each in self._waiting if each[0] is future), None)
            if task is not None:
                self._waiting.remove(task)
            self._building += task is not None
        if task is not None:
            self._run_build(*task, is_counted=True)
        return future.result()

    def is_done(self, future: Future[Any]) -> bool:
        """Tell whether `result` no longer blocks; build it if no thread is left to do so."""
        if not future.done() and not threading.main_thread().is_alive():
            self.result(future)
        return future.done()

    def _start_thread(self) -> None:
        """Start another thread, unless the system has no more."""
        thread = threading.Thread(target=self._work, name="gpucore-compile")
        with contextlib.suppress(RuntimeError):
            thread.start()
            self._threads.add(thread)

    def _work(self) -> None:
        while threading.main_thread().is_alive():
            with self._lock:
                if not self._waiting:
                    self._threads.discard(threading.current_thread())
                    return
                task = self._waiting.popleft()
                self._building += 1
            self._run_build(*task, is_counted=True)

    def stop(self) -> None:
        """Cancel the tasks that wait, and wait for those that have begun, in any thread."""
        with self._lock:
            waiting = list(self._waiting)
            self._waiting.clear()
        for future, _ in waiting:
            future.cancel()
        with self._lock:
            while self._building:
                self._lock.wait(0.1)  # so that Ctrl-C comes through on Windows, too

    def _run_build(
        self, future: Future[Any], build: Callable[[], Any], *, is_counted: bool = False
    ) -> None:
        """Set the result of a future to ``build()``, or to the error that it raises."""
        if not is_counted:
            with self._lock:
                self._building += 1
        try:
            future.set_result(build())
        except BaseException as error:  # the caller of `result` gets it
            future.set_exception(error)
            if not isinstance(error, Exception):
                raise
        finally:
            with self._lock:
                self._building -= 1
                self._lock.notify_all()
