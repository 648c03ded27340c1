"""``python -m gpucore``: report what this machine offers for computing, and what it lacks.

Exit status 0: no problems. 1: works, with problems. 2: no usable adapter.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator

from gpucore.doctor.examination import examine
from gpucore.doctor.report import Report

__all__ = ["lines", "main"]


def main() -> int:
    """Print the report; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m gpucore", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    report = examine()
    print(report.as_json() if options.json else "\n".join(lines(report)))
    return report.status


def lines(report: Report) -> Iterator[str]:
    """Yield the lines of the report as plain text."""
    yield report.machine.text
    yield ""
    yield "Engines"
    for engine in report.engines:
        yield f"  {engine.name:<6}{engine.state}"
    yield ""
    yield "Adapters"
    for adapter in report.adapters:
        yield f"  {adapter.title}"
        yield from (f"    {name:<12}{value}" for name, value in adapter.facts())
    if not report.adapters:
        yield "  none"
    yield ""
    yield "Problems" if report.problems else "No problems."
    for problem in report.problems:
        yield f"  {problem.what}"
        yield f"    -> {problem.fix}"


if __name__ == "__main__":
    sys.exit(main())
