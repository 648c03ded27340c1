"""A process that makes the first step of an image, as fast as it can.

    python -m bench.first_step FOLDER [--device NAME] [--size 512]

Prints one JSON object: ``load_s``, the seconds for reading and uploading the weights. The caller
measures the time of the whole process, which is why nothing else of the benchmark is imported here:
see `bench.cold_start.cold_starts`.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

from bench.devices import open_device
from diffusion import Pipeline, Settings, Step
from gpucore import Device

__all__ = ["run_first_step"]


def run_first_step(folder: Path, device: Device, size: int) -> float:
    """Make the first step of an image; return the seconds of loading."""
    start = time.perf_counter()
    pipeline = Pipeline.load(folder, device)
    device.synchronize()
    loaded = time.perf_counter() - start
    settings = Settings("a red apple", width=size, height=size, steps=20, seed=1)
    for event in pipeline.generate(settings):
        if isinstance(event, Step):
            event.wait()
            return loaded
    raise AssertionError("generate must yield a step")


def main() -> None:
    """Run the part of one fresh process."""
    parser = argparse.ArgumentParser(prog="python -m bench.first_step", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--device", default="")
    parser.add_argument("--size", type=int, default=512)
    options = parser.parse_args()
    device = open_device(options.device)
    print(json.dumps({"load_s": run_first_step(options.folder, device, options.size)}), flush=True)


if __name__ == "__main__":
    main()
