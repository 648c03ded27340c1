"""The start of the process, with few imports, so that Ctrl-C works while the rest is imported."""

import os
import sys
from collections.abc import Sequence
from typing import NoReturn

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run ``avila`` with ``arguments`` (the process's own if None) and exit.

    Status 0: done. 1: an error of the program itself, with a traceback. 2: wrong input, reported in
    one line, or a full disk behind stdout. 130: stopped with Ctrl-C.
    """
    if sys.stderr is None:
        _open_stderr()
    try:
        from diffusion.cli.program import run
    except KeyboardInterrupt:
        print("avila: stopped", file=sys.stderr, flush=True)
        # There is nothing to clean up. An exception would not do: where Ctrl-C came in code that
        # runs from a string, such as the methods of a dataclass, Python ends by the signal.
        os._exit(130)
    sys.exit(run(arguments))


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
