"""Make docs/performance.md, its plot and docs/measurements/ from the files in bench/results.

    python -m bench.page

The newest result of a row is used. A goal without a result is shown as "not measured".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path

from bench.entry import Row
from bench.goals import CARD, Line, Result, library_lines, network_lines, read_results
from bench.models import SD15, SDXL, image_row, unet_row, vae_row
from bench.notes import Note, note_of
from bench.plot import Bar, draw_plot
from bench.tables import (
    format_percent,
    format_time,
    goal_table,
    machine_text,
    memory_lines,
    missed_table,
    row_table,
    table,
)

__all__ = ["goal_page", "main", "overview", "pages", "result_page"]

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "bench" / "results"
DOCS = ROOT / "docs"
PLOT = DOCS / "images" / "performance.svg"

# The most important rows, in the order of the page.
HEADLINE = (
    image_row(SD15, 512, 20),
    unet_row(SD15, 512),
    vae_row(SD15, 512),
    vae_row(SD15, 1024),
    image_row(SDXL, 1024, 20),
    unet_row(SDXL, 1024),
)
ENGINES = {"cuda": "CUDA", "dawn": "Dawn"}
PEERS = ("PyTorch eager", "PyTorch CUDA graph", "PyTorch compile")

_OVERVIEW = """\
# Performance

Whole networks in f16 on one NVIDIA {card}. CUDA is an extra to install, Dawn comes along. PyTorch
with diffusers ran beside each; the quicker of its times is shown:

{headline}
The *floor* is the time that the arithmetic takes at 790 TFLOP/s, or the bytes at 4.3 TB/s,
whichever is longer. The bars are shares of it; a tick is a peer.

![Share of the floor](images/{plot})

Of {networks} goals of the networks and their kernels {networks_missed} are missed, of {library}
goals of the array library {library_missed}. [The list of goals](measurements/goals.md) has each,
with what was tried and what limits it, and how times are measured.

Each file of [bench/results](../bench/results/README.md) has a page: {links}.
"""

_GOALS = """\
# Goals

Made by `python -m bench.page`. "Of peer" is a share of the quickest peer's rate. Shares of 101 to
105 % are no error: the roof of bytes is a copy's rate, and reading alone is quicker than copying.
TFLOP/s of Winograd's convolutions count the multiplications of the direct form, of which they make
fewer. "Through f32" is PyTorch that converts u8 and back, since it has no such operation on u8.
Peers move from run to run, some by a fifth, and goals that are shares of theirs with them.

## What is missed

Of the networks' goals these are:

{missed}
The reasons are explained in [the lab notebook](../../bench/results/README.md).

## How it is measured

- A time is the median of 20 samples (7 on a software renderer), replayed from a graph. The card is
  kept busy before, and the data are random numbers.
- Peers run in the same session on the same card. PyTorch has f16, channels last and no TF32, and
  replays a CUDA graph unless a row says "eager".
- The *roof* is the best rate of copies and of large products that anyone reached in that run.
- Times of the host and cold starts depend on the machine's processor more than on the card.

```sh
python -m bench --device dawn --json bench/results/NAME.json
python -m tools.full_size FOLDER --compile
python -m bench.full_size FOLDER --device dawn --cold --json bench/results/NAME.json
python -m bench.compare BEFORE.json AFTER.json --limit 5%
python -m bench.page
```
"""


def overview(results: Sequence[Result]) -> str:
    """Return the text of docs/performance.md."""
    networks, library = network_lines(results), library_lines(results)
    floors = {line.name: line.floor for line in networks if line.floor is not None}
    stems = sorted(Path(result.file).stem for result in results)
    return _OVERVIEW.format(
        card=CARD,
        headline=headline_table(results, floors),
        plot=PLOT.name,
        networks=len(networks),
        networks_missed=_count_missed(networks),
        library=len(library),
        library_missed=_count_missed(library),
        links=", ".join(f"[{stem}](measurements/{stem}.md)" for stem in stems) or "none",
    )


def headline_table(results: Sequence[Result], floors: Mapping[str, float]) -> str:
    """Return the table of `HEADLINE` on each engine, beside PyTorch's three forms."""
    body = []
    for name in HEADLINE:
        rows = [_newest_row(results, name, engine) for engine in ENGINES]
        ours = [format_time(row.seconds) if row else "not measured" for row in rows]
        measured = [row for row in rows if row]
        share = ""
        if measured and name in floors:
            share = format_percent(floors[name] / measured[0].seconds)
        body.append((name, *ours, *(_peer_time(measured, peer) for peer in PEERS), share))
    heads = (f"Avila, {title}" for title in ENGINES.values())
    return table(("", *heads, *PEERS, "share of the floor"), body)


