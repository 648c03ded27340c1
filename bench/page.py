"""Make docs/performance.md and its plot from the results in bench/results.

    python -m bench.page

A row of the goals that no result has says "not measured". Of several results for a row the newest
counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bench.entry import Row
from bench.goals import CARD, Line, Result, library_lines, network_lines, read_results, spare_bytes
from bench.missed import text_of
from bench.plot import Bar, plot

__all__ = ["main", "page"]

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "bench" / "results"
PAGE = ROOT / "docs" / "performance.md"
PLOT = ROOT / "docs" / "images" / "performance.svg"

_HEAD = """\
# Performance

Made by `python -m bench.page` from the files in [bench/results](../bench/results). How to measure:

```sh
python -m bench --device dawn --json bench/results/NAME.json
python -m bench arrays image nn random signal linalg --device dawn --limit 200 --json FILE
python -m tools.full_size FOLDER --compile
python -m bench.full_size FOLDER --device dawn --cold --json bench/results/NAME.json
python -m bench.full_size models/emoji --model bundled --size 256 --device cpu --command
python -m bench.compare BEFORE.json AFTER.json --limit 5%
```

A time is the median of 20 samples (7 on a software renderer), replayed from a graph, with the
card kept busy before and random numbers as data; an image's is the median of 20, a cold start's of
3. Rows of the host (its time of a replay, cold starts) depend on the machine's processor more than
on the card. What the files here hold, what was tried and what limits stands beside them in
[bench/results](../bench/results/README.md).

*Peers* run in the same session on the same card, one after the other, unless that text says
otherwise of a file: PyTorch (cuBLAS, cuDNN, cuFFT, cuSOLVER, CUB) and CuPy (cuFFT with plans made
before, cuSOLVER, Thrust, its own image filters) replay a CUDA graph, too, unless a row says
"eager": CuPy captures no cuBLAS and cuSOLVER. PyTorch has f16, channels-last, no TF32. "Through
f32" is PyTorch that converts u8 and back, since it has no such operation on u8; its image filters
get planes, the layout made for them. "Of peer" is a share of the quickest one's rate; a "ratio to
the quickest" above 1 means that ours is quicker.

The *roof* is the best rate of copies and of large products that anyone reached in that run, and
the share of the roof is the time that arithmetic or bytes, whichever take longer, would take at it
over ours. The *floor* of an operation is that time. The floor of a model is that of its operations
at 790 TFLOP/s and 4.3 TB/s, on any day. Shares of 101 to 105 % are no error: the roof of bytes is
a copy's rate, and reading alone is quicker than copying. TFLOP/s of Winograd's convolutions count
the multiplications of the direct form, of which they make fewer, so that their shares may pass
100 %, too. Peers move from run to run, some by a fifth, and goals that are shares of theirs with
them; that text tells of which.
"""


def page(results: Sequence[Result]) -> str:
    """The text of docs/performance.md."""
    networks, library = network_lines(results), library_lines(results)
    parts = [_HEAD, f"## Goals of the networks on one NVIDIA {CARD}\n", _goal_table(networks)]
    parts += [*_missed(networks), *_memory(results)]
    if bars(networks):
        parts.append(f"![Share of the floor](images/{PLOT.name})\n")
    parts += [f"## Goals of the array library on one NVIDIA {CARD}\n", _goal_table(library)]
    parts += _missed(library)
    for result in results:
        parts += [f"## {result.file}\n", _machine(result), _row_table(result)]
    return "\n".join(parts)


def _goal_table(lines: Sequence[Line]) -> str:
    head = ("", "engine", "floor", "peers", "ours", "target", "share of the floor", "")
    body = []
    for line in lines:
        floor = "" if line.floor is None else _time(line.floor)
        peers = _peers(line.row) if line.row else ""
        share = _percent(line.share)
        body.append(
            (line.name, line.engine, floor, peers, _ours(line), line.wanted, share, line.state)
        )
    return _table(head, body)


def _missed(lines: Sequence[Line]) -> list[str]:
    """The goals that are missed, and what is known of each; nothing where there are none."""
    head = ("", "ours", "goal", "by how much", "tried", "what limits")
    body = []
    for line in lines:
        if line.state == "missed":
            text = text_of(line.title)
            ours, gap = f"{_ours(line)}{_reached_share(line)}", _gap(line)
            body.append((line.title, ours, line.wanted, gap, text.tried, text.limit))
    return ["### Missed\n", _table(head, body)] if body else []


def _ours(line: Line) -> str:
    return _measured(line.row) if line.row else line.ours or "not measured"


def _reached_share(line: Line) -> str:
    """Of goals that are shares, ours."""
    target = line.row.target if line.row else None
    if target is None or line.grade is None or not target.kind.startswith("of "):
        return ""
    return f": {line.grade * target.value:.0%} {target.kind}"


def _gap(line: Line) -> str:
    """By how much a goal is missed, of the goal."""
    assert line.grade is not None
    if line.wanted.startswith("≥"):
        return f"{1 - line.grade:.1%} below"
    return f"{1 / line.grade - 1:.1%} above"


def _memory(results: Sequence[Result]) -> list[str]:
    """What an image takes beyond the weights."""
    lines = []
    for result in results:
        spare = spare_bytes(result)
        if result.is_of_card and spare is not None:
            weights = result.facts["weights_bytes"]
            lines.append(
                f"- {result.data['model']} on {result.data['engine']}: weights "
                f"{weights / 1e9:.2f} GB, peak {(weights + spare) / 1e9:.2f} GB, "
                f"{spare / 1e9:.2f} GB beyond the weights\n"
            )
    if not lines:
        return []
    head = "Memory of an image (weights are those that the device holds, in the form it takes):\n"
    return [head, "".join(lines)]


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
    said += [f"{key} {fact:.3g}" for key, fact in result.facts.items() if key.endswith("_l2")]
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


def bars(lines: Sequence[Line]) -> list[Bar]:
    """What the plot shows: measured rows with a floor."""
    found = []
    for line in lines:
        if line.row is not None and line.floor is not None:
            peers = {name: line.floor / seconds for name, seconds in line.row.peers.items()}
            found.append(Bar(line.title, line.floor / line.row.seconds, peers))
    return found


def main() -> None:
    """Write both files."""
    results = read_results(RESULTS)
    PAGE.write_text(page(results), encoding="utf-8")
    PLOT.write_text(plot(bars(network_lines(results))), encoding="utf-8")


if __name__ == "__main__":
    main()
