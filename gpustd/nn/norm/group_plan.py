"""Sizes of a group norm, and how the lanes of a GPU's workgroups lie over them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from gpucore import Buffer, Device, ShapeError
from gpucore.integers import ceil_div
from gpustd.launch.checks import as_int, require_buffers
from gpustd.launch.elements import widest_word

__all__ = ["Norm", "Plan", "most_lanes"]

_LANES = (128, 256, 512, 1024)
# Of 64 registers that a lane of 1024 has, at most these hold words over the statistics.
_HELD_REGISTERS = 32
# One launch: a lane's words for which a larger workgroup pays, and the words and bytes that it has
# under way where it holds none.
_FEW_WORDS = 4
_BYTES_AT_ONCE, _MOST_AT_ONCE = 64, 8
# Two launches: workgroups of at least so many lanes, of which several run on a multiprocessor, so
# many an image (two on each of 132 multiprocessors, and a guided batch has two images); but a lane
# has a few words, of which so many are under way. Neighbouring lanes read at least so much of a
# pixel: more would give a workgroup more groups, whose runs it has to unite.
_STREAMING_LANES = 256
_WORKGROUPS_OF_AN_IMAGE = 256
_LEAST_WORDS, _MOST_WORDS = 4, 8
_SEGMENT_BYTES = 128


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
        require_buffers("group_norm", *sources)
        shape = sources[0].shape
        if len(shape) < 2 or any(s.shape[:-1] != shape[:-1] for s in sources):
            shapes = " and ".join(str(s.shape) for s in sources)
            raise ShapeError(f"group_norm: {shapes}: wants (N, ..., C), alike but for C")
        widths = tuple(s.shape[-1] for s in sources)
        groups = as_int("group_norm", "groups", groups)
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
    which are all it has where they are ``held``; words of a pixel that a workgroup takes
    (``across``), and pixels (``run``), of which an image has ``runs``.
    """

    width: int
    lanes: int
    depth: int
    held: bool
    across: int
    run: int
    runs: int

    @classmethod
    def one_launch(cls, norm: Norm, itemsize: int, most: int) -> Plan | None:
        """A workgroup of up to ``most`` lanes for each group; None where a group is too wide."""
        width = norm.word_width(itemsize)
        words = norm.size // width
        fitting = [n for n in _LANES if words <= n <= most]
        if not fitting:
            return None
        depths = {n: ceil_div(norm.pixels, n // words) for n in fitting}
        lanes = next((n for n in fitting if depths[n] <= _FEW_WORDS), fitting[-1])
        depth = depths[lanes]
        held = depth * ceil_div(width * itemsize, 4) <= _HELD_REGISTERS
        depth = depth if held else min(_BYTES_AT_ONCE // (width * itemsize), _MOST_AT_ONCE)
        return cls(width, lanes, depth, held, words, norm.pixels, 1)

    @classmethod
    def two_launches(cls, norm: Norm, itemsize: int, most: int, memory: int) -> Plan | None:
        """For both; ``memory`` of a workgroup in bytes. None where a group is too wide."""
        width = widest_word(itemsize, *norm.widths)
        whole = math.lcm(width, norm.size) // width
        slots = 8 * max(width, 2)
        fitting = [n for n in _LANES if n >= max(whole, _STREAMING_LANES)]
        fitting = [n for n in fitting if n <= most and n * slots <= memory]
        if not fitting:
            return None
        lanes = fitting[0]
        across = _across(norm, width, whole, lanes, _SEGMENT_BYTES // itemsize)
        rows = lanes // across
        blocks = norm.channels // (width * across)
        words = norm.pixels * blocks // (rows * _WORKGROUPS_OF_AN_IMAGE)
        steps = max(ceil_div(words, _MOST_WORDS), 1)
        depth = max(ceil_div(words, steps), min(_LEAST_WORDS, ceil_div(norm.pixels, rows)))
        run = rows * depth * steps
        return cls(width, lanes, depth, False, across, run, ceil_div(norm.pixels, run))

    def grid(self, norm: Norm) -> tuple[int, int, int]:
        """Workgroups over blocks of words, runs of an image, and images."""
        return norm.channels // (self.width * self.across), self.runs, norm.images

    def sizes(self, norm: Norm, eps: float) -> dict[str, int | float]:
        """Uniform fields of ``shaders/nn/group_norm/lanes.wgsl``."""
        return {
            "pixels": norm.pixels,
            "units": norm.channels // self.width,
            "units1": norm.widths[0] // self.width,
            "across": self.across,
            "run": self.run,
            "runs": self.runs,
            "size": norm.size,
            "eps": eps,
        }


def _across(norm: Norm, width: int, whole: int, lanes: int, segment: int) -> int:
    """Words of a pixel that a workgroup takes: the fewest that hold ``segment`` channels, if any.

    They are a multiple of ``whole``, divide the pixel, and have no more groups than ``lanes``.
    """
    parts = norm.channels // (width * whole)
    divisors = [whole * n for n in range(1, parts + 1) if parts % n == 0]
    most = min(lanes, lanes * norm.size // width)
    fitting = [n for n in divisors if n <= most]
    return next((n for n in fitting if n * width >= segment), fitting[-1])
