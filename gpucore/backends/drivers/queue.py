"""`CardQueue`: the submissions of one stream of a card."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from gpucore.backends.drivers.lanes import Lane
from gpucore.backends.drivers.pending import CardFence, CardTimes
from gpucore.backends.interface import Command, Pending

__all__ = ["CardQueue"]


class QueueOwner(Protocol):
    """The part of a `CardBackend` that its queues use."""

    def submit_to(self, lane: Lane, lists: Sequence[Sequence[Command]]) -> None:
        """Submit lists to a stream."""

    def fence_of(self, lane: Lane) -> CardFence:
        """Return what is done once everything is that a stream was given so far."""

    def timestamp_of(self, lane: Lane) -> CardTimes:
        """Return one pair of timestamps of a stream."""

    def let_wait(self, lane: Lane, event: int) -> None:
        """Let what a stream is given from here on wait for an event."""

    def give_lane(self, lane: Lane) -> None:
        """Take the lane of a queue that ended; the collector calls it in any thread."""


class CardQueue:
    """The `Queue` of one stream of a card."""

    def __init__(self, owner: QueueOwner, lane: Lane) -> None:
        self._owner = owner
        self._lane = lane

    def submit(self, *lists: Sequence[Command]) -> None:
        self._owner.submit_to(self._lane, lists)

    def fence(self) -> CardFence:
        return self._owner.fence_of(self._lane)

    def timestamp(self) -> CardTimes:
        return self._owner.timestamp_of(self._lane)

    def wait(self, fence: Pending) -> None:
        assert isinstance(fence, CardFence)
        for event in fence.events:
            self._owner.let_wait(self._lane, event)

    def __del__(self) -> None:
        self._owner.give_lane(self._lane)
