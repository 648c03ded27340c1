"""A card's memory shared with other libraries of the process, in the order of both streams.

Memory that was lent goes back to the pool when the card is idle, since nothing says on which
streams others used it. Memory that was borrowed goes back when all is done that was submitted
with it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

from gpucore.backends.drivers.driver import Driver
from gpucore.backends.drivers.errors import DriverError
from gpucore.backends.drivers.memory import CardBuffer
from gpucore.backends.drivers.pending import CardFence
from gpucore.errors import GpuError

__all__ = ["CardSharing"]


class SharingOwner(Protocol):
    """The part of a `CardBackend` that sharing uses."""

    def fence(self) -> CardFence:
        """Return what is done once everything submitted so far is."""

    def note_written(self, handle: CardBuffer) -> None:
        """Note that the main stream is given memory that something before it writes."""

    def failure(self, action: str, error: DriverError | str) -> GpuError:
        """Return the error to raise where the driver reports one during ``action``."""


class CardSharing:
    """The `Sharing` of a card. What others end, in any thread, is queued for the next call."""

    def __init__(self, owner: SharingOwner, driver: Driver, stream: int, index: int) -> None:
        self.place = (driver.dlpack_kind, index)
        self.stream = stream
        self._owner = owner
        self._driver = driver
        self._releases: dict[CardBuffer, Callable[[], None]] = {}
        self._ended: deque[CardBuffer] = deque()  # commands that use them may be unsubmitted
        self._leaving: deque[tuple[CardFence, list[CardBuffer]]] = deque()
        self._returned: deque[Any] = deque()

    def address_of(self, handle: CardBuffer) -> int:
        """Return where a buffer lies on the card."""
        return handle.address

    def order_before(self, stream: int) -> None:
        """Make another stream of the card wait for everything submitted so far."""
        fence = self._owner.fence()
        try:
            for event in fence.events:
                self._driver("wait_event", stream, event)
        except DriverError as error:
            raise self._owner.failure(f"letting stream {stream} wait", error) from None

    def adopt(self, address: int, nbytes: int, release: Callable[[], None]) -> CardBuffer:
        """Return a handle of others' memory; ``release`` is called when it is of no more use."""
        handle = CardBuffer(address, nbytes)
        self._releases[handle] = release
        self._owner.note_written(handle)
        return handle

    def give_back(self, handle: CardBuffer) -> None:
        """Queue the release of an adopted handle."""
        self._ended.append(handle)

    def take_back(self, storage: object) -> None:
        """Queue the end of a storage that was lent."""
        self._returned.append(storage)

    def note_submitted(self) -> None:
        """Note that all commands were submitted that use what has ended."""
        if self._ended:
            ended = [self._ended.popleft() for _ in range(len(self._ended))]
            self._leaving.append((self._owner.fence(), ended))

    def settle(self) -> None:
        """Release what nothing uses any more."""
        while self._leaving and self._leaving[0][0].done:
            self._release(self._leaving.popleft()[1])
        count = len(self._returned)
        if count and not self._driver.code("synchronize_card"):  # a capture of others forbids it
            for _ in range(count):
                self._returned.popleft()

    def close(self) -> None:
        """Release everything; the card has done all that was submitted."""
        self._leaving.clear()
        self._returned.clear()
        self._release(list(self._releases))

    def _release(self, handles: list[CardBuffer]) -> None:
        for handle in handles:
            self._releases.pop(handle)()
