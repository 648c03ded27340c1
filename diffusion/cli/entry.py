"""The start of the process, with few imports, so that Ctrl-C works while the rest is imported."""

import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from diffusion.cli.signals import STOPPED, ignore_signals, stop_by_signals

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run ``avila`` with ``arguments`` (the process's own if None) and exit.

    Status 0: done. 1: an error of the program itself, with a traceback, or nobody reads stdout. 2:
    wrong input or an error of the system, reported in one line. 130: stopped with Ctrl-C,
    SIGTERM or SIGHUP.
    """
    if sys.stderr is None:
        _open_stderr()
    stop_by_signals()
    try:
        from diffusion.cli.program import run
    except KeyboardInterrupt:
        print("avila: stopped", file=sys.stderr, flush=True)
        # There is nothing to clean up. An exception would not do: where Ctrl-C came in code that
        # runs from a string, such as the methods of a dataclass, Python ends by the signal.
        os._exit(STOPPED)
    try:
        status = run(arguments)
        if arguments is None:
            ignore_signals()
    except KeyboardInterrupt:
        print("avila: stopped", file=sys.stderr, flush=True)
        status = STOPPED
    sys.exit(status)


def _open_stderr() -> None:
    """Open the null device as stderr where the caller has closed it.

    Otherwise ``print`` would write to stdout instead. The next file that is opened, perhaps a
    picture, would also get the number that drivers print to.
    """
    null = os.open(os.devnull, os.O_WRONLY)
    if null != 2:
        os.dup2(null, 2)
        os.close(null)
    sys.stderr = os.fdopen(2, "w", encoding="utf-8", errors="backslashreplace", closefd=False)
