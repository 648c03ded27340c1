"""Measure a server that draws with the bundled model on this machine: its answers meanwhile.

    python -m tools.measure_server --device dawn                     # all parts
    python -m tools.measure_server health --seconds 60 --device dawn
    python -m tools.measure_server cancel --count 20 --json FILE

- ``health``: two clients have pictures drawn, and another asks ``/healthz`` 50 times a second:
  its latencies, and the lag of the server's event loop from ``/metrics``
- ``bodies``: the same while requests of 32 MiB come in, one after another
- ``cancel``: from the cancellation of a job to its end, less the median time of its steps; and from
  the end of the step that was under way to the job's. On a busy machine one step takes five times
  as long as another: the first of these tells of the machine, the second of the server
- ``cancel-without-previews``: the same; a preview under way takes as long as several steps

The server is a process of its own, whose worker is another. It prints the numbers and, with
``--json``, writes them.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import contextlib
import itertools
import json
import random
import re
import socket
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from bench.machine import description
from gpucore import Device
from tools.load_server import (
    PATIENCE,
    Connection,
    percentile,
    start_server,
    wait_until_ready,
    watch_health,
)

SIDE: Final = 256
PARTS: Final = ("health", "bodies", "cancel", "cancel-without-previews")


async def measure_health(port: int, seconds: float, *, large: bool) -> dict[str, object]:
    """Return latencies of ``/healthz`` while pictures are drawn; ``large``: and bodies come in."""
    drawn = 0
    end = time.monotonic() + seconds

    async def draw() -> None:
        nonlocal drawn
        async with Connection(port) as connection:
            while time.monotonic() < end:
                body = {"prompt": "a red apple", "steps": 4, "width": SIDE, "height": SIDE}
                status, answer = await connection.ask("POST", "/txt2img", body)
                assert status == 200, answer[:300]
                drawn += 1

    before = await _loop_lag(port)
    sending = asyncio.to_thread(_send_bodies, port, end) if large else asyncio.sleep(0, 0)
    watching = watch_health(port, lambda: time.monotonic() > end)
    times, _, _, bodies = await asyncio.gather(watching, draw(), draw(), sending)
    after = await _loop_lag(port)
    return {
        "requests": len(times),
        "pictures": drawn,
        "large_bodies": bodies,
        "p50_ms": round(percentile(times, 0.5), 2),
        "p99_ms": round(percentile(times, 0.99), 2),
        "most_ms": round(max(times) * 1e3, 2),
        "loop_lag_p99_below_ms": _share_below(before, after, 0.99),
    }


def _send_bodies(port: int, end: float) -> int:
    """Send bodies of 32 MiB until a time comes; return how many. Runs on a thread of its own."""
    picture = base64.b64encode(bytes(23 << 20)).decode()
    data = json.dumps({"image": picture}).encode()
    head = "POST /sdapi/v1/png-info HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n"
    head += f"content-type: application/json\r\ncontent-length: {len(data)}\r\n\r\n"
    count = 0
    while time.monotonic() < end:
        with socket.create_connection(("127.0.0.1", port), PATIENCE) as client:
            client.sendall(head.encode())
            client.sendall(data)
            answer = client.recv(4096)
        assert answer.split()[1] == b"422", answer
        count += 1
    return count


async def _loop_lag(port: int) -> dict[float, float]:
    """Return how often the event loop was late by at most so many seconds, since the start."""
    async with Connection(port) as connection:
        text = (await connection.ask("GET", "/metrics"))[1].decode()
    form = r'^diffusion_loop_lag_seconds_bucket\{le="([^"]+)"\} ([0-9.]+)$'
    return {float(le): float(count) for le, count in re.findall(form, text, re.MULTILINE)}


def _share_below(before: dict[float, float], after: dict[float, float], share: float) -> float:
    """Return the upper end in ms of the bucket that a share of the delays lies below."""
    counts = {le: after[le] - before.get(le, 0) for le in sorted(after)}
    total = max(counts.values(), default=0)
    return next((le * 1e3 for le, count in counts.items() if count >= share * total), 0.0)


async def measure_cancel(port: int, count: int, previews: int) -> dict[str, object]:
    """Return how long running jobs go on after they were cancelled, in steps and beyond."""
    draw = random.Random(5)
    found = []
    for _ in range(count):
        place = draw.randint(3, 8), draw.uniform(0, 0.3)
        found.append(await _cancel_one(port, *place, previews))
    late = [max(0.0, each.seconds - each.step) for each in found]
    after = [each.after_step for each in found if each.after_step is not None]
    return {
        "jobs": count,
        "step_ms": round(statistics.median(each.step for each in found) * 1e3, 1),
        "longest_step_ms": round(max(each.longest_step for each in found) * 1e3, 1),
        "previews": bool(previews),
        "p50_after_a_step_ms": round(percentile(late, 0.5), 1),
        "most_after_a_step_ms": round(max(late) * 1e3, 1),
        "stopped_in_a_step": len(after),
        "p50_after_that_step_ms": round(percentile(after, 0.5), 1) if after else None,
        "most_after_that_step_ms": round(max(after) * 1e3, 1) if after else None,
    }


async def _ask(port: int, method: str, path: str, body: Any = None) -> tuple[int, bytes]:
    """Send one request on a connection of its own."""
    async with Connection(port) as connection:
        return await connection.ask(method, path, body)


class _Cancelled(NamedTuple):
    """Seconds from a job's cancellation to its end, of its median and of its longest step.

    ``after_step``: from the end of the step that was under way; None where none was, but a preview.
    """

    seconds: float
    step: float
    longest_step: float
    after_step: float | None


async def _cancel_one(port: int, steps_before: int, pause: float, previews: int) -> _Cancelled:
    """Cancel a job, and measure how long it goes on."""
    body = {"prompt": "a red apple", "steps": 500, "width": SIDE, "height": SIDE}
    body |= {"preview_every": previews}
    job = json.loads((await _ask(port, "POST", "/api/v1/jobs", body))[1])["id"]
    times: list[float] = []
    cancelled = 0.0
    async for name in _events(port, f"/api/v1/jobs/{job}/events"):
        if name == "progress":
            times.append(time.monotonic())
        if len(times) == steps_before and not cancelled:
            await asyncio.sleep(pause)
            cancelled = time.monotonic()
            assert (await _ask(port, "DELETE", f"/api/v1/jobs/{job}"))[0] == 200
    ended = time.monotonic()
    steps = [b - a for a, b in itertools.pairwise(times)]
    after = next((ended - each for each in times if each > cancelled), None)
    return _Cancelled(ended - cancelled, statistics.median(steps), max(steps), after)


async def _events(port: int, path: str) -> AsyncIterator[str]:
    """Yield the names of a stream's events as they come, up to its end."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n".encode())
    while line := await asyncio.wait_for(reader.readline(), PATIENCE):
        if line.startswith(b"event: "):
            name = line[7:].decode().strip()
            yield name
            if name == "end":
                break
    writer.close()


async def measure(port: int, options: argparse.Namespace) -> dict[str, object]:
    """Return the numbers of the parts that were asked for."""
    async with Connection(port) as connection:
        await wait_until_ready(connection)
        body = {"prompt": "a red apple", "steps": 2, "width": SIDE, "height": SIDE}
        for _ in range(2):  # compile the kernels, record the networks
            assert (await connection.ask("POST", "/txt2img", body))[0] == 200
    results: dict[str, object] = {}
    for part in options.parts or PARTS:
        if part.startswith("cancel"):
            previews = 5 if part == "cancel" else 0
            results[part] = await measure_cancel(port, options.count, previews)
        else:
            large = part == "bodies"
            results[part] = await measure_health(port, options.seconds, large=large)
        print(f"{part}: {json.dumps(results[part])}", flush=True)
    return results


def machine_of(device: str | None) -> Mapping[str, Any]:
    """Return what the machine of a measurement is."""
    with contextlib.closing(Device.by_name(device) if device else Device.auto()) as found:
        return description(found)


def main() -> int:
    """Run what the command line asks for; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", help=f"of {', '.join(PARTS)}; all where none is given")
    parser.add_argument("--seconds", type=float, default=30.0, help="of health and bodies each")
    parser.add_argument("--count", type=int, default=10, help="jobs of cancel")
    parser.add_argument("--device", help="as in avila serve")
    parser.add_argument("--json", type=Path, help="a file for the numbers")
    options = parser.parse_args()
    if not set(options.parts) <= set(PARTS):
        parser.error(f"parts must be among {', '.join(PARTS)}")
    with tempfile.TemporaryDirectory() as name:
        process, port = start_server(Path(name), "bundled", options.device)
        try:
            results = asyncio.run(measure(port, options))
        finally:
            process.terminate()
            process.wait(PATIENCE)
    if options.json is not None:
        found = {"machine": machine_of(options.device), "results": results}
        options.json.write_text(json.dumps(found, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
