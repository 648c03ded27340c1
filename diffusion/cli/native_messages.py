"""Drivers and engines print to stderr on their own; hold that back where it helps nobody."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["held_back"]


@contextmanager
def held_back(shown: bool = False) -> Iterator[None]:
    """Keep what native code prints to stderr out of sight; it comes out where the block raises.

    With ``shown`` nothing is held. Python's own ``sys.stderr`` shares the stream: print nothing
    inside.
    """
    if shown:
        yield
        return
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as file:
        os.dup2(file.fileno(), 2)
        failed = True
        try:
            yield
            failed = False
        finally:
            os.dup2(kept, 2)
            os.close(kept)
            if failed:
                file.seek(0)
                os.write(2, file.read())
