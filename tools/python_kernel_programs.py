"""Compare random programs in the language of kernels with Python, on one engine or all.

    python -m tools.python_kernel_programs --programs 5000 --engine dawn-vulkan
    python -m tools.python_kernel_programs --programs 5000 --sanitizer

It prints each program that an engine computes otherwise, and exits with 1 where there is one.
"""

from __future__ import annotations

import argparse
import sys

from gpucore import Device
from gpucore.testing import all_devices
from tests.gpucore.python_kernels.drawing import differences

TOGETHER = 20
"""Functions in one kernel."""


def main() -> int:
    """Run the programs; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--programs", type=int, default=5000)
    parser.add_argument("--first", type=int, default=1000, help="the seed of the first program")
    parser.add_argument("--engine", help="such as dawn-vulkan; all that are present without it")
    parser.add_argument("--sanitizer", action="store_true", help="compute them in the sanitizer")
    options = parser.parse_args()
    devices = [Device.null()] if options.sanitizer else all_devices()
    total = 0
    for device in devices:
        if not options.sanitizer and options.engine not in (None, device.backend):
            continue
        wrong = 0
        for first in range(options.first, options.first + options.programs, TOGETHER):
            seeds = list(range(first, first + TOGETHER))
            found = differences(device, seeds, sanitized=options.sanitizer)
            wrong += len(found)
            print("".join(f"{each}\n" for each in found), end="", flush=True)
        name = "sanitizer" if options.sanitizer else device.backend
        print(f"{name}: {options.programs} programs, {wrong} differ", flush=True)
        total += wrong
    return min(total, 1)


if __name__ == "__main__":
    sys.exit(main())
