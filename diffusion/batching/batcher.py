"""The batcher: it lets many drawings go on in turns, and makes their calls together."""

from __future__ import annotations

import time
from collections.abc import Generator, Hashable, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from diffusion.batching.limits import BatchLimits
from diffusion.batching.sharing import CallSharing
from diffusion.pipeline.calls import LatentsEstimate, UNetCall
from diffusion.pipeline.run_queue import queue_of
from gpucore import DeviceLostError, Event, GpuError

__all__ = ["Batcher", "Drawing", "Ended"]

Drawing: TypeAlias = Generator[UNetCall | None, LatentsEstimate | None, Any]
"""A drawing under way. It yields each call of the UNet that it waits for, and is sent the estimate.

It yields None before work of another kind that takes about as long as a call: encoding, decoding.
"""

OTHER_WORK: Final = 0.5
"""The share of a turn that goes to work of other kinds while drawings wait for calls."""


@dataclass(frozen=True)
class Ended:
    """A drawing that ended, with what it returned, or with its error."""

    name: Hashable
    result: Any = None
    error: Exception | None = None


class _Entry:
    """A drawing, and what it waits for: a call, or its turn (None)."""

    def __init__(self, name: Hashable, drawing: Drawing) -> None:
        self.name, self.drawing = name, drawing
        self.call: UNetCall | None = None

    def advance(self, answer: LatentsEstimate | GpuError | None = None) -> Ended | None:
        """Let it go on until it waits; return its end. Raises `gpucore.DeviceLostError`."""
        try:
            if isinstance(answer, GpuError):
                self.call = self.drawing.throw(answer)
            else:
                self.call = self.drawing.send(answer)
        except StopIteration as end:
            return Ended(self.name, end.value)
        except DeviceLostError:
            raise
        except Exception as error:  # noqa: BLE001 - the other drawings go on
            return Ended(self.name, error=error)
        return None


class Batcher:
    """Drawings under way on one device, used by one thread.

    In a turn, each drawing that waits for a call of the UNet gets its estimate and goes on to its
    next call, while the device computes: it has the calls of one turn ahead of it. Drawings that
    wait for other work get some of it, the first come first; about half of the time goes there at
    most. An error ends one drawing, and the others go on.

    Attributes:
        sharing: makes the calls, and counts them.
    """

    def __init__(self, limits: BatchLimits | None = None) -> None:
        self.limits = limits or BatchLimits()
        self.sharing = CallSharing(self.limits)
        self._entries: dict[Hashable, _Entry] = {}
        self._submitted: Event | None = None

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, name: Hashable) -> bool:
        return name in self._entries

    def add(self, name: Hashable, drawing: Drawing) -> None:
        """Let a drawing join at the next turn. ``name``: any that no other drawing here has."""
        if name in self._entries:
            raise ValueError(f"a drawing {name!r} is under way; take another name")
        self._entries[name] = _Entry(name, drawing)

    def remove(self, name: Hashable) -> None:
        """Close a drawing, if it is under way."""
        entry = self._entries.pop(name, None)
        if entry is not None:
            entry.drawing.close()

    def turn(self) -> list[Ended]:
        """Let the drawings go on by a call each; return those that ended.

        Raises `gpucore.DeviceLostError`, after which all drawings are lost.
        """
        begun, ended = time.monotonic(), list[Ended]()
        waiting = [each for each in self._entries.values() if each.call is None]
        calling = [each for each in self._entries.values() if each.call is not None]
        self._make_calls(calling, ended)
        others_begun = time.monotonic()
        for entry in waiting:
            self._advance(entry, None, ended)
            if entry.call is None and entry.name in self._entries:  # it stands last now
                self._entries[entry.name] = self._entries.pop(entry.name)
            spent, turn = time.monotonic() - others_begun, others_begun - begun
            if calling and spent >= OTHER_WORK * turn:
                break
        return ended

    def _make_calls(self, calling: Sequence[_Entry], ended: list[Ended]) -> None:
        """Make the calls that drawings wait for, and let each go on."""
        calls = [each.call for each in calling if each.call is not None]
        if not calls:
            return
        device = calls[0].networks.device
        with queue_of(device).turn:
            answers = self.sharing.answer(calls)
        before, self._submitted = self._submitted, device.new_event().record()
        if before is not None:
            before.wait()  # else the host would run ahead, and who comes would join late
        for entry, answer in zip(calling, answers, strict=True):
            self._advance(entry, answer, ended)

    def _advance(
        self, entry: _Entry, answer: LatentsEstimate | GpuError | None, ended: list[Ended]
    ) -> None:
        end = entry.advance(answer)
        if end is not None:
            del self._entries[entry.name]
            ended.append(end)

    def close(self) -> None:
        """Close all drawings."""
        for name in list(self._entries):
            self.remove(name)
