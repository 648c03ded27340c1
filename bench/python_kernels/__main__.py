"""Time kernels in Python beside Numba CUDA and CuPy, on one card in one run.

    python -m bench.python_kernels [PROGRAM ...] [--device NAME] [--json FILE] [--rounds N]

Each program is the same algorithm in three languages, with the same grid. First all results are
compared with NumPy at a small size, then the peers' with ours at the large one. Times are medians
of rounds, in each of which everyone makes one row of launches in turn. Software renderers take the
small size. The floor is the time that the bytes take at the rate of copies, or the operations at
that of matrix products, whichever is longer; "share" is its part of our time.

A peer that is not installed (``pip install numba-cuda cupy-cuda12x``), or that drives another card,
has an empty column.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.devices import open_device
from bench.entry import Row, Target
from bench.python_kernels.programs import PROGRAMS, Arrays, Program
from bench.python_kernels.rounds import median_seconds
from bench.python_kernels.sides import OurSide, Side, find_peers
from bench.report import make_report
from bench.roofs import Roofs
from gpucore import Device, DeviceNotFoundError, GpuError, Work, f32

__all__ = ["WrongResultError", "main", "measure", "run", "verify"]

PEERS = ("Numba", "CuPy")
GOAL = Target("of peer", 0.9)
HEAD = f"{'':<28}{'time':>13}{'rate':>19}{'share':>8}" + "".join(f"{p:>14}" for p in PEERS)
_ROUNDS = 20


class WrongResultError(Exception):
    """A side's result differs from what it must be."""


def verify(program: Program, sides: Sequence[Side]) -> None:
    """Compare everyone's result with NumPy's at the small size. Raises `WrongResultError`."""
    arrays = program.arrays(program.small)
    expected = program.reference({n: a.copy() for n, a in arrays.items()}, program.numbers)
    for side in sides:
        side.prepare(program, arrays)
        if not program.check.passes(side.result(), expected):
            raise WrongResultError(f"{program.name}: {side.name}'s result is not NumPy's")
        side.free()


def measure(program: Program, sides: Sequence[Side], size: int, rounds: int, roofs: Roofs) -> Row:
    """Time everyone at a size; the first side is ours. Raises `WrongResultError`."""
    arrays = program.arrays(size)
    for side in sides:
        side.prepare(program, arrays)
    ours = arrays[program.result] = sides[0].result()
    for side in sides[1:]:
        if not program.check.passes(side.result(), ours):
            raise WrongResultError(f"{program.name}: {side.name}'s result is not ours")
    seconds = median_seconds([side.row for side in sides], rounds)
    for side in sides:
        side.free()
    return _row(program, arrays, dict(zip((s.name for s in sides), seconds, strict=True)), roofs)


def _row(program: Program, arrays: Arrays, seconds: dict[str, float], roofs: Roofs) -> Row:
    flops, moved = program.flops(arrays), program.bytes(arrays)
    own, *peers = seconds
    shape = "x".join(map(str, arrays[program.over].shape))
    return Row(
        name=f"{program.name} {shape}",
        seconds=seconds[own],
        flops=flops,
        bytes=moved,
        roof=roofs.of(f32).seconds(Work(flops, moved)) / seconds[own],
        copy_share=moved / seconds[own] / roofs.copy_rate,
        peers={name: seconds[name] for name in peers},
        target=GOAL,
    )


def line(row: Row) -> str:
    """Return a row of the table: a column for each peer, then our speed beside the fastest's."""
    scale, unit = (1e12, "TFLOP/s") if row.flops else (1e9, "GB/s")
    rate = f"{(row.flops or row.bytes) / row.seconds / scale:.4g} {unit}"
    text = f"{row.name:<28}{row.seconds * 1e3:10.4f} ms{rate:>19}{row.roof or 0:8.1%}"
    for peer in PEERS:
        text += f"{row.peers[peer] * 1e3:11.4f} ms" if peer in row.peers else f"{'-':>14}"
    return text if row.ratio is None else f"{text}{row.ratio:8.2f}"


def run(device: Device, programs: Sequence[Program], rounds: int) -> dict[str, Any]:
    """Time programs, print the table, return the report. A program that fails has no row."""
    peers, missing = find_peers(device)
    sides: list[Side] = [OurSide(device), *peers]
    roofs = Roofs(device, None)
    print(f"{device.name}, {device.info.backend}, {device.driver}")
    for name, reason in missing.items():
        print(f"{name}: {reason}")
    print(HEAD)
    rows: list[Row] = []
    failed: list[str] = []
    for program in programs:
        size = program.small if device.is_cpu else program.large
        try:
            verify(program, sides)
            rows.append(measure(program, sides, size, rounds, roofs))
        except (GpuError, WrongResultError, RuntimeError, TypeError, ValueError) as error:
            print(f"{program.name} failed: {error}", file=sys.stderr)
            failed.append(program.name)
        else:
            print(line(rows[-1]), flush=True)
    return make_report(
        device, rows, copies=roofs.copies, products=roofs.products, failed=failed, missing=missing
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Time the programs on the command line; return 2 for wrong arguments, 1 for failures."""
    known = {each.name: each for each in PROGRAMS}
    parser = argparse.ArgumentParser(
        prog="python -m bench.python_kernels",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("programs", nargs="*", metavar="PROGRAM", help=", ".join(known))
    parser.add_argument("--device", default="", help="such as cuda, dawn, cpu")
    parser.add_argument("--json", type=Path, help="write the results to this file")
    parser.add_argument("--rounds", type=int, default=_ROUNDS, help="default: %(default)s")
    options = parser.parse_args(arguments)
    unknown = [name for name in options.programs if name not in known]
    if unknown:
        parser.error(f"PROGRAM must be one of {', '.join(known)}, got {', '.join(unknown)}")
    if options.rounds < 1:
        parser.error(f"--rounds must be 1 or more, got {options.rounds}")
    try:
        device = open_device(options.device)
    except DeviceNotFoundError as error:
        print(error, file=sys.stderr)
        return 2
    report = run(device, [known[n] for n in options.programs or known], options.rounds)
    if options.json:
        options.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    return 1 if report["failed"] else 0


if __name__ == "__main__":
    raise SystemExit(main())
