"""How results are shown: a line of text for a row, and what a result file holds."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bench.entry import Row
from bench.machine import clocks, description
from gpucore import Device

__all__ = ["HEAD", "line", "merged", "read_earlier", "report"]

HEAD = f"{'':<44}{'time':>13}{'rate':>17}{'roof':>8}{'peer':>14}{'':>19}{'ratio':>6}"
_MACHINE = ("adapter", "backend", "driver")
_MARKS = {True: "reached", False: "missed", None: "unknown"}


def line(row: Row) -> str:
    """One row of the table: its peer is the quickest one."""
    rate = ""
    if row.flops:
        rate = f"{row.flops / row.seconds / 1e12:.4g} TFLOP/s"
    elif row.bytes:
        rate = f"{row.bytes / row.seconds / 1e9:.4g} GB/s"
    roof = "" if row.roof is None else f"{row.roof:.1%}"
    text = f"{row.name:<44} {row.seconds * 1e3:9.4f} ms{rate:>17}{roof:>8}"
    if row.peers:
        peer = min(row.peers, key=lambda name: row.peers[name])
        text += f"{row.peers[peer] * 1e3:11.4f} ms {peer:<18}{row.ratio:6.2f}"
    if row.target is None:
        return text.rstrip()
    return f"{text:<121}  {row.target}: {_MARKS[row.reached]}"


def report(device: Device, rows: Sequence[Row], **more: object) -> dict[str, Any]:
    """What a JSON file holds: seconds, FLOP, bytes, shares; the clocks are those just now."""
    machine = {**description(device), "clocks": clocks()}
    return {**machine, **more, "rows": [asdict(row) for row in rows]}


def read_earlier(file: Path, device: Device) -> dict[str, Any]:
    """The report that a file holds; empty where there is none.

    Raises `ValueError` for one of another machine, or what is no report.
    """
    if not file.exists():
        return {}
    data: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    if not _is_report(data):
        raise ValueError(f"{file}: no report of operations: give a new file")
    here = description(device)
    for key in _MACHINE:
        if data.get(key) != here[key]:
            raise ValueError(f"{file}: {key} {data.get(key)!r}, not {here[key]!r}: give a new file")
    return data


def _is_report(data: object) -> bool:
    """Tell whether it is what `report` makes of operations, and not of a whole model."""
    if not isinstance(data, dict) or "model" in data or not isinstance(data.get("rows"), list):
        return False
    return all(isinstance(data.get(key), dict) for key in ("copies", "products"))


def merged(earlier: Mapping[str, Any], later: Mapping[str, Any]) -> dict[str, Any]:
    """``later`` with the rows and rates of ``earlier`` for which it has no newer ones.

    A row is of one run, its peers too. Those that are kept say of which day they are.
    """
    kept = [{**row, "date": row.get("date") or earlier["date"]} for row in earlier["rows"]]
    rows = {row["name"]: row for row in (*kept, *later["rows"])}
    rows = {name: row for name, row in rows.items() if name not in later.get("failed", ())}
    rates = {key: {**earlier[key], **later[key]} for key in ("copies", "products")}
    return {**later, **rates, "rows": list(rows.values())}
