"""Sizes of a group norm, and how the lanes of a GPU's workgroups lie over them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from gpucore import Buffer, Device, ShapeError
from gpucore.integers import ceil_div
from gpustd.launch.checks import as_int, require_buffers
from gpustd.launch.elements import widest_word

__all__ = ["NormSizes", "Plan", "most_lanes"]

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
    """Return the invocations of the largest workgroup that is used."""
    names = ("max_compute_invocations_per_workgroup", "max_compute_workgroup_size_x")
    return min(_LANES[-1], *(device.limits.get(name, 256) for name in names))


@dataclass(frozen=True)
class NormSizes:
    """Sizes of one group norm: ``widths`` are the channels of each source."""

    images: int
    pixels: int
    widths: tuple[int, ...]
    groups: int

    @classmethod
    def of(cls, sources: tuple[Buffer[Any], ...], num_groups: int) -> NormSizes:
        """Return the sizes of these sources. Raises `ShapeError`, `ArgumentError`."""
        require_buffers("group_norm", *sources)
        shape = sources[0].shape
        if len(shape) < 2 or any(s.shape[:-1] != shape[:-1] for s in sources):
            shapes = " and ".join(str(s.shape) for s in sources)
            raise ShapeError(
                f"group_norm: sources must be (N, ..., C) and differ in C only, got {shapes}"
            )
        widths = tuple(s.shape[-1] for s in sources)
        groups = as_int("group_norm", "num_groups", num_groups)
        if groups < 1 or sum(widths) % groups:
            raise ShapeError(
                f"group_norm: num_groups must divide the {sum(widths)} channels, got {groups}"
            )
        return cls(shape[0], math.prod(shape[1:-1]), widths, groups)

    @property
    def channels(self) -> int:
        """Channels of all sources."""
        return sum(self.widths)

    @property
    def group_size(self) -> int:
        """Channels of a group."""
        return self.channels // self.groups

    def word_width(self, itemsize: int) -> int:
        """Return the channels of the widest word, up to 16 bytes, in one source and group."""
        return widest_word(itemsize, self.group_size, *self.widths)


@dataclass(frozen=True)
class Plan:
    """The layout of a kernel's workgroups over an image; it depends on one image's sizes only.

    A word has ``width`` channels. A workgroup has ``lanes``, each of which loads ``depth`` words at
    once; where they are ``held`` in registers, these are all its words. A workgroup takes
    ``across`` words of each pixel and ``run`` pixels; an image has ``runs`` of these.
    """

    width: int
    lanes: int
    depth: int
    held: bool
    across: int
    run: int
    runs: int

    @classmethod
    def one_launch(cls, sizes: NormSizes, itemsize: int, most: int) -> Plan | None:
        """Plan a workgroup of up to ``most`` lanes a group; None where a group is too wide."""
        width = sizes.word_width(itemsize)
        words = sizes.group_size // width
        candidates = [n for n in _LANES if words <= n <= most]
        if not candidates:
            return None
        depths = {n: ceil_div(sizes.pixels, n // words) for n in candidates}
        lanes = next((n for n in candidates if depths[n] <= _FEW_WORDS), candidates[-1])
        depth = depths[lanes]
        held = depth * ceil_div(width * itemsize, 4) <= _HELD_REGISTERS
        depth = depth if held else min(_BYTES_AT_ONCE // (width * itemsize), _MOST_AT_ONCE)
        return cls(width, lanes, depth, held, words, sizes.pixels, 1)

    @classmethod
    def two_launches(cls, sizes: NormSizes, itemsize: int, most: int, memory: int) -> Plan | None:
        """Plan both launches; None where a group is too wide.

        ``memory`` is that of a workgroup, in bytes.
        """
        width = widest_word(itemsize, *sizes.widths)
        # The fewest words that hold groups without a rest.
        period = math.lcm(width, sizes.group_size) // width
        lane_bytes = 8 * max(width, 2)
        candidates = [n for n in _LANES if n >= max(period, _STREAMING_LANES)]
        candidates = [n for n in candidates if n <= most and n * lane_bytes <= memory]
        if not candidates:
            return None
        lanes = candidates[0]
        across = _words_across(sizes, width, period, lanes, _SEGMENT_BYTES // itemsize)
        rows = lanes // across
        blocks = sizes.channels // (width * across)
        words = sizes.pixels * blocks // (rows * _WORKGROUPS_OF_AN_IMAGE)
        steps = max(ceil_div(words, _MOST_WORDS), 1)
        depth = max(ceil_div(words, steps), min(_LEAST_WORDS, ceil_div(sizes.pixels, rows)))
        run = rows * depth * steps
        return cls(width, lanes, depth, False, across, run, ceil_div(sizes.pixels, run))

    def grid(self, sizes: NormSizes) -> tuple[int, int, int]:
        """Return the workgroups over blocks of words, runs of an image, and images."""
        return sizes.channels // (self.width * self.across), self.runs, sizes.images

    def params(self, sizes: NormSizes, eps: float) -> dict[str, int | float]:
        """Return the uniform fields of ``shaders/nn/group_norm/lanes.wgsl``."""
        return {
            "pixels": sizes.pixels,
            "units": sizes.channels // self.width,
            "units1": sizes.widths[0] // self.width,
            "across": self.across,
            "run": self.run,
            "runs": self.runs,
            "size": sizes.group_size,
            "eps": eps,
        }


def _words_across(sizes: NormSizes, width: int, period: int, lanes: int, segment: int) -> int:
    """Return the words of a pixel of a workgroup: the fewest that hold ``segment`` channels.

    They are a multiple of ``period``, divide the pixel, and have no more groups than ``lanes``.
    Where none are so many, as many as there are.
    """
    parts = sizes.channels // (width * period)
    divisors = [period * n for n in range(1, parts + 1) if parts % n == 0]
    most = min(lanes, lanes * sizes.group_size // width)
    candidates = [n for n in divisors if n <= most]
    return next((n for n in candidates if n * width >= segment), candidates[-1])
