"""Where the process begins: next to no imports, so that Ctrl-C is heard while the rest follow."""

import os
import sys
from collections.abc import Sequence
from typing import NoReturn

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run ``avila`` with ``arguments`` (the process's own if None) and exit.

    Status 0: done. 1: an error of the program itself, with a traceback. 2: wrong input, told in
    one line, or a full disk behind stdout. 130: stopped with Ctrl-C.
    """
    try:
        from diffusion.cli.program import run
    except KeyboardInterrupt:
        print("avila: stopped", file=sys.stderr, flush=True)
        # There is nothing to clean up, and Python would end by the signal, without this status,
        # where it came in text that is executed, such as the methods of a dataclass.
        os._exit(130)
    sys.exit(run(arguments))
