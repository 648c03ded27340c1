"""Time operations on a device.

    python -m bench [OPERATION ...] [--device NAME] [--json FILE]

Without operations, all of them. Prints the median time of each entry, its rate, its share of the
copy bandwidth measured in the same run, and NumPy's time beside it.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import json
import pkgutil
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

import gpustd.reference
from bench.entry import Entry
from bench.measure import Row, copy_bandwidth, measure
from gpucore import Device, DeviceNotFoundError


def operations() -> list[str]:
    """Operations that have a benchmark file."""
    stems = (module.name for module in pkgutil.iter_modules(gpustd.reference.__path__))
    return sorted(stem for stem in stems if importlib.util.find_spec(f"bench.{stem}"))


def entries(stems: Sequence[str], device: Device) -> Iterator[Entry]:
    """The entries of these operations that the device can run."""
    for stem in stems:
        found: list[Entry] = importlib.import_module(f"bench.{stem}").ENTRIES
        for entry in found:
            if (device.has_f16 or not entry.f16) and (entry.cpu or not device.is_cpu):
                yield entry


def line(row: Row) -> str:
    """One row of the table."""
    rate = f"{row.gbytes:9.1f} GB/s" if row.gflops is None else f"{row.gflops:9.1f} GFLOP/s"
    text = f"{row.name:<52}{row.seconds * 1e3:10.4f} ms{rate:>19}{row.roof:8.1%}"
    if row.peer_seconds is None:
        return text
    return f"{text}{row.peer_seconds * 1e3:11.4f} ms"


def report(device: Device, bandwidth: float, rows: Sequence[Row]) -> dict[str, object]:
    """What the JSON file holds: seconds, 10^9 FLOP/s, 10^9 bytes/s."""
    return {
        "adapter": device.name,
        "backend": device.info.backend,
        "engine": device.info.engine,
        "driver": device.driver,
        "date": time.strftime("%Y-%m-%d"),
        "copy_gbytes": bandwidth / 1e9,
        "rows": [asdict(row) for row in rows],
    }


def run(device: Device, stems: Sequence[str]) -> dict[str, object]:
    """Time the entries, print the table, return the report."""
    bandwidth = copy_bandwidth(device)
    print(f"{device.name}, {device.info.backend}, {device.driver}")
    print(f"copies: {bandwidth / 1e9:.1f} GB/s read and written")
    print(f"{'':<52}{'time':>13}{'rate':>19}{'roof':>8}{'NumPy':>14}")
    rows = []
    for entry in entries(stems, device):
        rows.append(measure(device, entry, bandwidth))
        print(line(rows[-1]), flush=True)
        device.trim()
    return report(device, bandwidth, rows)


def main() -> int:
    """Run what the command line names; exit status 2 for wrong arguments."""
    known = operations()
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("operations", nargs="*", metavar="OPERATION", help=", ".join(known))
    parser.add_argument("--device", default="", help="such as dawn, wgpu-vulkan, cpu")
    parser.add_argument("--json", type=Path, help="write the numbers to this file")
    chosen = parser.parse_args()
    unknown = [name for name in chosen.operations if name not in known]
    if unknown:
        parser.error(f"no benchmark of {', '.join(unknown)}; there are {', '.join(known)}")
    try:
        device = Device.named(chosen.device) if chosen.device else Device.auto()
    except DeviceNotFoundError as error:
        print(error, file=sys.stderr)
        return 2
    result = run(device, chosen.operations or known)
    if chosen.json:
        chosen.json.write_text(json.dumps(result, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
