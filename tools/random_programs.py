"""Compare random WGSL programs on the device and in the sanitizer with Python's integers.

    python -m tools.random_programs 5000         # as many programs, on the best device
    python -m tools.random_programs 5000 --device wgpu-vulkan
    python -m tools.random_programs 5000 --device null    # in the sanitizer alone

Prints the seed and the number of each program that differs, and ends with 1 if there is one.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import numpy as np

import gpucore
from gpucore import Device, u32
from gpucore.integers import ceil_div
from tests.gpucore.random_statements import PER_KERNEL, kernel_text, random_programs, results
from tests.gpucore.test_random_programs import INPUTS

__all__ = ["main"]


def differing(device: Device, seed: int) -> list[str]:
    """Return what differs in the programs of a seed, as text."""
    programs = random_programs(seed)
    expected = results(programs)
    kernel = device.compile_kernel(kernel_text(programs))
    x, n = device.buffer_from_array(INPUTS), len(INPUTS)
    found: list[str] = []
    for where in ("device", "sanitizer"):
        y = device.buffer(u32, expected.shape)
        y.write(np.full(y.shape, 77, np.uint32))
        if where == "sanitizer":
            with gpucore.sanitize(raises=False):
                kernel(x, y, 0, grid=n)
        elif device.info.kind == "null":
            continue
        else:
            kernel(x, y, 0, grid=n)
        wrong = np.unique(np.argwhere(y.read() != expected)[:, 1])
        found += [f"seed {seed}, program {number}, {where}" for number in wrong.tolist()]
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Run programs; return 1 if one differs."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.random_programs",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("count", type=int, nargs="?", default=5000, help="of programs")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--device", default="", help="such as dawn, wgpu-vulkan, null")
    chosen = parser.parse_args(arguments)
    device = Device.by_name(chosen.device) if chosen.device else Device.auto()
    seeds = range(chosen.first, chosen.first + ceil_div(chosen.count, PER_KERNEL))
    wrong = [text for seed in seeds for text in differing(device, seed)]
    print("\n".join([*wrong, f"{len(seeds) * PER_KERNEL} programs, {len(wrong)} differ"]))
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
