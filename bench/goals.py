"""The goals of the networks, of their kernels and of the array library, held against results."""

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
    "library_lines",
    "network_lines",
    "read_results",
    "spare_bytes",
    "taken",
]

CARD = "H200"

_LIBRARY = frozenset({"arrays", "image", "linalg", "nn", "random", "signal"})
# Goals of operations are Dawn's; these are held under another engine as well.
OTHER_ENGINES = {"gemm 4096x4096x4096 f32": ("wgpu",)}
# Of the UNet against fp32, and of memory beyond the weights.
_MOST_ERROR, _ERRORS = 5e-3, ((SD15, "dawn"), (SD15, "wgpu"), (SDXL, "dawn"))
_MOST_SPARE, _SPARE = 0.6e9, ((SD15, "dawn"),)
_CONVOLUTION = re.compile(r"(.+) 3x3 \d+x(\d+)x\d+x(\d+)->(\d+) f16")


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

    @property
    def facts(self) -> Mapping[str, Any]:
        """What it says beside its rows."""
        found: Mapping[str, Any] = self.data.get("facts", {})
        return found


@dataclass(frozen=True)
class Line:
    """A goal and the newest measurement, if there is one.

    ``wanted`` and ``ours`` are texts; ``grade`` is 1 where the goal is just reached, more where it
    is surpassed, None where that is not known; ``floor`` in seconds; ``row`` is the measured one,
    None for what is no time.
    """

    name: str
    engine: str
    wanted: str
    ours: str = ""
    grade: float | None = None
    floor: float | None = None
    row: Row | None = None

    @property
    def title(self) -> str:
        """The name, with an engine that is not the usual one."""
        return self.name if self.engine == "dawn" else f"{self.name} ({self.engine})"

    @property
    def state(self) -> str:
        """Empty for what was not measured; open where the peer is missing."""
        if self.grade is None:
            return "open" if self.row else ""
        return "reached" if self.grade >= 1 else "missed"

    @property
    def share(self) -> float | None:
        """The floor over our time."""
        return self.floor / self.row.seconds if self.floor and self.row else None


def read_results(folder: Path) -> list[Result]:
    """All result files, oldest first."""
    found = []
    for file in sorted(folder.glob("*.json")):
        data = json.loads(file.read_text(encoding="utf-8"))
        rows = [Row.of_json(row) for row in data["rows"]]
        found.append(Result(file.name, data, {row.name: row for row in rows}))
    return sorted(found, key=lambda result: (result.data["date"], result.file))


def network_lines(results: Sequence[Result]) -> list[Line]:
    """Goals of this project's networks, then of their kernels."""
    lines = []
    for goal in GOALS:
        engine = goal.engine or "dawn"
        line = _timed(results, goal.row, engine, goal.target)
        lines.append(replace(line, floor=goal.floor))
    lines += [_error(results, *of) for of in _ERRORS]
    lines += [_spare(results, *of) for of in _SPARE]
    return lines + _entry_lines(results, [s for s in OPERATIONS if s not in _LIBRARY])


def library_lines(results: Sequence[Result]) -> list[Line]:
    """Goals of the array library."""
    return _entry_lines(results, sorted(_LIBRARY))


def _entry_lines(results: Sequence[Result], stems: Sequence[str]) -> list[Line]:
    targets = dict(_entry_targets(stems))
    lines = []
    for name, target in targets.items():
        if (taken(name, targets) or name) != name:
            continue
        engines = ("dawn", *OTHER_ENGINES.get(name, ()))
        lines += [_timed(results, name, engine, target) for engine in engines]
    return lines


def _entry_targets(stems: Sequence[str]) -> Iterator[tuple[str, Target]]:
    for stem in stems:
        entries: list[Entry] = importlib.import_module(f"bench.{stem}").ENTRIES
        yield from ((entry.name, entry.target) for entry in entries if entry.target)


def taken(name: str, names: Collection[str]) -> str | None:
    """Of the forms of a 3 x 3 convolution among ``names``, the one that networks take on the card.

    Winograd's with the block that `winograd_block` says, or else its own, of a plain or of an
    enlarged image. None where ``names`` lack it, or where ``name`` is no convolution.
    """
    found = _CONVOLUTION.fullmatch(name)
    if found is None:
        return None
    side, channels, outputs = (int(number) for number in found.groups()[1:])
    doubles = found[1] == "upsampling conv"
    # The null device has matrix units, as the card has.
    block = winograd_block(Device.null(), f16, channels, outputs, side, doubles=doubles)
    direct = found[1] if doubles else "conv"
    other = name.replace(found[1], f"winograd by {block}" if block else direct, 1)
    return other if other in names else None


def _timed(results: Sequence[Result], name: str, engine: str, target: Target) -> Line:
    """The row in the newest result; its floor is that of the roof of its run."""
    found = [
        (r.rows[name].date or r.data["date"], number, r.rows[name])
        for number, r in enumerate(_of(results, engine))
        if name in r.rows
    ]
    if not found:
        return Line(name, engine, str(target))
    row = replace(max(found, key=lambda each: each[:2])[2], target=target)
    floor = row.roof * row.seconds if row.roof else None
    return Line(name, engine, str(target), grade=row.grade, floor=floor, row=row)


def _error(results: Sequence[Result], model: str, engine: str) -> Line:
    key, name = "unet_relative_l2", f"{model}: UNet's relative L2 error against fp32"
    wanted = f"≤ {_MOST_ERROR * 1e3:g}e-3"
    found = [r.facts[key] for r in _models(results, model, engine) if key in r.facts]
    if not found:
        return Line(name, engine, wanted)
    return Line(name, engine, wanted, f"{found[-1] * 1e3:.2g}e-3", _MOST_ERROR / found[-1])


def _spare(results: Sequence[Result], model: str, engine: str) -> Line:
    name, wanted = f"{model}: memory beyond the weights", f"≤ {_MOST_SPARE / 1e9:g} GB"
    found = [s for r in _models(results, model, engine) if (s := spare_bytes(r)) is not None]
    if not found:
        return Line(name, engine, wanted)
    return Line(name, engine, wanted, f"{found[-1] / 1e9:.2f} GB", _MOST_SPARE / found[-1])


def spare_bytes(result: Result) -> int | None:
    """What an image took beyond the weights; None where none was made."""
    start = f"{result.data.get('model')}: image "
    if not {"peak_bytes", "weights_bytes"} <= result.facts.keys():
        return None
    if not any(name.startswith(start) for name in result.rows):
        return None
    return int(result.facts["peak_bytes"] - result.facts["weights_bytes"])


def _models(results: Sequence[Result], model: str, engine: str) -> list[Result]:
    return [r for r in _of(results, engine) if r.data.get("model") == model]


def _of(results: Sequence[Result], engine: str) -> list[Result]:
    return [r for r in results if r.is_of_card and r.data["engine"] == engine]
