"""Tables in Markdown of goals, results and machines, for the pages under docs/."""

from __future__ import annotations

from collections.abc import Sequence

from bench.entry import Row
from bench.goals import Line, Result, bytes_beyond_weights
from bench.notes import note_of

__all__ = [
    "format_percent",
    "format_time",
    "goal_table",
    "machine_text",
    "memory_lines",
    "missed_table",
    "row_table",
    "table",
]


def goal_table(lines: Sequence[Line]) -> str:
    """Return a table of goals beside what is measured."""
    head = ("", "engine", "floor", "peers", "ours", "target", "share of the floor", "")
    body = []
    for line in lines:
        floor = "" if line.floor is None else format_time(line.floor)
        peers = _peers(line.row) if line.row else ""
        share = format_percent(line.share)
        body.append(
            (line.name, line.engine, floor, peers, _ours(line), line.goal, share, line.state)
        )
    return table(head, body)


def missed_table(lines: Sequence[Line]) -> list[str]:
    """Return a heading and a table of the missed goals with their notes, or nothing."""
    head = ("", "ours", "goal", "by how much", "tried", "what limits")
    body = []
    for line in lines:
        if line.state == "missed":
            note = note_of(line.title)
            ours, gap = f"{_ours(line)}{_reached_share(line)}", _gap(line)
            body.append((line.title, ours, line.goal, gap, note.tried, note.limit))
    return ["### Missed\n", table(head, body)] if body else []


def _ours(line: Line) -> str:
    return _time_and_rate(line.row) if line.row else line.ours or "not measured"


def _reached_share(line: Line) -> str:
    """Return the reached share as text, where the goal is a share."""
    target = line.row.target if line.row else None
    if target is None or line.grade is None or not target.kind.startswith("of "):
        return ""
    return f": {line.grade * target.value:.0%} {target.kind}"


def _gap(line: Line) -> str:
    """Return the distance from a missed goal, as a share of the goal."""
    assert line.grade is not None
    if line.goal.startswith("≥"):
        return f"{1 - line.grade:.1%} below"
    return f"{1 / line.grade - 1:.1%} above"


def memory_lines(results: Sequence[Result]) -> list[str]:
    """Return the memory of images beyond the weights, as a heading and a list, or nothing."""
    lines = []
    for result in results:
        beyond = bytes_beyond_weights(result)
        if result.is_of_card and beyond is not None:
            weights = result.facts["weights_bytes"]
            lines.append(
                f"- {result.data['model']} on {result.data['engine']}: weights "
                f"{weights / 1e9:.2f} GB, peak {(weights + beyond) / 1e9:.2f} GB, "
                f"{beyond / 1e9:.2f} GB beyond the weights\n"
            )
    if not lines:
        return []
    head = "Memory of an image (weights are those that the device holds, in the form it takes):\n"
    return [head, "".join(lines)]


def machine_text(result: Result) -> str:
    """Return a paragraph about the machine of a result."""
    data = result.data
    facts = [f"{data['adapter']}, {data['backend']}, driver {data['driver']}, {data['date']}"]
    facts += [f"{name} {number}" for name, number in data.get("versions", {}).items()]
    if processor := data.get("host", {}).get("processor"):
        facts.append(str(processor))
    for card in data.get("clocks", []):
        facts.append(f"clocks {card['clocks.sm']} and {card['clocks.mem']} MHz")
    for name, rate in data.get("copies", {}).items():
        facts.append(f"copies by {name} {rate / 1e9:.4g} GB/s")
    for dtype, rates in data.get("products", {}).items():
        facts += [f"{dtype} products by {n} {r / 1e12:.4g} TFLOP/s" for n, r in rates.items()]
    facts += [f"{key} {value:.3g}" for key, value in result.facts.items() if key.endswith("_l2")]
    return "; ".join(facts) + ".\n"


def row_table(result: Result) -> str:
    """Return a table of a result's rows."""
    head = ("", "time", "rate", "share of the roof", "peers", "ratio to the quickest")
    body = []
    for row in result.rows.values():
        ratio = "" if row.ratio is None else f"{row.ratio:.2f}"
        body.append(
            (
                row.name,
                format_time(row.seconds),
                _rate(row),
                format_percent(row.roof),
                _peers(row),
                ratio,
            )
        )
    return table(head, body)


def table(head: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    """Return a table in Markdown."""
    rule = ["---"] * len(head)
    return "".join(f"| {' | '.join(cells)} |\n" for cells in (head, rule, *body))


def _time_and_rate(row: Row) -> str:
    rate = _rate(row)
    return f"{format_time(row.seconds)}, {rate}" if rate else format_time(row.seconds)


def format_time(seconds: float) -> str:
    """Return a time in s, ms or µs, according to its size."""
    if seconds >= 1:
        return f"{seconds:.3g} s"
    return f"{seconds * 1e3:.3g} ms" if seconds >= 1e-3 else f"{seconds * 1e6:.3g} µs"


def _rate(row: Row) -> str:
    if row.flops:
        return f"{row.flops / row.seconds / 1e12:.3g} TFLOP/s"
    return f"{row.bytes / row.seconds / 1e9:.4g} GB/s" if row.bytes else ""


def _peers(row: Row) -> str:
    return ", ".join(f"{name} {format_time(seconds)}" for name, seconds in row.peers.items())


def format_percent(share: float | None) -> str:
    """Return a share in percent; empty for None."""
    return "" if share is None else f"{share:.0%}"
