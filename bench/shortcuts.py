"""Cost of a call of the UNet with each choice about guidance and each shortcut.

    python -m bench.shortcuts [MODEL] [--size 512] [--batch 1] [--device dawn] [--calls 36]

Each line: milliseconds of a call, and the ratio to a plain one in the same run. With a cache the
mean over an interval counts. An upscaler's line is the time of one picture of the size.

    python -m bench.shortcuts sd15/ --upscaler 4x.safetensors
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np

from diffusion import Pipeline, Settings
from diffusion.tasks import (
    DeepCache,
    FreeU,
    GuidanceOptions,
    HyperTile,
    SelfAttentionGuidance,
    Thresholding,
    TokenMerging,
)
from diffusion.upscaling import UpscalerNetwork

__all__ = ["main"]

_SKIPPED: Final = 6
"""First steps of a run that are not timed."""


def choices(first: int) -> dict[str, GuidanceOptions]:
    """Return the choices by name; ``first``: the first level that has attention."""
    scale = 1 << first
    return {
        "plain": GuidanceOptions(),
        "rescale": GuidanceOptions(rescale=0.7),
        "thresholding": GuidanceOptions(thresholding=Thresholding(mimic_scale=2.0)),
        "NGMS 3": GuidanceOptions(skip_below=3.0),
        "FreeU": GuidanceOptions(freeu=FreeU()),
        "PAG": GuidanceOptions(perturbed=3.0),
        "SAG": GuidanceOptions(self_attention=SelfAttentionGuidance()),
        "token merging 0.5": GuidanceOptions(merging=TokenMerging(0.5, downsample=scale)),
        "HyperTile 256": GuidanceOptions(tiles=HyperTile(256, depth=first)),
        "DeepCache 2": GuidanceOptions(cache=DeepCache(2)),
        "DeepCache 3": GuidanceOptions(cache=DeepCache(3)),
        "DeepCache 5": GuidanceOptions(cache=DeepCache(5)),
    }


def time_calls(pipeline: Pipeline, settings: Settings) -> float:
    """Return the seconds of a call: the least of two runs, without the first steps."""
    best = float("inf")
    for _ in range(2):
        begun, steps = 0.0, 0
        for event in pipeline.generate(settings):
            if hasattr(event, "wait"):
                steps += 1
                event.wait()
                if steps == _SKIPPED:
                    begun = time.perf_counter()
                last = time.perf_counter()
        best = min(best, (last - begun) / (steps - _SKIPPED))
    return best


def time_upscaler(pipeline: Pipeline, file: Path, side: int) -> Callable[[], float]:
    """Return a function that enlarges a picture once, and returns the seconds."""
    network = UpscalerNetwork.load(file, pipeline.device, pipeline.networks.dtype)
    pixels = np.random.default_rng(1).random((side, side, 3), np.float32)

    def run() -> float:
        begun = time.perf_counter()
        network.enlarge(pixels)
        return time.perf_counter() - begun

    return run


def main() -> None:
    """Print a line for each choice."""
    parser = argparse.ArgumentParser(prog="python -m bench.shortcuts", description=__doc__)
    parser.add_argument("model", nargs="?")
    parser.add_argument("--size", type=int, default=None)
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--device", default=None)
    parser.add_argument("--calls", type=int, default=36)
    parser.add_argument("--upscaler", type=Path, default=None)
    given = parser.parse_args()
    if given.calls <= _SKIPPED:
        parser.error(f"--calls must be more than {_SKIPPED}, got {given.calls}")
    with Pipeline.load(given.model, given.device) as pipeline:
        kinds = pipeline.networks.folder.unet.down_block_types
        first = next(level for level, kind in enumerate(kinds) if "CrossAttn" in kind)
        plain = 0.0
        for name, options in choices(first).items():
            settings = Settings(
                "a castle",
                width=given.size,
                height=given.size,
                steps=given.calls,
                sampler="euler",
                guidance=5.0,
                count=given.batch,
                batch=given.batch,
                guidance_options=options,
            )
            seconds = time_calls(pipeline, settings)
            plain = plain or seconds
            print(f"{name:20} {1e3 * seconds:8.2f} ms a call   x {seconds / plain:.2f}", flush=True)
            pipeline.release()
        if given.upscaler is not None:
            side = given.size or 512
            run = time_upscaler(pipeline, given.upscaler, side)
            run()
            print(f"{given.upscaler.stem}: {min(run(), run()):.3f} s for {side}x{side}")


if __name__ == "__main__":
    main()
