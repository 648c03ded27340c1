"""Run each of gpustd's kernels in the sanitizer, with what its tests give to it.

    python -m tools.sanitize_gpustd                       # all tests of gpustd: more than an hour
    python -m tools.sanitize_gpustd tests/gpustd/signal   # some; other options are pytest's

The first launch of a kernel that has at most 4096 invocations (``--invocations``) is checked; the
device runs the others. Buffers that a test itself makes count as written: some give empty ones,
since only the choice of a kernel matters to them. Prints the defects with the tests that showed
them, and the kernels that no launch checked. Ends with 1 if there is a defect. Tests that compare
bits between launches fail, since the CPU and the device round exponentials differently; what they
say is not looked at.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from types import FrameType
from typing import Any

import pytest

import gpucore
from gpucore.interpreter import Finding
from gpucore.sanitizer.session import Session

__all__ = ["main"]

FOLDER = "tests/gpustd"


def made_by_a_test() -> bool:
    """Tell whether a test allocates now, and not an operation of gpustd that it calls."""
    frame: FrameType | None = sys._getframe()
    while frame is not None:
        package = str(frame.f_globals.get("__name__", "")).partition(".")[0]
        if package in ("gpustd", "tests"):
            return package == "tests"
        frame = frame.f_back
    return False


class Watch:
    """Notes which test showed a defect first, and which errors the interpreter raised."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self.found: dict[str, list[Finding]] = {}
        self.errors: dict[str, str] = {}

    def note_new(self, handle: Any, nbytes: int) -> None:
        """Note that memory was allocated; what a test makes counts as written."""
        Session.note_new(self._session, handle, nbytes)
        if made_by_a_test():
            self._session.note_write(handle, 0, nbytes)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note what is new."""
        known = sum(map(len, self.found.values()))
        new = self._session.findings[known:]
        if new:
            self.found.setdefault(report.nodeid, []).extend(new)
            for finding in new:
                print(f"{report.nodeid}\n{finding}\n", flush=True)
        if "gpucore/interpreter/" in str(report.longrepr or ""):
            self.errors[report.nodeid] = str(report.longrepr).strip().splitlines()[-1]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the tests; return 1 if there is a defect, or an error of the interpreter."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.sanitize_gpustd",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--invocations", type=int, default=4096, help="the most of a launch")
    chosen, rest = parser.parse_known_args(arguments)
    if not any(not each.startswith("-") and "tests" in each for each in rest):
        rest = [FOLDER, *rest]
    plain = ["-q", "-p", "no:cacheprovider", "--tb=short", "--no-summary", "-m", "not slow"]
    with gpucore.sanitize(raises=False, launches=1, invocations=chosen.invocations) as session:
        watch = Watch(session)
        session.note_new = watch.note_new
        pytest.main([*plain, *rest], plugins=[watch])
    never = sorted(set(session.unchecked) - set(session.checked))
    for label in never:
        print(f"not checked: {label}")
    for test, error in watch.errors.items():
        print(f"error in {test}: {error}")
    print(
        f"{len(session.checked)} kernels in {session.launches} launches, {len(never)} others not "
        f"checked, {len(session.findings)} defects, {len(watch.errors)} errors"
    )
    return 1 if session.findings or watch.errors else 0


if __name__ == "__main__":
    raise SystemExit(main())
