"""Which calls are made together, and what happens where they do not fit the device."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterator, Sequence

from diffusion.batching.limits import BatchLimits
from diffusion.batching.shared_unet import SharedUNet, bank_of, kind_of
from diffusion.pipeline.calls import LatentsEstimate, UNetCall
from gpucore import DeviceLostError, GpuError

__all__ = ["Answer", "CallSharing"]

Answer = LatentsEstimate | GpuError
"""What a call gives: an estimate, or the error of that call alone."""


class CallSharing:
    """Makes calls, as many together as ``limits`` and the device allow.

    A kind of calls for whose batch the device has no room is made in smaller ones from then on.

    Attributes:
        sizes: how often the UNet was called for so many images.
        shared: how many calls of drawings were made together with another's.
    """

    def __init__(self, limits: BatchLimits) -> None:
        self.limits = limits
        self.sizes: Counter[int] = Counter()
        self.shared = 0
        self._most: dict[Hashable, int] = {}

    def answer(self, calls: Sequence[UNetCall]) -> list[Answer]:
        """Return the answer to each call, in their order. Raises `gpucore.DeviceLostError`."""
        kinds: dict[Hashable, list[UNetCall]] = {}
        for call in calls:
            kinds.setdefault(kind_of(call), []).append(call)
        answers: dict[int, Answer] = {}
        for kind, those in kinds.items():
            for call, answer in self._answer_kind(kind, those):
                answers[id(call)] = answer
        return [answers[id(call)] for call in calls]

    def _answer_kind(
        self, kind: Hashable, calls: Sequence[UNetCall]
    ) -> Iterator[tuple[UNetCall, Answer]]:
        rest = list(calls)
        while rest:
            most = self._most.get(kind, self.limits.most(rest[0].x.shape))
            batch = _first_batch(rest, most)
            if len(batch) == 1:
                yield batch[0], _answer_alone(batch[0])
            else:
                try:
                    yield from zip(batch, self._answer_batch(kind, batch, most), strict=True)
                except DeviceLostError:
                    raise
                except GpuError:  # no room, most of the time: each call tells its own error
                    batch[0].shared.release()
                    self._most[kind] = max(1, sum(each.x.shape[0] for each in batch) // 2)
                    continue
            rest = rest[len(batch) :]
            self.sizes[sum(each.x.shape[0] for each in batch)] += 1
            self.shared += len(batch) if len(batch) > 1 else 0

    def _answer_batch(
        self, kind: Hashable, batch: Sequence[UNetCall], most: int
    ) -> list[LatentsEstimate]:
        slots = self.limits.slots(sum(each.x.shape[0] for each in batch), most)
        first, bank = batch[0], bank_of(batch)
        key = kind, slots, None if bank is None else bank.number
        with first.shared.lend(key, lambda: SharedUNet(first, slots, bank)) as shared:
            answers: list[LatentsEstimate] = shared.answer(batch)
            return answers


def _first_batch(calls: Sequence[UNetCall], most: int) -> list[UNetCall]:
    """Return the first calls whose images are at most ``most``; at least one call."""
    batch, images = [calls[0]], calls[0].x.shape[0]
    for call in calls[1:]:
        images += call.x.shape[0]
        if images > most:
            break
        batch.append(call)
    return batch


def _answer_alone(call: UNetCall) -> Answer:
    try:
        return call.answer()
    except DeviceLostError:
        raise
    except GpuError as error:
        return error
