"""The goals of the networks, of their kernels and of the array library, compared with results."""

from __future__ import annotations

import importlib
import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bench.__main__ import OPERATIONS
from bench.entry import Entry, Row, Target
from bench.models import GOALS, SD15, SDXL
from gpucore import Device, f16
from gpustd.matmul.winograd import winograd_block

__all__ = [
    "CARD",
    "Line",
    "Result",
    "best_form",
    "bytes_beyond_weights",
    "library_lines",
    "network_lines",
    "read_results",
]

CARD = "H200"

_LIBRARY = frozenset({"arrays", "image", "linalg", "nn", "random", "signal"})
# Goals of operations are for Dawn; these hold under other engines as well.
OTHER_ENGINES = {"gemm 4096x4096x4096 f32": ("wgpu",)}
# Limits of the UNet's error against fp32, and of memory beyond the weights.
_MOST_ERROR, _ERROR_GOALS = (
    5e-3,
    ((SD15, "dawn"), (SD15, "wgpu"), (SDXL, "dawn"), (SD15, "cuda"), (SDXL, "cuda")),
)
_MOST_BEYOND_WEIGHTS, _MEMORY_GOALS = 0.6e9, ((SD15, "dawn"), (SD15, "cuda"))
_CONVOLUTION = re.compile(r"(.+) 3x3 \d+x(\d+)x\d+x(\d+)->(\d+) f16")


@dataclass(frozen=True)
class Result:
    """One result file."""

    file: str
    data: Mapping[str, Any]
    rows: Mapping[str, Row]

    @property
    def is_of_card(self) -> bool:
        """Tell whether it was measured on the card of the goals."""
        return CARD in str(self.data["adapter"])

    @property
    def facts(self) -> Mapping[str, Any]:
        """Return the facts of the file, such as errors and memory."""
        found: Mapping[str, Any] = self.data.get("facts", {})
        return found


@dataclass(frozen=True)
class Line:
    """A goal and the newest measurement, if there is one.

    ``goal`` and ``ours`` are texts. ``grade`` is 1 where the goal is just reached, more where the
    result is better, None where it is unknown. ``floor`` is in seconds. ``row`` is the measured
    row, None where the goal is not a time.
    """

    name: str
    engine: str
    goal: str
    ours: str = ""
    grade: float | None = None
    floor: float | None = None
    row: Row | None = None

    @property
    def title(self) -> str:
        """Return the name, with the engine unless it is Dawn."""
        return self.name if self.engine == "dawn" else f"{self.name} ({self.engine})"

    @property
    def state(self) -> str:
        """Return "reached", "missed", "open" where the peer is missing, or "" if not measured."""
        if self.grade is None:
            return "open" if self.row else ""
        return "reached" if self.grade >= 1 else "missed"

    @property
    def share(self) -> float | None:
        """Return the floor divided by our time."""
        return self.floor / self.row.seconds if self.floor and self.row else None


def read_results(folder: Path) -> list[Result]:
    """Read all result files of a folder, oldest first."""
    found = []
    for file in sorted(folder.glob("*.json")):
        data = json.loads(file.read_text(encoding="utf-8"))
        rows = [Row.of_json(row) for row in data["rows"]]
        found.append(Result(file.name, data, {row.name: row for row in rows}))
    return sorted(found, key=lambda result: (result.data["date"], result.file))


def network_lines(results: Sequence[Result]) -> list[Line]:
    """Return the goals of the networks, then those of their kernels."""
    lines = []
    for goal in GOALS:
        engine = goal.engine or "dawn"
        line = _time_line(results, goal.row, engine, goal.target)
        lines.append(replace(line, floor=goal.floor))
    lines += [_error_line(results, *of) for of in _ERROR_GOALS]
    lines += [_memory_line(results, *of) for of in _MEMORY_GOALS]
    return lines + _entry_lines(results, [s for s in OPERATIONS if s not in _LIBRARY])


def library_lines(results: Sequence[Result]) -> list[Line]:
    """Return the goals of the array library."""
    return _entry_lines(results, sorted(_LIBRARY))


