"""`RunLoras`: the adapters beside the layers of one run, at each of its steps."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeAlias

from diffusion.adapters.choice import is_active
from diffusion.adapters.rank_slots import ChosenSet, RankSlots
from diffusion.pipeline.lora.chosen import ChosenLora
from diffusion.text.encoding_updates import EncodingUpdates, encode_with

__all__ = ["ChosenKey", "RunLoras"]

ChosenKey: TypeAlias = tuple[ChosenLora, ...]
"""What a set of adapters is known by."""


@dataclass(frozen=True, eq=False)
class RunLoras:
    """The adapters beside the layers of a run, while `Loras.use` is open for it."""

    slots: RankSlots
    chosen: ChosenKey

    def key_at(self, step: int, steps: int) -> ChosenKey | None:
        """Return the adapters that the UNet has at a step (from 0) of ``steps``, None for none."""
        active = tuple(
            each for each in self.chosen if is_active(each.start, each.stop, step, steps)
        )
        return active if any(each.unet for each in active) else None

    def at(self, step: int, steps: int) -> ChosenSet:
        """Return what a call of the UNet has at a step (from 0) of ``steps``."""
        return ChosenSet(self.slots, self.key_at(step, steps))

    def keys(self, steps: int) -> set[ChosenKey]:
        """Return the keys of all sets in a pass of ``steps``; texts have all adapters."""
        found = {self.key_at(step, steps) for step in range(steps)}
        return {self.chosen} | {each for each in found if each is not None}

    @contextmanager
    def encoding(self) -> Iterator[None]:
        """Let text encoders, and what embeds the pooled text, have these inside the context."""
        placed = self.slots.place(self.chosen)
        with encode_with(EncodingUpdates(placed.bank, placed.slot)):
            yield
