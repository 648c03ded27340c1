"""Random numbers: bytes that are written, against PyTorch's generator, which is Philox, too.

The least time is that of 4 bytes a number. Philox without 64-bit multiplications takes about 30
integer operations a number, and normal numbers in fixed point about 40 more.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from bench.entry import Entry, Target
from gpucore import Device
from gpustd.random import Generator

__all__ = ["ENTRIES"]

_HALF_OF_COPIES = Target("of copy rate", 0.5)


def entry(
    name: str,
    ours: Callable[[Generator], object],
    size: int,
    peers: tuple[Callable[[np.random.Generator], object], Callable[[Any], object]],
    target: Target | None = None,
) -> Entry:
    """Return an entry for ``size`` numbers of one distribution."""
    in_numpy, in_torch = peers
    cpu = size <= 2**20

    def setup(device: Device) -> Callable[[], object]:
        generator = Generator(device, 1)

        def call() -> object:
            generator.draws = 0
            return ours(generator)

        return call

    return Entry(
        name=f"{name} {size / 2**20:g}Mi",
        setup=setup,
        flops=0.0,
        bytes=4.0 * size,
        numpy=(lambda: in_numpy(np.random.default_rng(1))) if cpu else None,
        torch=lambda torch: functools.partial(in_torch, torch),
        target=None if cpu else target,
        cpu=cpu,
    )


def distributions(size: int) -> list[Entry]:
    """Return an entry for each kind of number."""
    return [
        entry(
            "random",
            lambda g: g.random(size),
            size,
            (
                lambda g: g.random(size, np.float32),
                lambda torch: torch.rand(size),
            ),
            _HALF_OF_COPIES,
        ),
        entry(
            "standard_normal",
            lambda g: g.standard_normal(size),
            size,
            (
                lambda g: g.standard_normal(size, np.float32),
                lambda torch: torch.randn(size),
            ),
        ),
        entry(
            "integers",
            lambda g: g.integers(0, 1000, size),
            size,
            (
                lambda g: g.integers(0, 1000, size, np.int32),
                lambda torch: torch.randint(0, 1000, (size,), dtype=torch.int32),
            ),
        ),
        entry(
            "permutation",
            lambda g: g.permutation(size),
            size,
            (
                lambda g: g.permutation(size),
                lambda torch: torch.randperm(size, dtype=torch.int32),
            ),
        ),
    ]


ENTRIES = [each for size in (2**20, 2**26) for each in distributions(size)]
