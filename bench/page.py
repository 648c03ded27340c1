"""Make docs/performance.md and its plot from the results in bench/results.

    python -m bench.page

A row of the goals that no result has says "not measured". Of several results for a row the newest
counts.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.__main__ import operations
from bench.entry import Entry, Row, Target
from bench.models import GOALS
from bench.plot import Bar, plot

__all__ = ["Result", "main", "page", "read_results"]

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "bench" / "results"
PAGE = ROOT / "docs" / "performance.md"
PLOT = ROOT / "docs" / "images" / "performance.svg"

CARD = "H200"
SPARE_GB = 0.6

_HEAD = """\
# Performance

Made by `python -m bench.page` from the files in [bench/results](../bench/results). How to measure:

```sh
python -m bench --device dawn --json bench/results/NAME.json
python -m bench arrays image nn random signal linalg --device dawn --limit 200 --json FILE
python -m tools.full_size FOLDER --compile
python -m bench.full_size FOLDER --device dawn --cold --json bench/results/NAME.json
python -m bench.full_size models/emoji --model bundled --size 256 --device cpu
python -m bench.compare BEFORE.json AFTER.json --limit 5%
```

A time is the median of 20 samples (7 on a software renderer), replayed from a graph, with the
card kept busy before and random numbers as data; what the files here hold, what was tried and
what limits stands beside them in [bench/results](../bench/results/README.md). Peers run in the
same session on the same card, one after the other: PyTorch (cuBLAS, cuDNN, cuFFT, cuSOLVER, CUB)
and CuPy (cuFFT with plans made before, cuSOLVER, Thrust, its own image filters) replay a CUDA
graph, too, unless a row says "eager": CuPy captures no cuBLAS and no cuSOLVER. PyTorch has f16,
channels-last, no TF32. "Through f32" is PyTorch that converts u8 and back, since it has no such
operation on u8; its image filters get planes, the layout made for them. "Of peer" is a share of
the quickest one's rate. The *floor* of an operation is the time of its arithmetic or of its bytes
at the roof, whichever is longer; the roof is the best rate of copies and of large products that
anyone reached in that session. The floor of a model is that of its operations at 790 TFLOP/s and
4.3 TB/s.
"""


@dataclass(frozen=True)
class Result:
    """One result file."""

    file: str
    data: Mapping[str, Any]
    rows: Mapping[str, Row]

    @property
    def is_of_card(self) -> bool:
        """Whether it was measured on the card that the goals speak of."""
        return CARD in str(self.data["adapter"])


@dataclass(frozen=True)
class Line:
    """A row of the goals: what is wanted, and the newest measurement if there is one."""

    name: str
    engine: str
    target: Target
    floor: float | None
    row: Row | None


def read_results(folder: Path) -> list[Result]:
    """All result files, oldest first."""
    found = []
    for file in sorted(folder.glob("*.json")):
        data = json.loads(file.read_text(encoding="utf-8"))
        rows = [Row.of_json(row) for row in data["rows"]]
        found.append(Result(file.name, data, {row.name: row for row in rows}))
    return sorted(found, key=lambda result: (result.data["date"], result.file))


def entry_targets() -> Iterator[tuple[str, Target]]:
    """Names and targets of the operations' entries that have one."""
    for stem in operations():
        entries: list[Entry] = importlib.import_module(f"bench.{stem}").ENTRIES
        yield from ((entry.name, entry.target) for entry in entries if entry.target)


def goal_lines(results: Sequence[Result]) -> list[Line]:
    """The goals in their order, models first."""
    lines = []
    for goal in GOALS:
        row = _newest(results, goal.row, goal.engine)
        lines.append(Line(goal.row, goal.engine or "dawn", goal.target, goal.floor, row))
    for name, target in entry_targets():
        row = _newest(results, name, "dawn")
        floor = row.roof * row.seconds if row and row.roof else None
        lines.append(Line(name, "dawn", target, floor, row))
    return lines


def _newest(results: Sequence[Result], name: str, engine: str | None) -> Row | None:
    """The row in the newest result of an engine (Dawn if any will do) on the card."""
    wanted = engine or "dawn"
    mine = [r for r in results if r.is_of_card and r.data["engine"] == wanted and name in r.rows]
    return mine[-1].rows[name] if mine else None


def page(results: Sequence[Result]) -> str:
    """The text of docs/performance.md."""
    lines = goal_lines(results)
    parts = [_HEAD, f"## Goals on one NVIDIA {CARD}\n", _goal_table(lines), _memory(results)]
    if any(_share(line) for line in lines):
        parts.append(f"![Share of the floor](images/{PLOT.name})\n")
    for result in results:
        parts += [f"## {result.file}\n", _machine(result), _row_table(result)]
    return "\n".join(parts)


