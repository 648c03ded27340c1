"""The doctor's report, as data and as text."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from gpucore.doctor.selftest import Check
from gpucore.memory.pool import size_text

__all__ = ["AdapterReport", "EngineReport", "Machine", "Problem", "Report"]

_SHOWN_LIMITS = (
    ("max_buffer_size", "largest buffer"),
    ("max_storage_buffer_binding_size", "largest binding"),
    ("max_compute_workgroup_storage_size", "workgroup memory"),
    ("max_compute_invocations_per_workgroup", "invocations a workgroup"),
    ("max_storage_buffers_per_shader_stage", "buffers a kernel"),
)


@dataclass(frozen=True)
class EngineReport:
    """An engine: its installed version (None: not installed), and why it does not start, if so."""

    name: str
    version: str | None
    fault: str = ""
    adapters: int = 0

    @property
    def state(self) -> str:
        """Version and state in a few words."""
        if self.version is None:
            return "not installed"
        count = f"{self.adapters} adapter{'s' * (self.adapters != 1)}"
        return f"{self.version:<12}{self.fault or count}"


@dataclass(frozen=True)
class AdapterReport:
    """An adapter as its engine describes it, and the result of its self-test.

    ``record`` holds the fields of `gpucore.AdapterInfo`. ``fault`` says how the process of the test
    failed, if it did.
    """

    record: Mapping[str, Any]
    checks: tuple[Check, ...] = ()
    fault: str = ""

    @property
    def works(self) -> bool:
        """True where the self-test ran and every number was right."""
        return bool(self.checks) and not self.fault and all(check.ok for check in self.checks)

    @property
    def title(self) -> str:
        """The name that selects it, the card's name and its kind."""
        return f"{self.record['backend']}: {self.record['name']} ({self.record['kind']})"

    def facts(self) -> Iterator[tuple[str, str]]:
        """Yield the facts about it, as (title, text)."""
        record = self.record
        yield "driver", record["driver"] or "unknown"
        if record["memory_size"]:
            yield "memory", size_text(record["memory_size"])
        yield "features", ", ".join(record["features"]) or "none"
        if "subgroups" in record["features"]:
            least, most = record["subgroup_size"]
            yield "subgroups", f"of {least} to {most} lanes" if most > least else f"of {most} lanes"
        if record["matrix_shapes"]:
            yield "matrices", ", ".join(map(_matrix_text, record["matrix_shapes"]))
        yield "limits", ", ".join(_limit_texts(record["limits"]))
        yield "self-test", self.verdict

    @property
    def verdict(self) -> str:
        """The result of the self-test."""
        if self.fault:
            return f"FAILED: {self.fault}"
        wrong = [f"{check.name}: {check.detail}" for check in self.checks if not check.ok]
        right = ", ".join(check.name for check in self.checks if check.ok)
        return "FAILED: " + "; ".join(wrong) if wrong else f"passed ({right})"


@dataclass(frozen=True)
class Problem:
    """A problem in words, and the line that fixes it."""

    what: str
    fix: str


@dataclass(frozen=True)
class Machine:
    """The system around the engines, as far as the advice depends on it."""

    system: str = ""
    release: str = ""
    python: str = ""
    processors: int = 0
    environment: Mapping[str, str] = field(default_factory=dict)
    has_vulkan_loader: bool = True
    has_nvidia_card: bool = False
    has_mounted_nvidia_driver: bool = False
    has_amd_card: bool = False

    @property
    def text(self) -> str:
        """System, Python and processors in one line."""
        return f"{self.release}, Python {self.python}, {self.processors} processors"


@dataclass(frozen=True)
class Report:
    """The findings of `examine`; ``status`` is the exit status of the command."""

    machine: Machine
    engines: tuple[EngineReport, ...]
    adapters: tuple[AdapterReport, ...]
    problems: tuple[Problem, ...]

    @property
    def status(self) -> int:
        """0: no problems. 1: works, with problems. 2: no usable adapter."""
        if not any(adapter.works for adapter in self.adapters):
            return 2
        return 1 if self.problems else 0

    def as_json(self) -> str:
        """Return the report as one JSON object."""
        adapters = [
            {
                **adapter.record,
                "works": adapter.works,
                "fault": adapter.fault,
                "checks": [dataclasses.asdict(check) for check in adapter.checks],
            }
            for adapter in self.adapters
        ]
        body = {
            "status": self.status,
            "machine": dataclasses.asdict(self.machine),
            "engines": [dataclasses.asdict(engine) for engine in self.engines],
            "adapters": adapters,
            "problems": [dataclasses.asdict(problem) for problem in self.problems],
        }
        return json.dumps(body, indent=2)


def _matrix_text(shape: tuple[str, str, int, int, int]) -> str:
    """Describe a matrix unit: types of operands and result, M x N x K."""
    operand, result, m, n, k = shape
    return f"{operand} to {result} {m}x{n}x{k}"


def _limit_texts(limits: Mapping[str, int]) -> Iterator[str]:
    """Yield the limits that decide what fits on the adapter."""
    for name, title in _SHOWN_LIMITS:
        if name in limits:
            value = limits[name]
            yield f"{title} {size_text(value) if name.endswith('_size') else value}"
