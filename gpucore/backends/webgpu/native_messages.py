"""Messages that an engine prints to stderr on its own, and that tell a user nothing."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

__all__ = ["drop_native_lines"]


@contextmanager
def drop_native_lines(starts: Sequence[bytes]) -> Iterator[None]:
    """Keep lines with one of these ``starts`` off stderr; all other output follows the block.

    The file descriptor is replaced, since native code does not print through Python.
    """
    try:
        sys.stderr.flush()
        stderr = os.dup(2)
    except (AttributeError, OSError, ValueError):  # a program without stderr, as on Windows
        yield
        return
    with tempfile.TemporaryFile() as file:
        os.dup2(file.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)
            file.seek(0)
            kept = [line for line in file if not line.startswith(tuple(starts))]
            if kept:
                os.write(2, b"".join(kept))
