"""``--profile``: the time of every layer and kernel, on stderr and as a trace in a file."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from diffusion.cli.output import output_errors
from diffusion.errors import OutputError
from diffusion.pipeline.loading import best_dtype
from gpucore import Device
from gpustd.tuning.roof import measured_roof

__all__ = ["write_profile"]

_HINT = "give --profile another file"


@contextmanager
def write_profile(device: Device, file: Path | None) -> Iterator[None]:
    """Time what the block submits, then print the table and write the trace to ``file``.

    The roof that the table names is measured after the block, for the dtype of the networks.
    Do nothing where ``file`` is None. A block that fails or is stopped leaves no table or trace.
    Only a ``.json`` file is replaced. Raises `OutputError`, before the block where the file cannot
    be written, and `gpucore.FeatureError`.
    """
    if file is None:
        yield
        return
    if file.suffix.lower() != ".json":
        raise OutputError(file, "it is no name of a trace", "give --profile NAME.json")
    with output_errors(file, _HINT):
        if file.is_dir():
            raise OutputError(file, "it is a folder", _HINT)
        if not file.parent.is_dir():
            raise OutputError(file, "its folder does not exist", _HINT)
    with device.profile() as profile:
        yield
    if profile.total_ns:
        profile.roof = measured_roof(device, best_dtype(device))
    print(profile.table(), file=sys.stderr)
    with output_errors(file, _HINT):
        profile.write_trace(file)
