"""`Session`: launches run on the CPU, and their defects are collected."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpucore.backends import Backend, Command, Copy, Launch
from gpucore.integers import ceil_div
from gpucore.interpreter import Bound, Finding, Findings
from gpucore.sanitizer.contents import Contents
from gpucore.sanitizer.errors import SanitizerError
from gpucore.sanitizer.listing import Listing

__all__ = ["Options", "Session"]


@dataclass(frozen=True, slots=True)
class Options:
    """What `sanitize` was asked for; its docstring explains them."""

    raises: bool = True
    subgroup_size: int | None = None
    launches: int | None = None
    invocations: int | None = None


class Session:
    """Runs launches on the CPU, and collects what is wrong in them.

    Attributes:
        findings: the defects so far, one for each kind, kernel, line and variable.
        launches: how many launches were checked.
        checked: the labels of kernels with a checked launch.
        unchecked: those with a launch that the device ran, since it was not to be checked.
    """

    def __init__(self, options: Options = Options()) -> None:
        self.launches = 0
        self.checked: set[str] = set()
        self.unchecked: set[str] = set()
        self._options = options
        self._found: dict[tuple[object, ...], Finding] = {}
        self._contents = Contents()
        self._seen: dict[Listing, int] = {}

    @property
    def findings(self) -> list[Finding]:
        return list(self._found.values())

    def __repr__(self) -> str:
        return f"Session({self.launches} launches, {len(self._found)} findings)"

    def __str__(self) -> str:
        return "\n".join(map(str, self.findings)) or f"no defects in {self.launches} launches"

    # What streams and pools call

    def note_new(self, handle: Any, nbytes: int) -> None:
        """Note that memory was allocated, whose contents are undefined."""
        self._contents.forget(handle, nbytes)

    def note_write(self, handle: Any, first: int, nbytes: int) -> None:
        """Note that the host writes memory."""
        self._contents.write(handle, first, nbytes)

    def run(self, backend: Backend, lists: Sequence[Sequence[Command]]) -> None:
        """Run lists of commands. Raises `SanitizerError` for defects, `InterpreterError`."""
        for command in (each for one in lists for each in one):
            if isinstance(command, Copy):
                backend.submit([command])
                self._contents.copy(command.source, command.target, command.nbytes)
            else:
                self._launch(backend, command)

    def _launch(self, backend: Backend, command: Launch) -> None:
        listing: Listing | None = command.program.listing
        if listing is None or listing.source is None or not self._checks(listing, command):
            self._run_unchecked(backend, command)
            return
        text = listing.text
        findings = Findings(_title(command), text.wgsl, text.source_map)
        buffers = {
            name: self._bound(backend, handle, nbytes)
            for name, (handle, nbytes) in zip(listing.names, command.bound, strict=True)
        }
        program = listing.program
        width = text.subgroup_size or self._options.subgroup_size or backend.info.lanes
        try:
            program.run(buffers, command.grid, findings, width)
        finally:
            self.launches += 1
            self.checked.add(_title(command))
            self._write_back(backend, command, listing, buffers)
            self._add(findings)

    def _checks(self, listing: Listing, command: Launch) -> bool:
        """Tell whether a launch is to be checked."""
        options = self._options
        seen = self._seen.get(listing, 0)
        if options.launches is not None and seen >= options.launches:
            return False
        invocations = math.prod(command.grid) * listing.width
        if options.invocations is not None and invocations > options.invocations:
            return False
        self._seen[listing] = seen + 1
        return True

    def _run_unchecked(self, backend: Backend, command: Launch) -> None:
        self.unchecked.add(_title(command))
        backend.submit([command])
        for handle, nbytes in command.bound:
            self._contents.write(handle, 0, nbytes)

    def _bound(self, backend: Backend, handle: Any, nbytes: int) -> Bound:
        data = _read(backend, handle, nbytes)
        self._contents.fill_padding(handle, data)
        return Bound(data, self._contents.of(handle, nbytes))

    def _write_back(
        self, backend: Backend, command: Launch, listing: Listing, buffers: dict[str, Bound]
    ) -> None:
        written = {each.name for each in listing.program.bindings if each.access == "read_write"}
        for name, (handle, _) in zip(listing.names, command.bound, strict=True):
            if name in written:
                backend.write(handle, buffers[name].data.data)

    def _add(self, findings: Findings) -> None:
        """Keep findings. Raises `SanitizerError` where that is asked for."""
        for key, finding in findings.found.items():
            full = (findings.kernel, *key)
            known = self._found.get(full)
            more = finding.count
            self._found[full] = (
                finding if known is None else replace(known, count=known.count + more)
            )
        if findings.found and self._options.raises:
            raise SanitizerError(list(findings.found.values()))


def _title(command: Launch) -> str:
    """Return the name of a kernel in findings."""
    listing: Listing | None = command.program.listing
    label: str = command.program.label
    return (listing.title if listing is not None else "") or label


def _read(backend: Backend, handle: Any, nbytes: int) -> NDArray[np.uint8]:
    """Return a copy of a buffer's bytes."""
    pending = backend.read(handle, ceil_div(nbytes, 4) * 4)
    try:
        return np.frombuffer(pending.wait(), np.uint8)[:nbytes].copy()
    finally:
        pending.release()
