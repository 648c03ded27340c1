"""Compare two results of ``python -m bench``.

    python -m bench.compare BEFORE.json AFTER.json [--limit 5%]

Prints seconds before and after of each entry that both files have, and their ratio. Exit status 1
when an entry takes longer than before by more than the limit, or is no longer there (allowed by
--other-selection); 2 for files that cannot be compared, such as those of different adapters,
backends or drivers (allowed by --other-machine).
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

__all__ = ["Result", "Speed", "compare", "main", "read_result"]

_MACHINE = ("adapter", "backend", "driver")


@dataclass(frozen=True)
class Result:
    """A result file: what it was measured on, and the seconds of each entry."""

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
        """After over before: above 1 is slower."""
        return self.after / self.before


def read_result(file: Path) -> Result:
    """Read a result file. Raises `ValueError` with what is wrong, `OSError`."""
    try:
        data = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{file}: no JSON: {error}") from None
    rows = data.get("rows") if isinstance(data, dict) else None
    if not isinstance(rows, list):
        raise ValueError(f"{file}: has no rows: give what `python -m bench --json` wrote")
    seconds: dict[str, float] = {}
    for row in rows:
        name, value = _row(file, row)
        if name in seconds:
            raise ValueError(f"{file}: has {name!r} twice")
        seconds[name] = value
    return Result({key: str(data.get(key, "")) for key in _MACHINE}, seconds)


def _row(file: Path, row: Any) -> tuple[str, float]:
    """Name and seconds of a row; seconds are a positive number, else nothing was measured."""
    try:
        name, value = str(row["name"]), float(row["seconds"])
    except (KeyError, TypeError, ValueError):
        raise ValueError(f"{file}: a row without name or seconds: {str(row)[:80]}") from None
    if not (math.isfinite(value) and value > 0):
        raise ValueError(f"{file}: {name!r} took {value} seconds, which is no measurement")
    return name, value


def compare(before: Result, after: Result) -> list[Speed]:
    """Entries that both results have, in the order of the first. Raises `ValueError` for none."""
    both = [
        Speed(name, seconds, after.seconds[name])
        for name, seconds in before.seconds.items()
        if name in after.seconds
    ]
    if not both:
        raise ValueError("the two files have no entry in common")
    return both


def table(speeds: Sequence[Speed], limit: float) -> str:
    """A row for each entry, with a mark where the limit is passed."""
    lines = [f"{'':<52}{'before':>13}{'after':>13}{'ratio':>9}"]
    for speed in speeds:
        mark = "  slower" if speed.ratio > limit else ""
        times = f"{speed.before * 1e3:10.4f} ms{speed.after * 1e3:10.4f} ms"
        lines.append(f"{speed.name:<52}{times}{speed.ratio:9.3f}{mark}")
    return "\n".join(lines)


def other_machine(before: Result, after: Result) -> list[str]:
    """In what the machines of the two differ."""
    return [
        f"other {key}: {before.machine[key]!r} before, {after.machine[key]!r} after"
        for key in _MACHINE
        if before.machine[key] != after.machine[key]
    ]


def vanished(before: Result, after: Result) -> list[str]:
    """Entries that only the first has."""
    return [name for name in before.seconds if name not in after.seconds]


def _limit(text: str) -> float:
    """The ratio allowed, from ``5%``."""
    number, percent, rest = text.partition("%")
    value = float(number)
    if not percent or rest or not (math.isfinite(value) and value >= 0):
        raise argparse.ArgumentTypeError(f"{text} is no share such as 5%")
    return 1 + value / 100


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bench.compare",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("before", type=Path, help="result to compare with")
    parser.add_argument("after", type=Path, help="result that may not be slower")
    parser.add_argument("--limit", type=_limit, default=1.1, help="slower by so much (10%%)")
    parser.add_argument(
        "--other-machine", action="store_true", help="of another adapter, backend or driver, too"
    )
    parser.add_argument(
        "--other-selection", action="store_true", help="AFTER need not have all entries of BEFORE"
    )
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Compare the files that the command line names; returns the exit status."""
    chosen = _parser().parse_args(arguments)
    try:
        before, after = read_result(chosen.before), read_result(chosen.after)
        speeds = compare(before, after)
    except (OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 2
    machine, gone = other_machine(before, after), vanished(before, after)
    if machine and not chosen.other_machine:
        print("\n".join([*machine, "give --other-machine to compare them"]), file=sys.stderr)
        return 2
    remarks = [*machine, *(f"only before: {name}" for name in gone)]
    remarks += [f"only after: {name}" for name in vanished(after, before)]
    print("\n".join([table(speeds, chosen.limit), *remarks]))
    slower = sum(speed.ratio > chosen.limit for speed in speeds)
    percent = 100 * (chosen.limit - 1)
    print(f"{slower} of {len(speeds)} entries are more than {percent:.3g}% slower")
    if gone and not chosen.other_selection:
        print(f"{len(gone)} are gone: give --other-selection if that is meant", file=sys.stderr)
        return 1
    return 1 if slower else 0


if __name__ == "__main__":
    raise SystemExit(main())