def _newest_row(results: Sequence[Result], name: str, engine: str) -> Row | None:
    found = [
        r.rows[name]
        for r in results
        if r.is_of_card and r.data["engine"] == engine and name in r.rows
    ]
    return found[-1] if found else None


def _peer_time(rows: Sequence[Row], peer: str) -> str:
    """Return the quickest time that a peer took beside any of the rows."""
    times = [row.peers[peer] for row in rows if peer in row.peers]
    return format_time(min(times)) if times else ""


def _count_missed(lines: Sequence[Line]) -> int:
    return sum(line.state == "missed" for line in lines)


def missed_list(lines: Sequence[Line]) -> str:
    """Return one line for each note on missed goals: their count, their grades and the limit."""
    missed = sorted((line for line in lines if line.state == "missed"), key=_note_key)
    parts = []
    for note, group in groupby(missed, lambda line: note_of(line.title)):
        grades = [line.grade for line in group if line.grade is not None]
        least, most = (format_percent(each) for each in (min(grades), max(grades)))
        reached = least if least == most else f"{least} to {most}"
        count = "" if len(grades) == 1 else f"{len(grades)} goals, "
        parts.append(f"- {note.subject}: {count}{reached} of the goal. {_limit(note)}\n")
    return "".join(parts) or "- none\n"


def _note_key(line: Line) -> str:
    return note_of(line.title).pattern


def _limit(note: Note) -> str:
    """Return the limit of a note as a sentence."""
    return f"{note.limit[:1].upper()}{note.limit[1:]}."


def goal_page(results: Sequence[Result]) -> str:
    """Return the text of docs/measurements/goals.md."""
    networks, library = network_lines(results), library_lines(results)
    head = _GOALS.format(missed=missed_list(networks))
    parts = [head, f"## Goals of the networks on one NVIDIA {CARD}\n", goal_table(networks)]
    parts += [*missed_table(networks), *memory_lines(results)]
    parts += [f"## Goals of the array library on one NVIDIA {CARD}\n", goal_table(library)]
    return "\n".join([*parts, *missed_table(library)])


def result_page(result: Result) -> str:
    """Return the text of the page of one result file."""
    stem = Path(result.file).stem
    return "\n".join([f"# {stem}\n", machine_text(result), row_table(result)])


def bars(lines: Sequence[Line]) -> list[Bar]:
    """Return the bars of the plot: measured rows with a floor."""
    found = []
    for line in lines:
        if line.row is not None and line.floor is not None:
            peers = {name: line.floor / seconds for name, seconds in line.row.peers.items()}
            found.append(Bar(line.title, line.floor / line.row.seconds, peers))
    return found


def pages(results: Sequence[Result]) -> Iterator[tuple[Path, str]]:
    """Yield path and text of every file that the results make."""
    yield DOCS / "performance.md", overview(results)
    yield PLOT, draw_plot(bars(network_lines(results)))
    yield DOCS / "measurements" / "goals.md", goal_page(results)
    for result in results:
        yield DOCS / "measurements" / f"{Path(result.file).stem}.md", result_page(result)


def main() -> None:
    """Write all files."""
    for path, text in pages(read_results(RESULTS)):
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
