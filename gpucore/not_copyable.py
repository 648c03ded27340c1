"""`NotCopyable`: the base of objects that belong to a device, and cannot be copied or pickled."""

from __future__ import annotations

from typing import NoReturn, SupportsIndex

__all__ = ["NotCopyable"]


class NotCopyable:
    """Refuses `copy` and `pickle`, as files and locks do, and says what to do instead.

    Its parts are an engine's handles. A copy of them is no second object on the device, and other
    processes do not know them.
    """

    __slots__ = ()

    _INSTEAD = "make another from its device"

    def __reduce_ex__(self, protocol: SupportsIndex) -> NoReturn:
        """Raise `TypeError`, as Python's protocols of copying require."""
        raise TypeError(
            f"{self!r} cannot be copied or pickled: it belongs to a device of this process; "
            f"{self._INSTEAD}"
        )
