"""Kernels in Python beside peers: results, rounds, what is missing; there is no card here."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from bench.python_kernels import __main__ as command
from bench.python_kernels.__main__ import WrongResultError, line, main, measure, verify
from bench.python_kernels.cuda_source import SOURCE
from bench.python_kernels.programs import PROGRAMS, Arrays, Check, Grid, Program
from bench.python_kernels.rounds import median_seconds
from bench.python_kernels.sides import OurSide, Side, find_peers
from bench.roofs import Roofs
from gpucore import Device
from gpucore.backends.cuda.compiler import load_compiler
from tests.processes import environment

NAMES = [each.name for each in PROGRAMS]
HEAT = next(each for each in PROGRAMS if each.name == "heat_step")


class Copycat(Side):
    """A peer that computes with NumPy, and is wrong by ``off``."""

    def __init__(self, name: str, off: float = 0) -> None:
        self.name, self.off = name, off
        self.made: NDArray[Any] = np.zeros(0)

    def prepare(self, program: Program, arrays: Arrays) -> None:
        made = program.reference(arrays, program.numbers) + self.off
        self.made = made.astype(arrays[program.result].dtype)

    def result(self) -> NDArray[Any]:
        return self.made

    def row(self, count: int) -> Callable[[], object]:
        return lambda: None

    def free(self) -> None:
        self.made = np.zeros(0)


def test_there_are_twelve() -> None:
    assert len(set(NAMES)) == 12
    assert all(f"__global__ void {name}(" in SOURCE for name in NAMES)


@pytest.mark.parametrize("program", PROGRAMS, ids=NAMES)
def test_ours_computes_what_numpy_does(device: Device, program: Program) -> None:
    verify(program, [OurSide(device)])


def test_a_wrong_result_is_no_row(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    with pytest.raises(WrongResultError, match="heat_step: Off's result is not NumPy's"):
        verify(HEAT, [Copycat("Avila"), Copycat("Off", 0.5)])
    with pytest.raises(WrongResultError, match="Off's result is not ours"):
        measure(
            *(HEAT, [Copycat("Avila"), Copycat("Off", 0.5)], 20, 1),
            Roofs(Device.null(), None),
        )
    # The null device computes nothing, which is wrong as well.
    file = tmp_path / "report.json"
    assert main(["heat_step", "--device", "null", "--rounds", "1", "--json", str(file)]) == 1
    report = json.loads(file.read_text())
    assert (report["failed"], report["rows"]) == (["heat_step"], [])
    assert "Avila's result is not NumPy's" in capsys.readouterr().err


def test_a_row_has_a_column_for_each_peer() -> None:
    sides = [Copycat("Avila"), Copycat("Numba")]
    row = measure(HEAT, sides, 40, 3, Roofs(Device.null(), None))
    assert row.name == "heat_step 40x45"
    assert row.bytes == 2 * 40 * 45 * 4
    assert set(row.peers) == {"Numba"}
    words = line(row).split()
    assert words[-2] == "-", "CuPy's column is empty"
    assert float(words[-1]) == pytest.approx(row.peers["Numba"] / row.seconds, abs=0.006)


def test_a_report_names_the_machine_and_what_is_missing(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    device: Device,
) -> None:
    missing = {"Numba": "not installed", "CuPy": "finds no card"}
    monkeypatch.setattr(command, "find_peers", lambda device: ([], missing))
    monkeypatch.setattr(command, "open_device", lambda name: device)
    file = tmp_path / "report.json"
    assert main(["transpose", "histogram", "--rounds", "2", "--json", str(file)]) == 0
    report = json.loads(file.read_text())
    assert report["adapter"] == device.name
    assert report["driver"] == device.driver
    assert report["missing"] == missing
    assert [row["name"].split()[0] for row in report["rows"]] == ["transpose", "histogram"]
    assert "CuPy: finds no card" in capsys.readouterr().out


def test_peers_without_a_card_say_so() -> None:
    found, missing = find_peers(Device.null())
    assert len(found) + len(missing) == 2
    assert set(missing.values()) <= {"not installed", "has no card here", "finds no card"}


def test_rounds_are_interleaved() -> None:
    log: list[tuple[str, int]] = []

    def maker(name: str) -> Callable[[int], Callable[[], object]]:
        return lambda count: lambda: log.append((name, count))

    seconds = median_seconds([maker("a"), maker("b"), maker("c")], 2)
    assert len(seconds) == 3
    assert {count for _, count in log[4:]} == {200}
    assert [name for name, _ in log[4:]] == list("abcbcacab") + list("abcbca")


def test_grids_cover_odd_sizes() -> None:
    grids = {each.name: each.grid(each.arrays(each.small)) for each in PROGRAMS}
    assert grids["heat_step"] == Grid((3, 3), (16, 16))
    assert grids["histogram"] == Grid((4, 1), (256, 1))
    assert grids["accelerations"] == Grid((3, 1), (128, 1))
    assert grids["transpose"] == Grid((4, 3), (16, 16))


def test_some_elements_may_differ() -> None:
    a, b = np.zeros(100), np.zeros(100)
    b[:2] = 1
    assert Check(differing=0.02).passes(a, b)
    assert not Check(differing=0.01).passes(a, b)
    assert not Check(differing=1).passes(a, b[:99])
    assert not Check().passes(np.full(3, np.nan), np.zeros(3))


def test_programs_that_are_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["sort"])
    assert "PROGRAM must be one of mandelbrot, " in capsys.readouterr().err


def test_the_source_for_cupy_compiles() -> None:
    compiler = load_compiler()
    if compiler is None and os.environ.get("CI"):
        pytest.fail("NVRTC is missing: pip install nvidia-cuda-nvrtc")
    if compiler is None:
        pytest.skip("NVRTC is not installed")
    assert compiler.compile(SOURCE, "sm_90a")[:4] == b"\x7fELF"


@pytest.mark.slow
def test_numba_computes_what_numpy_does() -> None:
    """By its simulator."""
    if importlib.util.find_spec("numba") is None:
        pytest.skip("Numba is not installed")
    code = (
        "from bench.python_kernels.__main__ import verify\n"
        "from bench.python_kernels.programs import PROGRAMS\n"
        "from bench.python_kernels.sides import NumbaSide\n"
        "for program in PROGRAMS: verify(program, [NumbaSide()])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environment() | {"NUMBA_ENABLE_CUDASIM": "1"},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr
