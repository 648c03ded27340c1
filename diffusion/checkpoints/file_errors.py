"""The system's errors while a model is read, translated into this package's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from diffusion.errors import FilePath, ModelFormatError, ModelNotFoundError

__all__ = ["reading"]

_CHECK = "check the path and its rights"


@contextmanager
def reading(path: FilePath) -> Iterator[None]:
    """Turn an `OSError` inside the block into a ``ModelError``.

    The error names the file that the system names, else ``path``. ``FileNotFoundError`` and
    ``NotADirectoryError`` become ``ModelNotFoundError``, any other ``ModelFormatError``.
    """
    try:
        yield
    except OSError as error:
        place = error.filename if isinstance(error.filename, str) else path
        if isinstance(error, FileNotFoundError | NotADirectoryError):
            raise ModelNotFoundError(place, "there is no such file", "check the path") from error
        reason = f"cannot be read: {error.strerror or type(error).__name__}"
        raise ModelFormatError(place, "file", reason, _CHECK) from error
