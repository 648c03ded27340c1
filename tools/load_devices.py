"""Measure a server with one device and with several: pictures a minute and latency over HTTP.

    python -m tools.load_devices [FOLDER] --devices cuda:0,cuda:1 [--model sd15|sdxl] [--json FILE]

Without a FOLDER the model has full size and random weights. ``avila serve`` runs as a process of
its own with a worker for each device: first with the first device alone, then with all.

- saturation: clients that each ask for a picture, wait for it and ask again. The ratio is the
  throughput of all devices to that of one; ``/healthz`` is asked 50 times a second meanwhile
- Poisson load on one device: pictures are asked for at random times. A load of 1 is as many
  pictures a second as it gives at saturation

Latency is from request to answer. What each client asks for first only warms up.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from bench.machine import clocks
from tools.batching_load import PROMPTS, SAMPLERS, arrivals_of
from tools.full_size.models import MODELS
from tools.full_size.random_folder import write_random_folder
from tools.load_server import (
    PATIENCE,
    Connection,
    start_program,
    wait_until_ready,
    watch_health,
)
from tools.measure_server import machine_of

GOAL: Final = 0.95
"""Of the devices' number: what they should give together, compared with one."""
TOGETHER: Final = 8
"""Jobs that a worker draws at once by default."""
TAIL: Final = 2000


@dataclass(frozen=True)
class Saturation:
    """The throughput while no client pauses. ``p50``, ``p95``: latencies in seconds."""

    devices: int
    clients: int
    pictures: int
    pictures_a_minute: float
    p50: float
    p95: float
    health_p50_ms: float
    health_p99_ms: float
    watts: tuple[str, ...]


@dataclass(frozen=True)
class Served:
    """The result of one Poisson load. Latencies are in seconds."""

    load: float
    pictures: int
    pictures_a_minute: float
    p50: float
    p95: float


