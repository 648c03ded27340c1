"""The sets of adapters that runs under way need, in the slots of one bank."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import reduce
from typing import Final, NamedTuple, TypeVar

from diffusion.adapters.merged_adapter import AdaptedPart, MergedAdapter
from diffusion.adapters.rank_bank import BankSize, LayersOf, RankBank, bank_layers, size_of
from gpucore import Device
from gpustd.matmul.low_rank import NO_UPDATE

__all__ = ["ChosenSet", "PlacedSet", "RankSlots"]

K = TypeVar("K", bound=Hashable)

_SHRINKS_AT: Final = 4
"""A bank that nobody uses is made anew where one of so many times fewer elements does."""


class PlacedSet(NamedTuple):
    """A set of adapters on the device: the ``slot`` of a bank; `NO_UPDATE` for an empty set.

    ``key``: of the set. Another one may come into the slot once nobody needs this one.
    """

    bank: RankBank
    slot: int
    key: Hashable | None


class _Held(NamedTuple):
    """A set of adapters that runs need, and how many of them do."""

    adapters: Sequence[MergedAdapter]
    size: BankSize
    users: int


class RankSlots:
    """The bank, and which set lies in which of its slots. A set is known by a key.

    Sets stay in their slots until others need them, so that changing to and fro costs nothing.
    ``on_new_bank`` is called where the bank is made anew: graphs that were captured with the one
    before are of no more use.
    """

    def __init__(
        self,
        device: Device,
        parts: Mapping[str, AdaptedPart],
        on_new_bank: Callable[[], None],
    ) -> None:
        self._device = device
        self._parts = parts
        self._on_new_bank = on_new_bank
        self._layers: LayersOf | None = None
        self._bank: RankBank | None = None
        self._places: dict[Hashable, int] = {}
        self._held: dict[Hashable, _Held] = {}

    @property
    def layers(self) -> LayersOf:
        """The model's layers that low-rank updates reach."""
        if self._layers is None:
            self._layers = bank_layers(self._parts)
        return self._layers

    @contextmanager
    def hold(self, sets: Mapping[K, Sequence[MergedAdapter]]) -> Iterator[None]:
        """Have sets in slots inside the context. Raises `ModelFormatError`."""
        for key, adapters in sets.items():
            found = self._held.get(key) or _Held(adapters, size_of(adapters, self.layers), 0)
            self._held[key] = found._replace(users=found.users + 1)
        try:
            self._fill()
            yield
        finally:
            for key in sets:
                left = self._held[key]._replace(users=self._held[key].users - 1)
                self._held[key] = left
                if not left.users:
                    del self._held[key]

    def place(self, key: Hashable | None) -> PlacedSet:
        """Return the place of a set that is held, None for the empty set, as it is now."""
        assert self._bank is not None
        return PlacedSet(self._bank, NO_UPDATE if key is None else self._places[key], key)

    def release(self) -> None:
        """Give the memory back. Call it after the model's weights change: layers are made anew."""
        self._layers = None
        self._bank = None
        self._places.clear()

    def _fill(self) -> None:
        """Put all sets that are held into slots, in a bank that has room for them."""
        self._make_room()
        assert self._bank is not None
        for key, held in self._held.items():
            if key in self._places:
                self._places[key] = self._places.pop(key)  # it was used last
                continue
            slot = self._free_slot()
            self._bank.fill(slot, held.adapters)
            self._places[key] = slot

    def _make_room(self) -> None:
        """Make a bank anew where the one that is there has no room, or far too much."""
        sizes = [each.size for each in self._held.values()]
        size, bank = reduce(BankSize.join, sizes), self._bank
        if bank is not None:
            fits = bank.size.join(size) == bank.size and len(sizes) <= bank.slots
            wasteful = bank.slots * bank.size.elements > _SHRINKS_AT * len(sizes) * size.elements
            is_new = len(self._held) > sum(key in self._places for key in self._held)
            if fits and not (wasteful and is_new):
                return
            if not fits:
                size = size if wasteful else bank.size.join(size)
        before = self._bank, self._places
        self._bank, self._places = None, {}
        if not any(key in before[1] for key in self._held):
            before = None, {}  # its memory is free before the new one takes some
        self._on_new_bank()
        try:
            slots = _power_of_two(len(sizes))
            self._bank = RankBank.make(self._device, self._parts, size, slots)
        except BaseException:
            self._bank, self._places = before  # other runs go on
            raise

    def _free_slot(self) -> int:
        """Return a slot that no set lies in, or else the one used longest ago that nobody holds."""
        assert self._bank is not None
        free = set(range(self._bank.slots)) - set(self._places.values())
        if free:
            return min(free)
        oldest = next(key for key in self._places if key not in self._held)
        return self._places.pop(oldest)


@dataclass(frozen=True)
class ChosenSet:
    """The adapters of a call of the UNet; ``key`` is None where none counts in it."""

    slots: RankSlots
    key: Hashable | None

    def place(self) -> PlacedSet:
        """Return where they lie on the device, while their run is under way."""
        return self.slots.place(self.key)


def _power_of_two(count: int) -> int:
    return 1 << (count - 1).bit_length()
