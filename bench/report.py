"""The output of results: a line of text for a row, and the contents of a result file."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bench.entry import Row
from bench.machine import clocks, description
from gpucore import Device

__all__ = ["HEAD", "line", "make_report", "merge_reports", "read_earlier"]

HEAD = f"{'':<44}{'time':>13}{'rate':>17}{'roof':>8}{'peer':>14}{'':>19}{'ratio':>6}"
_MACHINE = ("adapter", "backend", "driver")
_MARKS = {True: "reached", False: "missed", None: "unknown"}


def line(row: Row) -> str:
    """Return one row of the table, with the fastest peer."""
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


def make_report(device: Device, rows: Sequence[Row], **more: object) -> dict[str, Any]:
    """Return the contents of a JSON file: the machine with its present clocks, and all rows."""
    machine = {**description(device), "clocks": clocks()}
    return {**machine, **more, "rows": [asdict(row) for row in rows]}


def read_earlier(file: Path, device: Device) -> dict[str, Any]:
    """Read the report of a file; empty where there is no file.

    Raises `ValueError` for a report of another machine, or for other contents.
    """
    if not file.exists():
        return {}
    data: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    if not _is_report(data):
        raise ValueError(f"{file}: must be a report of `python -m bench`: give a new file")
    here = description(device)
    for key in _MACHINE:
        if data.get(key) != here[key]:
            raise ValueError(
                f"{file}: {key} must be {here[key]!r}, got {data.get(key)!r}: give a new file"
            )
    return data


def _is_report(data: object) -> bool:
    """Tell whether ``data`` is a report of operations, and not one of a whole model."""
    if not isinstance(data, dict) or "model" in data or not isinstance(data.get("rows"), list):
        return False
    return all(isinstance(data.get(key), dict) for key in ("copies", "products"))


def merge_reports(earlier: Mapping[str, Any], later: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``later`` with the rows and rates of ``earlier`` that it does not have itself.

    A row with its peers comes from one run. A kept row gets the date of its run.
    """
    kept = [{**row, "date": row.get("date") or earlier["date"]} for row in earlier["rows"]]
    rows = {row["name"]: row for row in (*kept, *later["rows"])}
    rows = {name: row for name, row in rows.items() if name not in later.get("failed", ())}
    rates = {key: {**earlier[key], **later[key]} for key in ("copies", "products")}
    return {**later, **rates, "rows": list(rows.values())}
