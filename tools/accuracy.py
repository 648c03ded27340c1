"""Write docs/accuracy.md: the greatest error of each function, dtype and engine.

    python -m tools.accuracy            # runs the library's tests on every engine present
    python -m tools.accuracy LOG ...    # takes what tests have written, on other machines as well

Tests append to the file that AVILA_ERROR_LOG names. The numbers are those that
`tests.gpustd.compare.compare` saw, against float64, in the tests of `gpustd`'s packages: over all
their operands, random ones among them, so that they move a little from run to run. An error is
given in units of the result's largest element.
"""

from __future__ import annotations

import importlib
import inspect
import json
import os
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

from tests.laws.sources import LIBRARY

ROOT = Path(__file__).parents[1]
TARGET = ROOT / "docs" / "accuracy.md"

HEAD = """# Accuracy

The greatest error that the tests saw of each function, against NumPy and SciPy in float64 on the
same operands. The unit is the largest element of that result, or of an operand where the result
is near zero. Integers are exact (0); rounding to u8 counts as an error. Each test derives its
tolerance in `tests/gpustd`. Operands are small: large 3 x 3 convolutions in f16 use Winograd's
blocks on matrix units, with an error of some 2e-3, as those of volumes have here. See `nn` for the
operations of networks at the top level of `gpustd`. Made by `python -m tools.accuracy`.
"""

WITHOUT_ROW = """Without a row: what moves, chooses, compares or counts, whose tests ask for equal
elements, and what the host makes in float64:"""

Key = tuple[str, str]


def log(path: Path) -> None:
    """Run the tests with the log switched on."""
    tests = [str(ROOT / "tests" / "gpustd" / name) for name in LIBRARY]
    command = ["-m", "pytest", "-q", *[t for t in tests if Path(t).is_dir()]]
    environment = {**os.environ, "AVILA_ERROR_LOG": str(path)}
    subprocess.run([sys.executable, *command], cwd=ROOT, env=environment, check=True)


def table(lines: list[dict[str, object]]) -> str:
    """Return a table with rows of function and dtype, and columns of adapters and engines."""
    worst: dict[Key, dict[str, float]] = defaultdict(dict)
    for line in lines:
        key = str(line["function"]), str(line["dtype"])
        error, largest = float(str(line["error"])), float(str(line["largest"]))
        relative = error / largest if largest else error
        engine = f"{str(line['adapter']).split(' (')[0]}, {line['engine']}"
        worst[key][engine] = max(relative, worst[key].get(engine, 0.0))
    engines = sorted({engine for row in worst.values() for engine in row})
    rows = [
        f"| function | dtype | {' | '.join(engines)} |",
        "| --- | --- |" + " --- |" * len(engines),
    ]
    for (function, dtype), row in sorted(worst.items()):
        cells = [f"{row[e]:.1e}" if row.get(e) else "0" if e in row else "–" for e in engines]
        rows.append(f"| `{function}` | {dtype} | {' | '.join(cells)} |")
    return "\n".join(rows)


def without_row(shown: str) -> list[str]:
    """Return the functions of the packages that no row names."""
    found = []
    for package in LIBRARY:
        module = importlib.import_module(f"gpustd.{package}")
        for name in module.__all__:
            member = getattr(module, name)
            own = inspect.isfunction(member) and member.__module__.startswith(module.__name__)
            if own and f"`{package}.{name}`" not in shown:
                found.append(f"`{package}.{name}`")
    return found


def read_logs(paths: list[Path]) -> list[dict[str, object]]:
    """Return the lines of the logs, or without logs those of a run of the tests."""
    if paths:
        return [json.loads(x) for p in paths for x in p.read_text(encoding="utf-8").splitlines()]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "errors.jsonl"
        log(path)
        return read_logs([path])


def main() -> None:
    """Run or read, collect, write."""
    functions = tuple(f"{package}." for package in LIBRARY)
    lines = read_logs([Path(path) for path in sys.argv[1:]])
    lines = [line for line in lines if str(line["function"]).startswith(functions)]
    adapters = ", ".join(sorted({str(line["adapter"]) for line in lines}))
    rows = table(lines)
    others = ", ".join(without_row(rows))
    text = f"{HEAD}\nOn: {adapters}.\n\n{rows}\n\n{WITHOUT_ROW}\n{others}.\n"
    TARGET.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