def _goal_table(lines: Sequence[Line]) -> str:
    head = ("", "engine", "floor", "peers", "ours", "target", "share of the floor", "")
    body = []
    for line in lines:
        ours, state = "not measured", ""
        if line.row is not None:
            ours = _measured(line.row)
            reached = _with_target(line.row, line.target).reached
            state = {True: "reached", False: "missed", None: "open"}[reached]
        floor = "" if line.floor is None else _time(line.floor)
        peers = _peers(line.row) if line.row else ""
        share = _percent(_share(line))
        body.append((line.name, line.engine, floor, peers, ours, str(line.target), share, state))
    return _table(head, body)


def _memory(results: Sequence[Result]) -> str:
    """What an image takes beyond the weights."""
    lines = []
    for result in results:
        facts = result.data.get("facts", {})
        if result.is_of_card and {"peak_bytes", "weights_bytes"} <= facts.keys():
            weights, peak = facts["weights_bytes"] / 1e9, facts["peak_bytes"] / 1e9
            state = "reached" if peak - weights <= SPARE_GB else "missed"
            lines.append(
                f"Memory of {result.data['model']} on {result.data['engine']}: weights "
                f"{weights:.2f} GB, peak {peak:.2f} GB, {peak - weights:.2f} GB beyond the weights "
                f"(target: ≤ {SPARE_GB} GB, {state}).\n"
            )
    return "\n".join(lines)


def _machine(result: Result) -> str:
    """What it was measured on, in one paragraph."""
    data = result.data
    said = [f"{data['adapter']}, {data['backend']}, driver {data['driver']}, {data['date']}"]
    said += [f"{name} {number}" for name, number in data.get("versions", {}).items()]
    if processor := data.get("host", {}).get("processor"):
        said.append(str(processor))
    for card in data.get("clocks", []):
        said.append(f"clocks {card['clocks.sm']} and {card['clocks.mem']} MHz")
    for name, rate in data.get("copies", {}).items():
        said.append(f"copies by {name} {rate / 1e9:.4g} GB/s")
    for dtype, rates in data.get("products", {}).items():
        said += [f"{dtype} products by {n} {r / 1e12:.4g} TFLOP/s" for n, r in rates.items()]
    facts = data.get("facts", {})
    said += [f"{key} {facts[key]:.3g}" for key in facts if key.endswith("_l2")]
    return "; ".join(said) + ".\n"


def _row_table(result: Result) -> str:
    head = ("", "time", "rate", "share of the roof", "peers", "ratio to the quickest")
    body = []
    for row in result.rows.values():
        ratio = "" if row.ratio is None else f"{row.ratio:.2f}"
        body.append(
            (row.name, _time(row.seconds), _rate(row), _percent(row.roof), _peers(row), ratio)
        )
    return _table(head, body)


def _table(head: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    rule = ["---"] * len(head)
    return "".join(f"| {' | '.join(cells)} |\n" for cells in (head, rule, *body))


def _with_target(row: Row, target: Target) -> Row:
    return Row.of_json({**vars(row), "target": vars(target)})


def _measured(row: Row) -> str:
    rate = _rate(row)
    return f"{_time(row.seconds)}, {rate}" if rate else _time(row.seconds)


def _time(seconds: float) -> str:
    if seconds >= 1:
        return f"{seconds:.3g} s"
    return f"{seconds * 1e3:.3g} ms" if seconds >= 1e-3 else f"{seconds * 1e6:.3g} µs"


def _rate(row: Row) -> str:
    if row.flops:
        return f"{row.flops / row.seconds / 1e12:.3g} TFLOP/s"
    return f"{row.bytes / row.seconds / 1e9:.4g} GB/s" if row.bytes else ""


def _peers(row: Row) -> str:
    return ", ".join(f"{name} {_time(seconds)}" for name, seconds in row.peers.items())


def _percent(share: float | None) -> str:
    return "" if share is None else f"{share:.0%}"


def _share(line: Line) -> float | None:
    """The floor over our time."""
    return line.floor / line.row.seconds if line.floor and line.row else None


def bars(lines: Sequence[Line]) -> list[Bar]:
    """What the plot shows: measured rows with a floor."""
    found = []
    for line in lines:
        if line.row is not None and line.floor is not None:
            peers = {name: line.floor / seconds for name, seconds in line.row.peers.items()}
            name = line.name if line.engine == "dawn" else f"{line.name} ({line.engine})"
            found.append(Bar(name, line.floor / line.row.seconds, peers))
    return found


def main() -> None:
    """Write both files."""
    results = read_results(RESULTS)
    PAGE.write_text(page(results), encoding="utf-8")
    PLOT.write_text(plot(bars(goal_lines(results))), encoding="utf-8")


if __name__ == "__main__":
    main()
