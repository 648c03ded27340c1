"""A UNet that several runs call at once, each with its own text, noise level and guidance."""

from __future__ import annotations

import weakref
from collections.abc import Hashable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diffusion.adapters.rank_bank import RankBank
from diffusion.adapters.rank_slots import PlacedSet
from diffusion.models.layers import Activations, seamless_padding
from diffusion.models.low_rank import Updates, updates
from diffusion.models.unet import time_features
from diffusion.pipeline.calls import LatentsEstimate, UNetCall
from diffusion.samplers import Estimate
from diffusion.schedules import Scalings
from diffusion.tasks import GuidanceOptions
from diffusion.tasks.guidance_rule import GuidanceRule, first_estimate
from diffusion.text.conditioning import Conditioning
from gpucore import Buffer, Graph, u32
from gpustd import combine_into, concat, slice_axis
from gpustd.matmul.low_rank import NO_UPDATE

__all__ = ["SharedUNet", "bank_of", "kind_of"]


def bank_of(calls: Sequence[UNetCall]) -> RankBank | None:
    """Return the bank of adapters beside the layers, None where no call has any."""
    chosen = (each.loras for each in calls if each.loras is not None and each.loras.key)
    return next((each.place().bank for each in chosen), None)


def kind_of(call: UNetCall) -> Hashable:
    """Return what calls have in common whose images can be rows of one call.

    It is the model, the call's own traits, the latents' size, and the sizes of the text; the call
    itself where it is made alone.
    """
    if call.alone:
        return id(call)
    conditioning = call.conditioning
    rows = conditioning.context, conditioning.added, conditioning.guidance
    shapes = tuple(None if each is None else each.shape for each in rows)
    return id(call.shared), call.traits, call.x.shape[1:], shapes


class _Slot:
    """The place of one image in a shared call: its inputs, and what it follows."""

    def __init__(self, call: UNetCall) -> None:
        device, dtype = call.networks.device, call.networks.dtype
        shape = (1, *call.x.shape[1:])
        self.latents: Buffer[Any] = device.buffer_from_array(np.zeros(shape), dtype)
        self.conditioning = call.conditioning.copy()
        self.mask: Buffer[Any] | None = None
        if call.mask_channels is not None:
            rows = call.mask_channels[:1] * 0
            self.mask = device.buffer_from_array(rows, dtype)
        self._text: weakref.ref[Conditioning] | None = None
        self._mask_of: tuple[NDArray[np.float32] | None, int] = None, 0

    def follows(self, call: UNetCall, image: int) -> bool:
        """Tell whether it has the texts and the mask of an image already."""
        return self._has_text(call) and self._has_mask(call, image)

    def _has_text(self, call: UNetCall) -> bool:
        return self._text is not None and self._text() is call.conditioning

    def _has_mask(self, call: UNetCall, image: int) -> bool:
        return self._mask_of[0] is call.mask_channels and self._mask_of[1] == image

    def follow(self, call: UNetCall, image: int) -> None:
        """Take over the texts and the mask of an image."""
        self._text = None  # if this is interrupted, it follows nothing
        self.conditioning.copy_from(call.conditioning)
        self._text = weakref.ref(call.conditioning)
        if self.mask is not None and call.mask_channels is not None:
            rows = call.mask_channels[image : image + 1]
            self.mask.write(rows.astype(self.mask.dtype.numpy))
        self._mask_of = call.mask_channels, image


class _Placed:
    """A call and the slots of its images."""

    def __init__(self, call: UNetCall, slots: Sequence[int]) -> None:
        self.call, self.slots = call, slots
        self.scalings: Scalings = call.networks.noise.scalings(call.sigma)


