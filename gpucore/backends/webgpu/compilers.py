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
    """Up to ``most`` threads, one for each core at most; without any, the caller compiles itself.

    A thread ends when nothing waits, and when the main thread has ended: what waits then is built
    by whoever still asks for it. (A `concurrent.futures` pool would do it all before the process
    may end.)
    """

    def __init__(self, most: int) -> None:
        self._most = min(most, os.cpu_count() or 1)
        self._waiting: deque[tuple[Future[Any], Callable[[], Any]]] = deque()
        self._threads: set[threading.Thread] = set()
        self._lock = threading.Lock()

    def submit(self, build: Callable[[], Any]) -> Future[Any]:
        """The future result of ``build()``."""
        future: Future[Any] = Future()
        if not self._most:
            _settle(future, build)
            return future
        with self._lock:
            self._waiting.append((future, build))
            if len(self._threads) < self._most and threading.main_thread().is_alive():
                self._begin()
        return future

    def result(self, future: Future[Any]) -> Any:
        """What a future of `submit` becomes; built here where no thread has begun it."""
        with self._lock:
            task = next((each for each in self._waiting if each[0] is future), None)
            if task is not None:
                self._waiting.remove(task)
        if task is not None:
            _settle(*task)
        return future.result()

    def done(self, future: Future[Any]) -> bool:
        """Whether `result` no longer blocks; builds it where no thread is left to do so."""
        if not future.done() and not threading.main_thread().is_alive():
            self.result(future)
        return future.done()

    def _begin(self) -> None:
        """One thread more; none where the system has no more."""
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
            _settle(*task)

    def stop(self) -> None:
        """Cancel what waits, and wait for what has begun."""
        with self._lock:
            waiting, threads = list(self._waiting), list(self._threads)
            self._waiting.clear()
        for future, _ in waiting:
            future.cancel()
        for thread in threads:
            thread.join()


def _settle(future: Future[Any], build: Callable[[], Any]) -> None:
    try:
        future.set_result(build())
    except BaseException as error:  # whoever asks for the result gets it
        future.set_exception(error)
        if not isinstance(error, Exception):
            raise
