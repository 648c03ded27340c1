"""Compare two results of ``python -m bench``.

    python -m bench.compare BEFORE.json AFTER.json [--limit 5%]

Prints the seconds of each entry in both files, and their ratio. The exit status is 1 if an entry is
slower by more than the limit, or is missing in AFTER (--other-selection allows that). It is 2 if
the files cannot be compared, for example if adapters, backends or drivers differ (--other-machine
allows that).
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["Result", "Speed", "compare_results", "main", "read_result"]

_MACHINE = ("adapter", "backend", "driver")


@dataclass(frozen=True)
class Result:
    """A result file: its machine, and the seconds of each entry."""

    machine: Mapping[str, str]
    seconds: Mapping[str, float]


@dataclass(frozen=True)
class Speed:
    """Seconds of one entry in both files."""

    name: str
    before: float
    after: float

    @property
    def ratio(self) -> float:
        """Return seconds after divided by seconds before: above 1 is slower."""
        return self.after / self.before


def read_result(file: Path) -> Result:
    """Read a result file. Raises `ValueError` for a wrong file, `OSError`."""
    try:
        data = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{file}: must be JSON: {error}") from None
    rows = data.get("rows") if isinstance(data, dict) else None
    if not isinstance(rows, list):
        raise ValueError(f"{file}: has no rows: give a file that `python -m bench --json` wrote")
    seconds: dict[str, float] = {}
    for row in rows:
        name, value = _row(file, row)
        if name in seconds:
            raise ValueError(f"{file}: names of rows must be unique, got {name!r} twice")
        seconds[name] = value
    return Result({key: str(data.get(key, "")) for key in _MACHINE}, seconds)


def _row(file: Path, row: Any) -> tuple[str, float]:
    """Return name and seconds of a row. Raises `ValueError` unless seconds are positive."""
    try:
        name, value = str(row["name"]), float(row["seconds"])
    except (KeyError, TypeError, ValueError):
        raise ValueError(f"{file}: a row must have name and seconds, got {str(row)[:80]}") from None
    if not (math.isfinite(value) and value > 0):
        raise ValueError(f"{file}: {name!r}: seconds must be a positive number, got {value}")
    return name, value


def compare_results(before: Result, after: Result) -> list[Speed]:
    """Return the entries of both results, in order. Raises `ValueError` if there are none."""
    speeds = [
        Speed(name, seconds, after.seconds[name])
        for name, seconds in before.seconds.items()
        if name in after.seconds
    ]
    if not speeds:
        raise ValueError("the two files have no entry in common")
    return speeds


def table(speeds: Sequence[Speed], limit: float) -> str:
    """Return a table with a row for each entry, marked where it is slower than the limit."""
    lines = [f"{'':<52}{'before':>13}{'after':>13}{'ratio':>9}"]
    for speed in speeds:
        mark = "  slower" if speed.ratio > limit else ""
        times = f"{speed.before * 1e3:10.4f} ms{speed.after * 1e3:10.4f} ms"
        lines.append(f"{speed.name:<52}{times}{speed.ratio:9.3f}{mark}")
    return "\n".join(lines)


def machine_differences(before: Result, after: Result) -> list[str]:
    """Return a line of text for each difference between the two machines."""
    return [
        f"other {key}: {before.machine[key]!r} before, {after.machine[key]!r} after"
        for key in _MACHINE
        if before.machine[key] != after.machine[key]
    ]


def missing_entries(before: Result, after: Result) -> list[str]:
    """Return the names of entries that only the first result has."""
    return [name for name in before.seconds if name not in after.seconds]


def _limit(text: str) -> float:
    """Return the greatest allowed ratio, from a text such as ``5%``."""
    number, percent, rest = text.partition("%")
    value = float(number)
    if not percent or rest or not (math.isfinite(value) and value >= 0):
        raise argparse.ArgumentTypeError(f"must be a percentage such as 5%, got {text}")
    return 1 + value / 100


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bench.compare",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("before", type=Path, help="result to compare with")
    parser.add_argument("after", type=Path, help="result that must not be slower")
    parser.add_argument("--limit", type=_limit, default=1.1, help="greatest slowdown (10%%)")
    parser.add_argument(
        "--other-machine",
        action="store_true",
        help="compare results of different adapters, backends or drivers",
    )
    parser.add_argument(
        "--other-selection",
        action="store_true",
        help="allow entries of BEFORE to be missing in AFTER",
    )
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Compare the files named on the command line; return the exit status."""
    options = _parser().parse_args(arguments)
    try:
        before, after = read_result(options.before), read_result(options.after)
        speeds = compare_results(before, after)
    except (OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 2
    machine, missing = machine_differences(before, after), missing_entries(before, after)
    if machine and not options.other_machine:
        print("\n".join([*machine, "give --other-machine to compare them"]), file=sys.stderr)
        return 2
    remarks = [*machine, *(f"only before: {name}" for name in missing)]
    remarks += [f"only after: {name}" for name in missing_entries(after, before)]
    print("\n".join([table(speeds, options.limit), *remarks]))
    slower = sum(speed.ratio > options.limit for speed in speeds)
    percent = 100 * (options.limit - 1)
    print(f"{slower} of {len(speeds)} entries are more than {percent:.3g}% slower")
    if missing and not options.other_selection:
        print(
            f"entries missing in AFTER: {len(missing)}; give --other-selection to allow that",
            file=sys.stderr,
        )
        return 1
    return 1 if slower else 0


if __name__ == "__main__":
    raise SystemExit(main())