class SharedUNet:
    """A UNet captured for ``images`` images, each in a slot with all of its inputs.

    A call writes latents and time features, and replays one graph. The prompts' keys and values are
    computed again only where an image comes into a slot or its text changes. Guidance and the
    step to x0 are each call's own, by the same operations as alone. Slots that nobody uses compute
    what was last in them. ``bank``: of adapters beside the layers, of which each image has its own.
    """

    def __init__(self, call: UNetCall, images: int, bank: RankBank | None = None) -> None:
        networks = call.networks
        device, unet = networks.device, networks.unet
        parts = call.conditioning.context.shape[0]
        self._config = networks.folder.unet
        self._slots = [_Slot(call) for _ in range(images)]
        width = self._config.block_out_channels[0]
        self._features: Buffer[Any] = device.buffer(networks.dtype, (images, width))
        self._has_keys = False
        self._parts = parts
        self._chosen: list[PlacedSet | None] = [None] * images
        self._updates: Updates | None = None
        if bank is not None:
            rows = np.full(images * parts, NO_UPDATE, np.uint32)
            self._updates = bank.updates(device.buffer_from_array(rows, u32))
        beside = updates(self._updates)
        with device.capture() as prompt_graph, device.region("unet"), beside:
            prompt = unet.prompt_keys(_by_part([s.conditioning.context for s in self._slots]))
        self._prompt_graph: Graph = prompt_graph
        with (
            device.capture() as graph,
            device.region("unet"),
            seamless_padding(networks.seamless),
            updates(self._updates),
        ):
            x = concat([slot.latents for slot in self._slots], 0)
            masks = [slot.mask for slot in self._slots if slot.mask is not None]
            output = unet(
                concat([x, concat(masks, 0)], 3) if masks else x,
                self._features,
                prompt,
                parts=parts,
                added=self._join("added"),
                guidance=self._join("guidance"),
            )
            self._outputs = [_rows(output, range(i, parts * images, images)) for i in range(images)]
        self._graph: Graph = graph

    def _join(self, name: str) -> Activations | None:
        """Return an input of all slots as the network reads it; None for one that it lacks."""
        rows = [getattr(slot.conditioning, name) for slot in self._slots]
        return None if rows[0] is None else _by_part(rows)

    @property
    def size(self) -> int:
        """Latent pixels of the batch."""
        return sum(slot.latents.size // slot.latents.shape[3] for slot in self._slots)

    def answer(self, calls: Sequence[UNetCall]) -> list[LatentsEstimate]:
        """Make calls of one kind, whose images are at most as many as the slots, together."""
        placed = self._place(calls)
        timesteps = [0.0] * len(self._slots)
        for each in placed:
            for image, index in enumerate(each.slots):
                self._write(each, image, index)
                timesteps[index] = each.call.networks.noise.timestep_of(each.call.sigma)
        self._choose_loras(placed)
        if not self._has_keys:
            self._prompt_graph.replay()
            self._has_keys = True
        features = time_features(timesteps, self._config)
        self._features.write(features.astype(self._features.dtype.numpy))
        self._graph.replay()
        return [self._estimate(each) for each in placed]

    def _choose_loras(self, placed: Sequence[_Placed]) -> None:
        """Write which adapters each image has, where that changed."""
        if self._updates is None:
            return
        chosen = self._chosen.copy()
        for each in placed:
            found = None if each.call.loras is None else each.call.loras.place()
            for index in each.slots:
                chosen[index] = found
        if chosen != self._chosen:
            self._has_keys = False
            slots = [NO_UPDATE if each is None else each.slot for each in chosen]
            self._updates.chosen.write(np.array(slots * self._parts, np.uint32))
            self._chosen = chosen

    def _place(self, calls: Sequence[UNetCall]) -> list[_Placed]:
        """Give each image a slot: the one that follows it already, if there is one."""
        images = [(call, image) for call in calls for image in range(call.x.shape[0])]
        free = set(range(len(self._slots)))
        found: dict[tuple[int, int], int] = {}
        for call, image in images:
            kept = next((i for i in sorted(free) if self._slots[i].follows(call, image)), None)
            if kept is not None:
                found[id(call), image] = kept
                free.discard(kept)
        rest = iter(sorted(free))
        for call, image in images:
            if (id(call), image) not in found:
                found[id(call), image] = next(rest)
        return [
            _Placed(call, [found[id(call), image] for image in range(call.x.shape[0])])
            for call in calls
        ]

    def _write(self, placed: _Placed, image: int, index: int) -> None:
        """Write the latents of an image to its slot, and its text and mask where they changed."""
        slot, call = self._slots[index], placed.call
        if not slot.follows(call, image):
            self._has_keys = False
            slot.follow(call, image)
        x = call.x if call.x.shape[0] == 1 else slice_axis(call.x, 0, image, image + 1)
        combine_into(slot.latents, [(placed.scalings.into, x)])

    def _estimate(self, placed: _Placed) -> LatentsEstimate:
        """Return the answer to a call, from the network's output for its images."""
        call = placed.call
        outputs = [self._outputs[index] for index in placed.slots]
        rule = GuidanceRule(call.scale, call.weights, GuidanceOptions())
        guided = _join([rule.output(output) for output in outputs])
        estimate = rule.estimate(call.x, placed.scalings, outputs[0], guided)
        if not call.both:
            return Estimate(estimate)
        first = _join([slice_axis(output, 0, 0, 1) for output in outputs])
        return Estimate(estimate, first_estimate(call.x, placed.scalings, first))

    def release(self) -> None:
        """Give the graphs' memory back."""
        self._graph.release()
        self._prompt_graph.release()


def _by_part(rows: Sequence[Activations]) -> Activations:
    """Join the rows of slots as the network reads them: all first ones, then all second ones."""
    return concat([each for part in zip(*map(_split, rows), strict=True) for each in part], 0)


def _split(rows: Activations) -> Iterator[Activations]:
    """Yield the rows one by one."""
    return (slice_axis(rows, 0, i, i + 1) for i in range(rows.shape[0]))


def _rows(x: Activations, indices: Sequence[int]) -> Activations:
    """Return some rows."""
    return _join([slice_axis(x, 0, i, i + 1) for i in indices])


def _join(rows: Sequence[Buffer[Any]]) -> Buffer[Any]:
    """Return rows one below the other."""
    return rows[0] if len(rows) == 1 else concat(rows, 0)
