"""What drivers and engines print to stderr on their own, hidden where it helps nobody."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from gpucore import GpuError

__all__ = ["hide_native_messages"]


@contextmanager
def hide_native_messages(shown: bool = False) -> Iterator[None]:
    """Keep what native code prints to stderr out of sight; with ``shown`` do nothing.

    It is printed where the block raises an error that gpucore does not report in its own words.
    Python's ``sys.stderr`` shares the stream, so print nothing inside the block.
    """
    if shown:
        yield
        return
    sys.stderr.flush()
    stderr = os.dup(2)
    with tempfile.TemporaryFile() as file:
        os.dup2(file.fileno(), 2)
        explained = False
        try:
            yield
            explained = True
        except (GpuError, KeyboardInterrupt):
            explained = True
            raise
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)
            if not explained:
                file.seek(0)
                os.write(2, file.read())
