"""Sizes of a group norm, and how the lanes of a GPU's workgroups lie over them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from gpucore import Buffer, Device, ShapeError
from gpustd.flat import widest_word

__all__ = ["Norm", "Plan", "most_lanes"]

_LANES = (128, 256, 512, 1024)
# Of 64 registers that a lane of 1024 has, at most these hold words over the statistics.
_HELD_REGISTERS = 32
# A lane's words for which a larger workgroup pays.
_FEW_WORDS = 4
# A lane of a streaming kernel has 64 bytes under way, in at most 8 words.
_BYTES_AT_ONCE, _MOST_AT_ONCE = 64, 8
# Neighbouring lanes read at least so much of a pixel, where groups can be taken together.
_SEGMENT_BYTES = 128
# Two launches take workgroups of this size, of which several run on a multiprocessor. The first has
# about so many lanes an image, half of what 132 multiprocessors hold: both images of a guided batch
# run at once. The second has twice as many, each of whose workgroups reads all runs of its groups.
_STREAMING_LANES = 512
_LANES_OF_AN_IMAGE = 2**17
_MOST_RUNS = 128


def most_lanes(device: Device) -> int:
    """Invocations of the largest workgroup that is used."""
    names = ("max_compute_invocations_per_workgroup", "max_compute_workgroup_size_x")
    return min(_LANES[-1], *(device.limits.get(name, 256) for name in names))


@dataclass(frozen=True)
class Norm:
    """Sizes of one group norm: ``widths`` are the channels of each source."""

    images: int
    pixels: int
    widths: tuple[int, ...]
    groups: int

    @classmethod
    def of(cls, sources: tuple[Buffer[Any], ...], groups: int) -> Norm:
        """Sizes of these sources. Raises `ShapeError`."""
        shape = sources[0].shape
        if len(shape) < 2 or any(s.shape[:-1] != shape[:-1] for s in sources):
            shapes = " and ".join(str(s.shape) for s in sources)
            raise ShapeError(f"group_norm: {shapes}: wants (N, ..., C), alike but for C")
        widths = tuple(s.shape[-1] for s in sources)
        if groups < 1 or sum(widths) % groups:
            raise ShapeError(f"group_norm: {groups} groups do not divide {sum(widths)} channels")
        return cls(shape[0], math.prod(shape[1:-1]), widths, groups)

    @property
    def channels(self) -> int:
        """Of all sources."""
        return sum(self.widths)

    @property
    def size(self) -> int:
        """Channels of a group."""
        return self.channels // self.groups

    def word_width(self, itemsize: int) -> int:
        """Channels of the widest word of at most 16 bytes that lies in one source and group."""
        return widest_word(itemsize, self.size, *self.widths)


@dataclass(frozen=True)
class Plan:
    """How one kernel's workgroups lie over an image; it depends on the sizes of one image only.

    ``width`` channels a word; ``lanes`` of a workgroup, ``depth`` words that a lane loads at once,
    which are all it has where they are ``held``; ``groups`` and pixels (``part``) of a workgroup;
    moments come from ``runs`` runs of ``run`` pixels.
    """

    width: int
    lanes: int
    depth: int
    held: bool
    groups: int
    part: int
    run: int
    runs: int

    @classmethod
    def one_launch(cls, norm: Norm, itemsize: int, most: int) -> Plan:
        """A workgroup of up to ``most`` lanes for each group of an image."""
        width = norm.word_width(itemsize)
        words = norm.size // width
        fitting = [n for n in _LANES if words <= n <= most]
        depths = {n: -(-norm.pixels // (n // words)) for n in fitting}
        lanes = next((n for n in fitting if depths[n] <= _FEW_WORDS), fitting[-1])
        depth = depths[lanes]
        held = depth * -(-width * itemsize // 4) <= _HELD_REGISTERS
        depth = depth if held else _at_once(width * itemsize)
        return cls(width, lanes, depth, held, 1, norm.pixels, norm.pixels, 1)

    @classmethod
    def two_launches(cls, norm: Norm, itemsize: int, most: int) -> tuple[Plan, Plan]:
        """For moments of runs, and for their union and the result."""
        width = norm.word_width(itemsize)
        words = norm.size // width
        lanes = most if words > _STREAMING_LANES else min(most, _STREAMING_LANES)
        fitting = [g for g in _divisors(norm.groups) if g * words <= lanes]
        wide = [g for g in fitting if g * norm.size * itemsize >= _SEGMENT_BYTES]
        groups = wide[0] if wide else fitting[-1]
        blocks = norm.groups // groups
        rows = lanes // (groups * words)
        workgroups = -(-_LANES_OF_AN_IMAGE // (lanes * blocks))
        runs = min(workgroups, _MOST_RUNS, -(-norm.pixels // rows))
        run = -(-norm.pixels // runs)
        runs = -(-norm.pixels // run)
        part = max(-(-norm.pixels // (2 * workgroups)), rows)
        depth = _at_once(width * itemsize)
        first = cls(width, lanes, depth, False, groups, run, run, runs)
        return first, cls(width, lanes, depth, False, groups, part, run, runs)

    def grid(self, norm: Norm) -> tuple[int, int, int]:
        """Workgroups over blocks of groups, parts of an image, and images."""
        return norm.groups // self.groups, -(-norm.pixels // self.part), norm.images

    def sizes(self, norm: Norm, eps: float) -> dict[str, int | float]:
        """Uniform fields of ``shaders/group_norm/lanes.wgsl``."""
        words = norm.size // self.width
        return {
            "pixels": norm.pixels,
            "units": norm.channels // self.width,
            "units1": norm.widths[0] // self.width,
            "of_group": words,
            "across": self.groups * words,
            "part": self.part,
            "run": self.run,
            "runs": self.runs,
            "eps": eps,
        }


def _at_once(word_bytes: int) -> int:
    """Words that a lane of a streaming kernel loads before it uses one."""
    return min(_BYTES_AT_ONCE // word_bytes, _MOST_AT_ONCE)


def _divisors(n: int) -> list[int]:
    """All, ascending."""
    return [d for d in range(1, n + 1) if n % d == 0]
