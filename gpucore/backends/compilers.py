"""Threads in which pipelines compile."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

__all__ = ["Compilers"]


class Compilers:
    """Up to ``most`` threads, one for each core at most; without any, the caller compiles itself.

    A thread ends when nothing waits, and when the main thread has ended: what waits then is not
    wanted any more. (A `concurrent.futures` pool would do it all before the process may end.)
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
            if len(self._threads) < self._most:
                thread = threading.Thread(target=self._work, name="gpucore-compile")
                self._threads.add(thread)
                thread.start()
        return future

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
    except Exception as error:  # noqa: BLE001 (whoever asks for the result gets it)
        future.set_exception(error)
