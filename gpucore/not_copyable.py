"""`NotCopyable`: what belongs to a device of this process, and so is neither copied nor pickled."""

from __future__ import annotations

from typing import NoReturn, SupportsIndex

__all__ = ["NotCopyable"]


class NotCopyable:
    """Refuses `copy` and `pickle` with what to do, as files and locks do.

    Its parts are an engine's handles: copies of them are no second thing on the device, and no
    other process knows them.
    """

    __slots__ = ()

    _INSTEAD = "make another from its device"

    def __reduce_ex__(self, protocol: SupportsIndex) -> NoReturn:
        """Raise `TypeError`, the error that Python's protocols of copies have for this."""
        raise TypeError(
            f"{self!r} cannot be made again from its parts, as copy and pickle would: it belongs "
            f"to a device of this process; {self._INSTEAD}"
        )
