"""Pictures a minute and latency under load: calls that are shared, and one picture at a time.

    python -m tools.batching_load [FOLDER] --device dawn [--model sd15|sdxl] [--json FILE]

Without a FOLDER the model has full size and random weights. No HTTP and no files: pictures are
decoded and dropped. Two tables:

- saturation: as many drawings as there is room for, always; and whether their pixels are those of
  each drawn alone
- Poisson load: the same arrivals served one at a time, and together. A load of 1 is as many
  pictures a second as one at a time gives at saturation. Latency is from arrival to picture.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np

from bench.devices import open_device
from bench.machine import description
from diffusion import Pipeline, Settings
from diffusion.batching import Batcher, BatchLimits, draw_together, images_of_512
from diffusion.batching.together import pictures_and_calls
from tools.full_size.models import MODELS
from tools.full_size.random_folder import write_random_folder

PROMPTS: Final = (
    "a red apple on a wooden table",
    "a castle by the sea at night",
    "portrait of an old man, oil on canvas",
    "three blue cups",
)
SAMPLERS: Final = ("euler_a", "dpmpp_2m", "ddim", "euler")


@dataclass(frozen=True)
class Saturation:
    """The throughput with ``at_once`` drawings under way."""

    at_once: int
    pictures_a_minute: float
    gain: float
    same_bits: bool


@dataclass(frozen=True)
class Served:
    """The result of one load, served in one way. Latencies are in seconds."""

    load: float
    way: str
    pictures: int
    pictures_a_minute: float
    p50: float
    p95: float
    images_a_call: float


class Load:
    """A model and the pictures that are asked of it."""

    def __init__(self, pipeline: Pipeline, size: int, steps: int, limits: BatchLimits) -> None:
        self.pipeline, self.size, self.steps, self.limits = pipeline, size, steps, limits

    def settings(self, number: int) -> Settings:
        """Return picture ``number``: prompts and samplers take turns, seeds are new."""
        return Settings(
            PROMPTS[number % len(PROMPTS)],
            "blurry",
            width=self.size,
            height=self.size,
            steps=self.steps,
            guidance=7.5,
            sampler=SAMPLERS[number // len(PROMPTS) % len(SAMPLERS)],
            seed=number,
        )

    def warm_up(self, at_once: int) -> None:
        """Capture the network for every number of images that may come together."""
        for several in range(1, at_once + 1):
            short = [replace(self.settings(number), steps=1) for number in range(several)]
            draw_together(self.pipeline, short, self.limits)

    @property
    def most_at_once(self) -> int:
        """The most drawings whose images fit one call."""
        size = images_of_512(self.settings(0))
        return max(1, int(self.limits.images / size))

    def saturation(self, at_once: int, rounds: int) -> float:
        """Return pictures a minute with ``at_once`` drawings always under way."""
        count = max(rounds * at_once, 4)
        begun = time.monotonic()
        if at_once == 1:
            self._serve_alone([0.0] * count)
        else:
            self._serve_together([0.0] * count, at_once)
        return 60 * count / (time.monotonic() - begun)

    def same_bits(self, at_once: int) -> bool:
        """Tell whether pictures drawn together have the bits of those drawn alone."""
        several = [self.settings(number) for number in range(at_once)]
        together = draw_together(self.pipeline, several, self.limits)
        alone = [self.pipeline.draw(each) for each in several]
        return all(
            np.array_equal(np.asarray(ours), np.asarray(theirs))
            for a, b in zip(together, alone, strict=True)
            for ours, theirs in zip(a, b, strict=True)
        )

    def _serve_alone(self, arrivals: Sequence[float]) -> list[float]:
        """Draw a picture for each arrival (seconds from now), one at a time; return latencies."""
        begun, latencies = time.monotonic(), list[float]()
        for number, arrival in enumerate(arrivals):
            time.sleep(max(0.0, begun + arrival - time.monotonic()))
            self.pipeline.draw(self.settings(number))
            latencies.append(time.monotonic() - begun - arrival)
        return latencies

    def _serve_together(self, arrivals: Sequence[float], at_once: int) -> tuple[list[float], float]:
        """Draw as `_serve_alone`, with shared calls; return latencies, and images in a call."""
        begun, latencies = time.monotonic(), list[float]()
        batcher = Batcher(self.limits)
        coming = deque(enumerate(arrivals))
        while coming or len(batcher):
            now = time.monotonic() - begun
            if not len(batcher) and coming[0][1] > now:
                time.sleep(coming[0][1] - now)
                continue
            while coming and coming[0][1] <= now and len(batcher) < at_once:
                number, _ = coming.popleft()
                drawing = pictures_and_calls(self.pipeline, self.settings(number))
                batcher.add(number, drawing)
            for ended in batcher.turn():
                if ended.error is not None:
                    raise ended.error
                assert isinstance(ended.name, int)
                latencies.append(time.monotonic() - begun - arrivals[ended.name])
        sizes = batcher.sharing.sizes
        return latencies, sum(n * count for n, count in sizes.items()) / max(1, sizes.total())

    def serve(self, load: float, rate: float, seconds: float, at_once: int) -> Iterator[Served]:
        """Yield how one load is served in both ways. ``rate``: pictures a second of load 1."""
        arrivals = arrivals_of(load, rate, seconds)
        for way in ("one at a time", "shared calls"):
            begun, images = time.monotonic(), 1.0
            if way == "one at a time":
                latencies = self._serve_alone(arrivals)
            else:
                latencies, images = self._serve_together(arrivals, at_once)
            rate_here = 60 * len(latencies) / (time.monotonic() - begun)
            p50, p95 = np.percentile(latencies, [50, 95]).tolist()
            yield Served(load, way, len(latencies), rate_here, p50, p95, images)


def arrivals_of(load: float, rate: float, seconds: float) -> list[float]:
    """Return when pictures are asked for, in seconds. ``rate``: pictures a second of load 1."""
    mean = 1 / (load * rate)
    gaps = np.random.default_rng(17).exponential(mean, max(4, round(seconds / mean)))
    return [float(each) for each in np.cumsum(gaps)]


def run(load: Load, chosen: argparse.Namespace) -> dict[str, object]:
    """Measure and print both tables; return them."""
    at_once, saturations = min(chosen.jobs, load.most_at_once), list[Saturation]()
    load.warm_up(at_once)
    print(f"{'at once':>8} {'pictures/min':>13} {'gain':>6}  pixels", flush=True)
    for several in sorted({min(n, at_once) for n in (1, 2, 4, at_once)}):
        rate = load.saturation(several, chosen.rounds)
        gain = rate / saturations[0].pictures_a_minute if saturations else 1.0
        row = Saturation(several, rate, gain, load.same_bits(several))
        saturations.append(row)
        bits = "as alone" if row.same_bits else "DIFFER"
        print(f"{several:8} {rate:13.1f} {gain:6.2f}  {bits}", flush=True)
    one = saturations[0].pictures_a_minute / 60
    served = list[Served]()
    print(
        f"\n{'load':>5} {'':14} {'pictures/min':>13} {'p50 s':>7} {'p95 s':>7} {'images/call':>12}"
    )
    for each in chosen.loads:
        for found in load.serve(each, one, chosen.seconds, at_once):
            served.append(found)
            print(
                f"{found.load:5.2f} {found.way:14} {found.pictures_a_minute:13.1f} "
                f"{found.p50:7.3f} {found.p95:7.3f} {found.images_a_call:12.2f}",
                flush=True,
            )
    return {"saturation": [asdict(s) for s in saturations], "served": [asdict(s) for s in served]}


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure as the command line asks."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path, help="a model; random weights without")
    parser.add_argument("--model", choices=("sd15", "sdxl"), default="sd15", help="its shape")
    parser.add_argument("--device", default="", help="as in avila --device")
    parser.add_argument("--size", type=int, help="pixels of a side; 512, or 1024 for sdxl")
    parser.add_argument("--steps", type=int, default=20, help="of each picture")
    parser.add_argument("--jobs", type=int, default=8, help="drawings under way at most")
    parser.add_argument("--images", type=int, help="of 512x512 in a call at most; as --jobs")
    parser.add_argument("--rounds", type=int, default=3, help="of each line of saturation")
    parser.add_argument("--loads", type=float, nargs="*", default=[0.5, 0.7, 0.9, 1.2])
    parser.add_argument("--seconds", type=float, default=12.0, help="of arrivals for each load")
    parser.add_argument("--json", type=Path, help="a file for the results")
    chosen = parser.parse_args(arguments)
    size = chosen.size or (1024 if chosen.model == "sdxl" else 512)
    limits = BatchLimits(chosen.images or chosen.jobs)
    with tempfile.TemporaryDirectory() as temporary:
        folder = chosen.folder
        if folder is None:
            folder = Path(temporary) / chosen.model
            write_random_folder(folder, MODELS[chosen.model])
        device = open_device(chosen.device)
        with Pipeline.load(folder, device) as pipeline:
            print(f"{folder.name}, {size}x{size}, {chosen.steps} steps, {device.name}", flush=True)
            found = run(Load(pipeline, size, chosen.steps, limits), chosen)
    if chosen.json is not None:
        about = {"model": folder.name, "size": size, "steps": chosen.steps, "jobs": chosen.jobs}
        report = {**description(device), **about, **found}
        chosen.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    if not all(each["same_bits"] for each in found["saturation"]):  # type: ignore[attr-defined]
        sys.exit("pictures drawn together differ from those drawn alone")


if __name__ == "__main__":
    main()
