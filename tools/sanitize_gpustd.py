"""Run each of gpustd's kernels in the sanitizer, with what its tests give to it.

    python -m tools.sanitize_gpustd                       # all tests of gpustd: about half an hour
    python -m tools.sanitize_gpustd tests/gpustd/signal   # some; other options are pytest's

The first launch of a kernel that has at most 4096 invocations (``--invocations``) is checked; the
device runs the others. Of kernels that had no such launch, one test each runs again, with up to
``--most`` invocations. Kernels for matrix units, which tests emulate, are checked as they are.
Buffers that a test itself makes count as written: some give empty ones, since only the choice of a
kernel matters to them.

Prints the defects with the tests that showed them, the kernels that no launch checked, and the
files of shaders of which no kernel was, and the tests that failed: those that compare bits between
launches do, since the CPU and the device round exponentials and sums differently. Ends with 1 if
there is a defect.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import time
from collections.abc import Sequence
from types import FrameType
from typing import Any
from unittest import mock

import pytest

import gpucore
from gpucore.backends import Backend, Command
from gpucore.interpreter import Finding, Program
from gpucore.sanitizer.session import Session
from gpustd.launch import template
from gpustd.launch.template import SHADERS
from tests.conftest import engines

__all__ = ["kernel_files", "main"]

FOLDER = "tests/gpustd"
PLAIN = ("-q", "-p", "no:cacheprovider", "--tb=short", "--no-summary", "-m", "not slow")


INCLUDED = re.compile(r'\b(?:include|import|from) "([^"]+)"')


def kernel_files() -> set[str]:
    """Return the files of shaders that are kernels in WGSL: no other one includes them.

    Files beside native code only declare its bindings; they are left out.
    """
    texts = {f.relative_to(SHADERS).as_posix(): f.read_text() for f in SHADERS.rglob("*.wgsl")}
    parts = {name: set(INCLUDED.findall(text)) & texts.keys() for name, text in texts.items()}

    def has_entry(name: str) -> bool:
        return "@compute" in texts[name] or any(map(has_entry, parts[name]))

    native = {f.relative_to(SHADERS).with_suffix(".wgsl").as_posix() for f in SHADERS.rglob("*.cu")}
    whole = texts.keys() - native - set().union(*parts.values())
    return set(filter(has_entry, whole))


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
    """Notes what is checked, and which test showed what first.

    Attributes:
        found: the defects of each test.
        errors: the last line of the errors of the interpreter, for each test.
        failed: what other tests failed with.
        texts: the WGSL that ran in the interpreter.
        rendered: file and WGSL of each kernel that was made from a template.
        checked: the kernels with a checked launch.
        unchecked: those with another launch, and the first test that made one.
        launches: how many launches were checked.
    """

    def __init__(self) -> None:
        self.found: dict[str, list[Finding]] = {}
        self.errors: dict[str, str] = {}
        self.failed: dict[str, str] = {}
        self.texts: set[str] = set()
        self.rendered: set[tuple[str, str]] = set()
        self.checked: set[str] = set()
        self.unchecked: dict[str, str] = {}
        self.launches = 0
        self._session = Session()
        self._known = 0

    def run_tests(self, arguments: Sequence[str], invocations: int) -> None:
        """Run tests; check launches of up to so many invocations."""
        run, render = Program.run, template.render

        def noted(program: Program, *given: Any) -> None:
            self.texts.add(program.source)
            run(program, *given)

        def noted_render(name: str, spec: dict[str, template.Value]) -> str:
            text = render(name, spec)
            self.rendered.add((name, text))
            return text

        with gpucore.sanitize(raises=False, launches=1, invocations=invocations) as session:
            self._session, self._known = session, 0
            session.note_new = self.note_new  # type: ignore[method-assign]
            session.run = self.run_lists  # type: ignore[method-assign]
            with (
                mock.patch.object(Program, "run", noted),
                mock.patch.object(template, "render", noted_render),
            ):
                pytest.main([*PLAIN, *arguments], plugins=[self])
        self.rendered |= set(template.rendered_files())
        self.checked |= session.checked
        self.launches += session.launches

    @property
    def never(self) -> dict[str, str]:
        """The kernels that no launch checked, and a test of each."""
        return {k: test for k, test in self.unchecked.items() if k not in self.checked}

    def note_new(self, handle: Any, nbytes: int) -> None:
        """Note that memory was allocated; what a test makes counts as written."""
        Session.note_new(self._session, handle, nbytes)
        if made_by_a_test():
            self._session.note_write(handle, 0, nbytes)

    def run_lists(self, backend: Backend, lists: Sequence[Sequence[Command]]) -> None:
        """Run lists of commands, unchecked on the null device.

        It computes nothing, so that a kernel would read what others did not write.
        """
        if backend.info.engine != "null":
            Session.run(self._session, backend, lists)
            return
        for one in lists:
            backend.submit(one)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note what is new."""
        new = self._session.findings[self._known :]
        self._known += len(new)
        if new:
            self.found.setdefault(report.nodeid, []).extend(new)
            for finding in new:
                print(f"{report.nodeid}\n{finding}\n", flush=True)
        for label in self._session.unchecked - self.unchecked.keys():
            self.unchecked[label] = report.nodeid
        if report.failed:
            text = str(report.longrepr or "no reason").strip()
            kind = self.errors if "gpucore/interpreter/" in text else self.failed
            raised = [line for line in text.splitlines() if line.startswith("E  ")]
            kind[report.nodeid] = " ".join(" ".join(raised or [text]).split())[:200]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the tests; return 1 if there is a defect, or an error of the interpreter."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.sanitize_gpustd",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--invocations", type=int, default=4096, help="the most of a launch")
    parser.add_argument("--most", type=int, default=1 << 25, help="the same, where all are larger")
    chosen, rest = parser.parse_known_args(arguments)
    if not any(not each.startswith("-") and "tests" in each for each in rest):
        rest = [FOLDER, *rest]
    watch, start = Watch(), time.monotonic()
    watch.run_tests(rest, chosen.invocations)
    if watch.never:
        # Where this is set, no case of a sampled test is left out.
        with mock.patch.dict(os.environ, AVILA_TEST_ENGINES=engines()[0]):
            watch.run_tests(sorted(set(watch.never.values())), chosen.most)
    return report(watch, time.monotonic() - start)


def report(watch: Watch, seconds: float) -> int:
    """Print what was found and what was not checked; return 1 if there is a defect or an error."""
    for label, test in sorted(watch.never.items()):
        print(f"not checked: {label}, of {test}")
    files = kernel_files()
    ran = {file for file, text in watch.rendered if text in watch.texts} & files
    for file in sorted(files - ran):
        print(f"no kernel checked: shaders/{file}")
    for test, error in watch.failed.items():
        print(f"failed: {test}: {error}")
    for test, error in watch.errors.items():
        print(f"error in {test}: {error}")
    defects = sum(map(len, watch.found.values()))
    print(
        f"{len(watch.checked)} kernels of {len(ran)} files of {len(files)} in {watch.launches} "
        f"launches, {len(watch.never)} others not checked, {len(watch.failed)} tests failed, "
        f"{defects} defects, {len(watch.errors)} errors, {seconds / 60:.0f} minutes"
    )
    return 1 if defects or watch.errors else 0


if __name__ == "__main__":
    raise SystemExit(main())
