"""Time operations on a device.

    python -m bench [OPERATION ...] [--device NAME] [--json FILE] [--limit SECONDS] [--no-peers]

Without operations, all of them are timed. Each line shows the median time of an entry, its rate and
its share of the roof in the same run, then its speed relative to its fastest peer. Peers are NumPy
for small entries, and PyTorch and CuPy on the same NVIDIA card if they are installed.
``python -m bench.full_size`` times models.

``--only TEXT`` times only entries with TEXT in their names, such as "max_pool2d 3/1". It may be
given several times, for alternatives.

An existing FILE keeps the rows that this run does not measure. Entries that are not in FILE yet are
measured first, those with a goal before the others. After SECONDS no new entry is started. The same
command continues such a run.
"""

from __future__ import annotations

import argparse
import importlib
import json
import math
import signal
import sys
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.devices import open_device
from bench.entry import Entry, Row
from bench.measure import Peers, measure_entry
from bench.report import HEAD, line, make_report, merge_reports, read_earlier
from bench.roofs import Roofs
from gpucore import Device, DeviceNotFoundError, GpuError

OPERATIONS = (
    "activation",
    "arrays",
    "attention",
    "cast",
    "conv",
    "elementwise",
    "embedding",
    "expression",
    "finite",
    "forms",
    "gemm",
    "group_norm",
    "image",
    "layer_norm",
    "layout",
    "linalg",
    "low_rank",
    "nn",
    "random",
    "signal",
    "softmax",
    "to_image",
    "upsample_nearest",
    "upsampling_conv",
    "winograd",
)
"""Modules of this folder that have ``ENTRIES``."""


def entries(stems: Sequence[str], device: Device) -> Iterator[Entry]:
    """Yield the entries of these operations that the device can run."""
    for stem in stems:
        found: list[Entry] = importlib.import_module(f"bench.{stem}").ENTRIES
        for entry in found:
            if (device.has_f16 or not entry.f16) and (entry.cpu or not device.is_cpu):
                yield entry


def pick_entries(found: Iterable[Entry], texts: Sequence[str]) -> list[Entry]:
    """Return the entries whose names have one of ``texts`` in them; all without texts.

    Raises `ValueError` for a text that no name has.
    """
    known = list(found)
    for text in texts:
        if not any(text in entry.name for entry in known):
            raise ValueError(f"--only must be a part of an entry's name, got {text!r}")
    return [entry for entry in known if not texts or any(text in entry.name for text in texts)]


def sort_entries(found: Iterable[Entry], known: Collection[str]) -> list[Entry]:
    """Return unknown entries first, then those with a goal, then large ones."""
    return sorted(found, key=lambda entry: (entry.name in known, not entry.target, entry.cpu))


def run(
    device: Device,
    found: Iterable[Entry],
    peers: Peers,
    earlier: Mapping[str, Any],
    limit: float = math.inf,
) -> dict[str, Any]:
    """Time entries until ``limit`` seconds are over, print the table, return the report.

    ``earlier`` is a report of the same machine, or empty. An entry that fails has no row.
    """
    todo = sort_entries(found, [row["name"] for row in earlier.get("rows", ())])
    end = time.monotonic() + limit
    roofs = Roofs(device, peers.torch)
    print(f"{device.name}, {device.info.backend}, {device.driver}")
    print(HEAD)
    rows: list[Row] = []
    failed: list[str] = []
    for entry in todo:
        if time.monotonic() > end:
            print(f"time limit reached: {len(rows)} of {len(todo)} entries measured")
            break
        try:
            rows.append(measure_entry(device, entry, roofs, peers))
        except KeyboardInterrupt:
            print(f"stopped: {len(rows)} of {len(todo)} entries measured")
            break
        except (GpuError, RuntimeError, TypeError, ValueError, ImportError, MemoryError) as error:
            print(f"{entry.name} failed: {error}", file=sys.stderr)
            failed.append(entry.name)
        else:
            print(line(rows[-1]), flush=True)
    print(f"roof: copies {_rates(roofs.copies, 1e9)} GB/s")
    for dtype, rates in roofs.products.items():
        print(f"roof: {dtype} products {_rates(rates, 1e12)} TFLOP/s")
    later = make_report(device, rows, copies=roofs.copies, products=roofs.products, failed=failed)
    return merge_reports(earlier, later) if earlier else later


def _rates(rates: dict[str, float], unit: float) -> str:
    return ", ".join(f"{name} {rate / unit:.4g}" for name, rate in rates.items())


def main() -> int:
    """Run the operations on the command line; return 2 for wrong arguments."""
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("operations", nargs="*", metavar="OPERATION", help=", ".join(OPERATIONS))
    parser.add_argument("--device", default="", help="such as dawn, wgpu-vulkan, cpu")
    parser.add_argument(
        "--json", type=Path, help="write the results to this file, or add them to it"
    )
    parser.add_argument(
        "--limit",
        type=float,
        default=math.inf,
        help="start no entry after so many seconds (default: no limit)",
    )
    parser.add_argument(
        "--no-peers",
        action="store_true",
        help="time no peers, as where two of our devices are compared",
    )
    parser.add_argument(
        "--only",
        action="append",
        default=[],
        metavar="TEXT",
        help="time only entries with this text in their names; several are alternatives",
    )
    options = parser.parse_args()
    unknown = [name for name in options.operations if name not in OPERATIONS]
    if unknown:
        parser.error(f"OPERATION must be one of {', '.join(OPERATIONS)}, got {', '.join(unknown)}")
    try:
        device = open_device(options.device)
        earlier = read_earlier(options.json, device) if options.json else {}
        found = pick_entries(entries(options.operations or OPERATIONS, device), options.only)
    except (DeviceNotFoundError, OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 2
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that results are kept
    peers = Peers(numpy=False) if options.no_peers else Peers.of(device)
    result = run(device, found, peers, earlier, options.limit)
    if options.json:
        part = options.json.with_name(f"{options.json.name}.part")
        part.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
        part.replace(options.json)
    return 1 if result["failed"] else 0


if __name__ == "__main__":
    raise SystemExit(main())
