"""The signals that stop the process: which they are, and what happens outside of a run."""

from __future__ import annotations

import signal
import threading

__all__ = ["STOPPED", "STOPPING", "ignore_signals", "stop_by_signals"]

STOPPED = 130
"""Exit status where a signal stopped the process."""

STOPPING = ("SIGINT", "SIGTERM", "SIGHUP")
"""Signals that stop the process; Windows lacks the last."""


def stop_by_signals() -> None:
    """Let SIGTERM and SIGHUP stop the process as Ctrl-C does, so that nothing half-written stays.

    A signal that the caller ignores, as ``nohup`` does, stays ignored.
    """
    if threading.current_thread() is not threading.main_thread():
        return
    for name in STOPPING:
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, signal.default_int_handler)


def ignore_signals() -> None:
    """Ignore what would stop the process: its work is done, and Python needs a moment to end.

    By then Python has given its own handlers up, and a signal would be the process's status.
    """
    for name in STOPPING:
        number = getattr(signal, name, None)
        if number is not None:
            signal.signal(number, signal.SIG_IGN)
