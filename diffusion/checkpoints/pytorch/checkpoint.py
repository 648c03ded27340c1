"""Opening a PyTorch checkpoint: another process lists its tensors, this one checks the list.

``pickle_reader`` finds in a process of its own where each tensor lies. Its answer is checked here
like any header of a hostile file. The tensors' bytes are then read like those of a safetensors
file.
"""

import json
import math
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from diffusion.checkpoints.file_errors import reading
from diffusion.checkpoints.file_kinds import (
    DOWNLOAD_AGAIN,
    PROBE_BYTES,
    kind_of_file,
    recognise_file,
)
from diffusion.checkpoints.pytorch.pickle_reader import process as reader_process
from diffusion.checkpoints.safetensors import Header, SafetensorsFile, TensorEntry
from diffusion.checkpoints.safetensors.element_types import STORED
from diffusion.checkpoints.safetensors.header import MAX_ELEMENTS, MAX_NAME_BYTES, MAX_RANK
from diffusion.checkpoints.safetensors.regular_file import identity_of, open_regular
from diffusion.errors import ModelFormatError, escape, quote

SUFFIXES: Final = (".bin", ".ckpt", ".pt", ".pth")
_SCRIPT: Final = Path(reader_process.__file__).with_name("__main__.py")
_MAX_SHARING: Final = 16
"""Bytes of all tensors, as a multiple of the file's size: tied tensors share bytes."""

_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def wrong_file_error(path: Path, expected: str, hint: str) -> ModelFormatError:
    """Return the error for a file that is not safetensors; for PyTorch's it names the converter."""
    if path.suffix.lower() in SUFFIXES:
        target = path.with_suffix(".safetensors").name
        hint = f"convert it: avila convert {escape(f'{path} -o {target}')}"
    elif (kind := kind_of_file(path)) is not None:
        return ModelFormatError(path, "file", *kind)
    return ModelFormatError(path, "file", f"must be {expected} or a .safetensors file", hint)


def open_torch(path: str | Path, *, timeout: float = 120) -> SafetensorsFile:
    """Open a checkpoint that PyTorch 1.6 or later saved; its tensors keep their names.

    ``timeout``: seconds that the other process may take, waiting included. Raises
    ``ModelNotFoundError`` or ``ModelFormatError``.
    """
    path = Path(path)
    with reading(path), open_regular(path) as file:
        status = os.fstat(file.fileno())
        start = file.read(PROBE_BYTES)
        if not start.startswith(b"PK\x03\x04"):
            raise _not_archive_error(path, start)
        file.seek(0)
        answer = _run_reader(file.fileno(), path, timeout)
    entries = check_answer(answer, path, status.st_size)
    return SafetensorsFile(path, Header(entries, {}), identity_of(status))


def check_answer(answer: Mapping[str, object], path: Path, size: int) -> dict[str, TensorEntry]:
    """Return the tensors that the other process found in a file of ``size`` bytes.

    Raises ``ModelFormatError`` where it found an error, or where its answer cannot be right.
    """
    tensors = answer.get("tensors")
    if not isinstance(tensors, dict):
        reason = str(answer.get("error"))[:300]
        raise ModelFormatError(path, "pickle", reason, "do not use this file")
    entries = {name: _check_entry(name, tensors[name], path, size) for name in tensors}
    if sum(entry.nbytes for entry in entries.values()) > _MAX_SHARING * size:
        reason = f"must hold at most {_MAX_SHARING} times the file's size, got more"
        raise ModelFormatError(path, "tensors", reason, "do not use this file")
    return entries


def _not_archive_error(path: Path, start: bytes) -> ModelFormatError:
    """Return the error for a file that is no zip archive, given its first bytes."""
    if start[:1] == b"\x80":
        reason = "was saved by a PyTorch before 1.6, which is not supported"
        hint = "load it with that and save it again as safetensors"
        return ModelFormatError(path, "file", reason, hint)
    kind = recognise_file(start)
    return ModelFormatError(
        path, "file", *(kind or ("must be a PyTorch checkpoint", DOWNLOAD_AGAIN))
    )


def _run_reader(file: int, path: Path, timeout: float) -> dict[str, object]:
    """Return the other process's answer on the opened file, the only one that it gets.

    Raises ``ModelFormatError`` where it gives no answer.
    """
    command = [sys.executable, "-I", str(_SCRIPT)]
    with subprocess.Popen(
        command,
        stdin=file,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={"SYSTEMROOT": os.environ.get("SYSTEMROOT", "")},
        cwd=_SCRIPT.anchor,
    ) as process:
        try:
            text, _ = process.communicate(timeout=timeout)
            answer = json.loads(text) if len(text) <= reader_process.MAX_ANSWER else None
        except (subprocess.TimeoutExpired, ValueError, RecursionError):
            answer = None
        finally:
            process.kill()
    if not isinstance(answer, dict):
        reason = "asks for more time or memory than any model needs to be read"
        raise ModelFormatError(path, "pickle", reason, "do not use this file")
    return answer


def _check_entry(name: str, found: object, path: Path, size: int) -> TensorEntry:
    """Return the checked entry of a tensor within the file's ``size`` bytes."""
    match found:
        case [str(dtype), list(shape), int(offset), int(nbytes), axes] if dtype in STORED:
            order = tuple(axes) if isinstance(axes, list) else None
            is_valid = (
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
            if is_valid:
                return TensorEntry(dtype, tuple(shape), offset, nbytes, order)
    where = f"tensor {quote(name)}"
    raise ModelFormatError(path, where, "must be of a kind that models hold", DOWNLOAD_AGAIN)


def _are_sizes(numbers: list[object]) -> bool:
    """Tell whether all are whole numbers from 0 on; ``True`` is none."""
    return all(type(number) is int and number >= 0 for number in numbers)