class Load:
    """A server and the pictures that are asked of it."""

    def __init__(self, port: int, size: int, steps: int) -> None:
        self.port, self.size, self.steps = port, size, steps
        self._asked = 0

    async def ask(self, connection: Connection, steps: int | None = None) -> float:
        """Ask for the next picture: prompts and samplers take turns. Return the latency."""
        number, begun = self._asked, time.monotonic()
        self._asked += 1
        body = {
            "prompt": PROMPTS[number % len(PROMPTS)],
            "negative": "blurry",
            "width": self.size,
            "height": self.size,
            "steps": steps or self.steps,
            "guidance": 7.5,
            "sampler": SAMPLERS[number // len(PROMPTS) % len(SAMPLERS)],
            "seed": number,
        }
        status, answer = await connection.ask("POST", "/txt2img", body)
        if status != 200:
            raise RuntimeError(f"a picture was answered with {status}: {answer[:300]!r}")
        return time.monotonic() - begun

    async def ask_alone(self, steps: int | None = None, wait: float = 0) -> float:
        """Ask on a new connection, after ``wait`` seconds."""
        await asyncio.sleep(wait)
        async with Connection(self.port) as connection:
            return await self.ask(connection, steps)

    async def warm_up(self, devices: int, clients: int) -> None:
        """Let each worker record the network for every number of images that come together."""
        async with Connection(self.port) as connection:
            await wait_until_ready(connection, devices)
        for several in range(1, min(TOGETHER, clients) + 1):
            await asyncio.gather(*(self.ask_alone(steps=2) for _ in range(several * devices)))

    async def saturate(self, devices: int, clients: int, seconds: float) -> Saturation:
        """Measure with so many clients for each device, for so long or two pictures of each."""
        latencies, ends = list[float](), list[float]()
        many = clients * devices
        end = time.monotonic() + seconds

        def is_over() -> bool:
            return time.monotonic() > end and len(ends) >= 2 * many

        async def draw() -> None:
            async with Connection(self.port) as connection:
                await self.ask(connection)
                while not is_over():
                    latency = await self.ask(connection)
                    if not is_over():
                        latencies.append(latency)
                        ends.append(time.monotonic())

        async def look_at_cards() -> tuple[str, ...]:
            await asyncio.sleep(seconds * 0.7)
            return tuple(card["power.draw"] for card in await asyncio.to_thread(clocks))

        watching = watch_health(self.port, is_over)
        drawing = asyncio.gather(*(draw() for _ in range(many)))
        health, watts, _ = await asyncio.gather(watching, look_at_cards(), drawing)
        p50, p95 = np.percentile(latencies, [50, 95]).tolist()
        h50, h99 = (np.percentile(health, [50, 99]) * 1e3).tolist()
        rate = 60 * rate_of(ends)
        return Saturation(devices, many, len(ends), rate, p50, p95, h50, h99, watts)

    async def serve(self, load: float, rate: float, seconds: float) -> Served:
        """Measure a Poisson load. ``rate``: pictures a second of load 1."""
        begun = time.monotonic()
        arrivals = arrivals_of(load, rate, seconds)
        latencies = await asyncio.gather(*(self.ask_alone(wait=each) for each in arrivals))
        rate_here = 60 * len(latencies) / (time.monotonic() - begun)
        p50, p95 = np.percentile(latencies, [50, 95]).tolist()
        return Served(load, len(latencies), rate_here, p50, p95)


def rate_of(ends: Sequence[float]) -> float:
    """Return pictures a second: the slope of a line through their ends.

    Pictures that were drawn together end together, so that the first and the last end tell little.
    """
    ordered = np.sort(ends)
    return float(np.polyfit(ordered - ordered[0], np.arange(len(ends)), 1)[0])


@contextlib.contextmanager
def serving(folder: Path, devices: Sequence[str]) -> Iterator[int]:
    """Run ``avila serve`` with a model on devices; yield its port. Its log's end tells errors."""
    with tempfile.TemporaryDirectory() as name, (Path(name) / "log").open("w+b") as log:
        place = folder.resolve()
        arguments = ["diffusion.cli", "serve", "--output", name, "--models", str(place.parent)]
        arguments += ["--model", place.name, "--devices", ",".join(devices)]
        try:
            process, port = start_program(lambda port: [*arguments, "--port", str(port)], log)
            try:
                yield port
            finally:
                process.terminate()
                process.wait(PATIENCE)
        except BaseException:
            print(Path(log.name).read_text(errors="replace")[-TAIL:], file=sys.stderr)
            raise


async def run_one(
    port: int, devices: int, chosen: argparse.Namespace, loads: Sequence[float]
) -> tuple[Saturation, list[Served]]:
    """Measure and print the saturation of one server, then its loads."""
    load = Load(port, chosen.size, chosen.steps)
    await load.warm_up(devices, chosen.clients)
    found = await load.saturate(devices, chosen.clients, chosen.seconds)
    watts = f"  {', '.join(found.watts)} W" if found.watts else ""
    print(
        f"{found.devices:8} {found.clients:8} {found.pictures_a_minute:13.1f} {found.p50:7.3f} "
        f"{found.p95:7.3f}  {found.health_p50_ms:.1f} and {found.health_p99_ms:.1f} ms{watts}",
        flush=True,
    )
    rate = found.pictures_a_minute / 60
    served = [await load.serve(each, rate, chosen.seconds) for each in loads]
    await require_no_loss(port)
    return found, served


async def require_no_loss(port: int) -> None:
    """Raise RuntimeError where a worker was lost meanwhile: the numbers say nothing then."""
    async with Connection(port) as connection:
        engines = json.loads((await connection.ask("GET", "/readyz"))[1])["engines"]
    if any(each["state"] != "ready" or each["restarts"] for each in engines):
        raise RuntimeError(f"a worker was lost: {engines}")


def run(folder: Path, chosen: argparse.Namespace) -> dict[str, Any]:
    """Measure one device, then all; print the tables and return them."""
    print(f"{'devices':>8} {'clients':>8} {'pictures/min':>13} {'p50 s':>7} {'p95 s':>7}  /healthz")
    with serving(folder, chosen.devices[:1]) as port:
        one, served = asyncio.run(run_one(port, 1, chosen, chosen.loads))
    saturations = [one]
    if len(chosen.devices) > 1:
        with serving(folder, chosen.devices) as port:
            every, _ = asyncio.run(run_one(port, len(chosen.devices), chosen, ()))
        saturations.append(every)
        ratio, goal = every.pictures_a_minute / one.pictures_a_minute, GOAL * every.devices
        print(f"{every.devices} devices give {ratio:.2f} times one (goal: {goal:.2f})")
    if served:
        print(f"\n{'load':>5} {'pictures':>9} {'pictures/min':>13} {'p50 s':>7} {'p95 s':>7}")
    for each in served:
        print(
            f"{each.load:5.2f} {each.pictures:9} {each.pictures_a_minute:13.1f} "
            f"{each.p50:7.3f} {each.p95:7.3f}"
        )
    return {"saturation": [asdict(s) for s in saturations], "served": [asdict(s) for s in served]}


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure as the command line asks."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path, help="a model; random weights without")
    parser.add_argument("--devices", required=True, help="names, separated by commas")
    parser.add_argument("--model", choices=("sd15", "sdxl"), default="sd15", help="its shape")
    parser.add_argument("--size", type=int, help="pixels of a side; 512, or 1024 for sdxl")
    parser.add_argument("--steps", type=int, default=20, help="of each picture")
    parser.add_argument("--clients", type=int, default=16, help="for each device")
    parser.add_argument("--seconds", type=float, default=20.0, help="of saturation and each load")
    parser.add_argument("--loads", type=float, nargs="*", default=[0.5, 0.9])
    parser.add_argument("--json", type=Path, help="a file for the results")
    chosen = parser.parse_args(arguments)
    chosen.devices = chosen.devices.split(",")
    chosen.size = chosen.size or (1024 if chosen.model == "sdxl" else 512)
    with tempfile.TemporaryDirectory() as temporary:
        folder = chosen.folder
        if folder is None:
            folder = Path(temporary) / chosen.model
            write_random_folder(folder, MODELS[chosen.model])
        print(f"{folder.name}, {chosen.size}x{chosen.size}, {chosen.steps} steps", flush=True)
        found = run(folder, chosen)
    if chosen.json is not None:
        about = {"model": folder.name, "size": chosen.size, "steps": chosen.steps}
        report = {**machine_of(chosen.devices[0]), "devices": chosen.devices, **about, **found}
        chosen.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
