"""The process that reads a checkpoint without rights, and prints where each tensor lies.

It prints ``{"tensors": {name: [dtype, shape, offset, nbytes, axes]}, "skipped": count}`` or
``{"error": reason}``. Offsets are the file's own, so that no tensor passes through here.
"""

import codecs
import json
import sys
from pickle import UnpicklingError
from typing import Final

from .archive import list_tensors

MEMORY: Final = 2**30
SECONDS: Final = 30
MAX_ANSWER: Final = 64 * 2**20

_ENCODINGS: Final = ("ascii", "cp437", "latin-1", "raw_unicode_escape", "unicode_escape")
"""The encodings of zip archives and pickles, which Python loads from files at their first use."""


def give_up_rights() -> None:
    """Bound memory and time from here on, and forbid new files, sockets and processes."""
    for name in _ENCODINGS:
        codecs.lookup(name)
    try:
        import resource
    except ImportError:  # Windows, where the bounds on steps and sizes have to do
        return
    for kind, limit in (
        (resource.RLIMIT_AS, MEMORY),
        (resource.RLIMIT_CPU, SECONDS),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_NPROC, 0),
        (resource.RLIMIT_NOFILE, 0),
    ):
        resource.setrlimit(kind, (limit, limit))


def main() -> None:
    """Print where each tensor lies in the checkpoint that is the standard input."""
    give_up_rights()
    try:
        answer = list_tensors(sys.stdin.buffer)
    except UnpicklingError as error:
        answer = {"error": str(error)}
    except MemoryError:
        answer = {"error": f"takes more than {MEMORY} bytes of memory to read"}
    text = json.dumps(answer)
    if len(text) > MAX_ANSWER:
        text = json.dumps({"error": "has names that are longer than any model's"})
    sys.stdout.write(text)
