"""``--profile``: the time of every kernel, as a table on stderr and a trace in a file."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from diffusion.errors import OutputError
from gpucore import Device

__all__ = ["profiled"]

_HINT = "give --profile another file"


@contextmanager
def profiled(device: Device, file: Path | None) -> Iterator[None]:
    """Time what the block submits; at its end print the table and write the trace to ``file``.

    Does nothing where ``file`` is None. A block that fails or is stopped leaves neither.
    Raises `OutputError`, before the block where the file cannot be, and `gpucore.FeatureError`.
    """
    if file is None:
        yield
        return
    if file.is_dir():
        raise OutputError(file, "it is a folder", _HINT)
    if not file.parent.is_dir():
        raise OutputError(file, "its folder does not exist", _HINT)
    with device.profile() as profile:
        yield
    print(profile.table(), file=sys.stderr)
    try:
        profile.write_trace(file)
    except OSError as error:
        raise OutputError(file, error.strerror or str(error), _HINT) from error
