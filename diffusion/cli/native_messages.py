"""Drivers and engines print to stderr on their own; hold that back where it helps nobody."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from gpucore import GpuError

__all__ = ["held_back"]


@contextmanager
def held_back(shown: bool = False) -> Iterator[None]:
    """Keep what native code prints to stderr out of sight.

    It comes out where the block raises what gpucore did not foresee, but for Ctrl-C. With ``shown``
    nothing is held. Python's own ``sys.stderr`` shares the stream: print nothing inside.
    """
    if shown:
        yield
        return
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as file:
        os.dup2(file.fileno(), 2)
        foreseen = False
        try:
            yield
            foreseen = True
        except (GpuError, KeyboardInterrupt):
            foreseen = True
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)
            if not foreseen:
                file.seek(0)
                os.write(2, file.read())