def _entry_lines(results: Sequence[Result], stems: Sequence[str]) -> list[Line]:
    targets = dict(_entry_targets(stems))
    lines = []
    for name, target in targets.items():
        if (best_form(name, targets) or name) != name:
            continue
        engines = ("dawn", *OTHER_ENGINES.get(name, ()))
        lines += [_time_line(results, name, engine, target) for engine in engines]
    return lines


def _entry_targets(stems: Sequence[str]) -> Iterator[tuple[str, Target]]:
    for stem in stems:
        entries: list[Entry] = importlib.import_module(f"bench.{stem}").ENTRIES
        yield from ((entry.name, entry.target) for entry in entries if entry.target)


def best_form(name: str, names: Collection[str]) -> str | None:
    """Return the form of a 3 x 3 convolution that networks use on the card, out of ``names``.

    It is Winograd's with the block that `winograd_block` returns, or else the direct form, of a
    plain or an enlarged image. Return None where ``names`` lack it, or for other operations.
    """
    found = _CONVOLUTION.fullmatch(name)
    if found is None:
        return None
    side, channels, outputs = (int(number) for number in found.groups()[1:])
    doubles = found[1] == "upsampling conv"
    # The null device has matrix units like the card.
    block = winograd_block(Device.null(), f16, channels, outputs, side, doubles=doubles)
    direct = found[1] if doubles else "conv"
    other = name.replace(found[1], f"winograd by {block}" if block else direct, 1)
    return other if other in names else None


def _time_line(results: Sequence[Result], name: str, engine: str, target: Target) -> Line:
    """Return the newest row of a name, with the floor at the roof of its run."""
    found = [
        (r.rows[name].date or r.data["date"], number, r.rows[name])
        for number, r in enumerate(_results_of_engine(results, engine))
        if name in r.rows
    ]
    if not found:
        return Line(name, engine, str(target))
    row = replace(max(found, key=lambda each: each[:2])[2], target=target)
    floor = row.roof * row.seconds if row.roof else None
    return Line(name, engine, str(target), grade=row.grade, floor=floor, row=row)


def _error_line(results: Sequence[Result], model: str, engine: str) -> Line:
    key, name = "unet_relative_l2", f"{model}: UNet's relative L2 error against fp32"
    goal_text = f"≤ {_MOST_ERROR * 1e3:g}e-3"
    found = [r.facts[key] for r in _results_of_model(results, model, engine) if key in r.facts]
    if not found:
        return Line(name, engine, goal_text)
    return Line(name, engine, goal_text, f"{found[-1] * 1e3:.2g}e-3", _MOST_ERROR / found[-1])


def _memory_line(results: Sequence[Result], model: str, engine: str) -> Line:
    name, goal_text = f"{model}: memory beyond the weights", f"≤ {_MOST_BEYOND_WEIGHTS / 1e9:g} GB"
    found = [
        s
        for r in _results_of_model(results, model, engine)
        if (s := bytes_beyond_weights(r)) is not None
    ]
    if not found:
        return Line(name, engine, goal_text)
    return Line(
        name, engine, goal_text, f"{found[-1] / 1e9:.2f} GB", _MOST_BEYOND_WEIGHTS / found[-1]
    )


def bytes_beyond_weights(result: Result) -> int | None:
    """Return the memory of an image beyond the weights; None where no image was made."""
    start = f"{result.data.get('model')}: image "
    if not {"peak_bytes", "weights_bytes"} <= result.facts.keys():
        return None
    if not any(name.startswith(start) for name in result.rows):
        return None
    return int(result.facts["peak_bytes"] - result.facts["weights_bytes"])


def _results_of_model(results: Sequence[Result], model: str, engine: str) -> list[Result]:
    return [r for r in _results_of_engine(results, engine) if r.data.get("model") == model]


def _results_of_engine(results: Sequence[Result], engine: str) -> list[Result]:
    return [r for r in results if r.is_of_card and r.data["engine"] == engine]
