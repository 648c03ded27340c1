"""PyTorch checkpoints, opened for conversion: the pickle is read elsewhere, as data.

``torch_pickle`` says in a process of its own what lies where. Its answer is checked here like any
header of a file that nobody vouches for; the tensors' bytes are then read as those of a
safetensors file are.
"""

import json
import math
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Final

from diffusion.checkpoints import torch_pickle
from diffusion.checkpoints.element_types import STORED
from diffusion.checkpoints.file_kinds import AGAIN, PROBE_BYTES, look_alike
from diffusion.checkpoints.header import (
    MAX_ELEMENTS,
    MAX_NAME_BYTES,
    MAX_RANK,
    Header,
    TensorEntry,
)
from diffusion.checkpoints.safetensors import SafetensorsFile, identity_of, open_regular
from diffusion.errors import ModelFormatError, printable, quoted

SUFFIXES: Final = (".bin", ".ckpt", ".pt", ".pth")
_MOST_SHARING: Final = 16
"""So many times the file's size its tensors may have in all: those that are tied share bytes."""

_PATIENCE: Final = 120
"""Seconds that the other process may take, waiting included."""


def other_file(path: Path, wanted: str, hint: str) -> ModelFormatError:
    """What to raise for a file that is not safetensors; PyTorch's get the command that converts."""
    if path.suffix.lower() in SUFFIXES:
        target = path.with_suffix(".safetensors").name
        hint = f"convert it: avila convert {printable(f'{path} -o {target}')}"
    return ModelFormatError(path, "file", f"is neither {wanted} nor a .safetensors file", hint)


_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def open_torch(path: str | Path) -> SafetensorsFile:
    """Open a checkpoint that PyTorch 1.6 or later saved; its tensors keep their names.

    Raises ``ModelNotFoundError`` or ``ModelFormatError``.
    """
    path = Path(path)
    with open_regular(path) as file:
        status = os.fstat(file.fileno())
        start = file.read(PROBE_BYTES)
        if not start.startswith(b"PK\x03\x04"):
            raise _no_archive(path, start)
        file.seek(0)
        answer = _ask(file.fileno(), path)
    tensors = answer.get("tensors")
    if not isinstance(tensors, dict):
        reason = str(answer.get("error"))[:300]
        raise ModelFormatError(path, "pickle", reason, "do not use this file")
    entries = {name: _entry(name, tensors[name], path, status.st_size) for name in tensors}
    if sum(entry.nbytes for entry in entries.values()) > _MOST_SHARING * status.st_size:
        reason = f"holds tensors of more than {_MOST_SHARING} times the file's size"
        raise ModelFormatError(path, "tensors", reason, "do not use this file")
    return SafetensorsFile(path, Header(entries, {}), identity_of(status))


def _no_archive(path: Path, start: bytes) -> ModelFormatError:
    if start[:1] == b"\x80":
        reason = "was saved by a PyTorch before 1.6, whose files are not read"
        hint = "load it with that and save it again as safetensors"
        return ModelFormatError(path, "file", reason, hint)
    kind = look_alike(start)
    return ModelFormatError(path, "file", *(kind or ("is no PyTorch checkpoint", AGAIN)))


def _ask(file: int, path: Path) -> dict[str, object]:
    """What the other process says of the file, which it gets open and as its only one."""
    command = [sys.executable, "-I", str(Path(torch_pickle.__file__))]
    with subprocess.Popen(
        command,
        stdin=file,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={"SYSTEMROOT": os.environ.get("SYSTEMROOT", "")},
        cwd=Path(torch_pickle.__file__).anchor,
    ) as process:
        try:
            text, _ = process.communicate(timeout=_PATIENCE)
            answer = json.loads(text) if len(text) <= torch_pickle.MAX_ANSWER else None
        except (subprocess.TimeoutExpired, ValueError, RecursionError):
            answer = None
        finally:
            process.kill()
    if not isinstance(answer, dict):
        reason = "asks for more time or memory than any model needs to be read"
        raise ModelFormatError(path, "pickle", reason, "do not use this file")
    return answer


def _entry(name: str, found: object, path: Path, size: int) -> TensorEntry:
    """One checked place of a tensor within the file's ``size`` bytes."""
    match found:
        case [str(dtype), list(shape), int(offset), int(nbytes), axes] if dtype in STORED:
            order = tuple(axes) if isinstance(axes, list) else None
            sound = (
                _are_sizes([*shape, *(order or ()), offset, nbytes])
                and len(shape) <= MAX_RANK
                and math.prod(max(each, 1) for each in shape) <= MAX_ELEMENTS
                and nbytes == math.prod(shape) * STORED[dtype].itemsize
                and offset + nbytes <= size
                and (order is None or sorted(order) == list(range(len(shape))))
                and len(name.encode("utf-8", "replace")) <= MAX_NAME_BYTES
                and not _CONTROL.search(name)
                and name.isascii() | name.isprintable()
            )
            if sound:
                return TensorEntry(dtype, tuple(shape), offset, nbytes, order)
    where = f"tensor {quoted(name)}"
    raise ModelFormatError(path, where, "is of no kind that a model holds", AGAIN)


def _are_sizes(numbers: list[object]) -> bool:
    return all(type(number) is int and number >= 0 for number in numbers)
