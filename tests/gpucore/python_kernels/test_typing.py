"""Checkers of types accept kernels in Python, and check their calls: mypy and pyright."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
RIGHT = """\
import math
from dataclasses import dataclass

import numpy as np
from gpucore import Array, Array2, Buffer, Const, Device, atomic_add, barrier, bitcast, f32
from gpucore import global_id, gpu_function, gpu_kernel, i32, local_id, shared, static_range
from gpucore import local, subgroup_add, subgroup_any, subgroup_ballot, subgroup_lane, u32
from gpucore import vec2f, vec3f

@gpu_kernel
def saxpy(a: f32, x: Array[f32], y: Array[f32]) -> None:
    i = global_id.x
    if i < len(y):
        y[i] = a * x[i] + math.sqrt(y[i])

@gpu_kernel
def vector_add(a: Array[f32], b: Array[f32]) -> Array[f32]:
    return a + b * 2 - (b if a > b else a)

@gpu_function
def half(x: f32, by: float = 0.5) -> float:
    return by * x

@gpu_kernel(workgroup_size=(8, 8))
def tiles(x: Array2[f32], bins: Array[u32], radius: Const[int]) -> None:
    tile = shared(f32, 8, 8)
    own = local(f32, 4)
    own[radius % 4] = subgroup_add(x[0, 0]) + own[subgroup_lane % 4]
    bins[0] = subgroup_ballot(own[0] > 0 and subgroup_any(True)).x
    tile[local_id.y, local_id.x] = x[global_id.y, global_id.x]
    barrier()
    total = 0.0
    for k in static_range(radius):
        total += tile[k, local_id.x]
    n = bins[0]
    n = n // 2 + global_id.x
    atomic_add(bins[n], 1)
    atomic_add(x[0, 0], 0.5)
    v = vec2f(total, 1)
    v.x += half(v.yx.x) + half(by=0.5, x=v.y)
    column, row = global_id.xy
    first, second = v
    v.x += first * second
    x[row, column] = math.inf
    x[global_id.y, global_id.x] = bitcast(f32, n) + v.x

EDGES = (0, 1, 3, 2)

@gpu_kernel
def special(x: Array[f32], n: Array[u32]) -> None:
    i = global_id.x
    whole, rest = divmod(x[i], 2.0)
    x[i] = math.gamma(whole) + math.erf(rest)
    if n[i] in (1, 2) and math.isclose(x[i], 2, rel_tol=0.1):
        n[i] = math.gcd(n[i], 4) + EDGES[n[i]]
    for k, edge in enumerate(EDGES):
        n[k] += edge

@dataclass
class Settings:
    gain: f32

@gpu_kernel
def scale(x: Array[f32], settings: Settings) -> None:
    x[global_id.x] *= settings.gain

@gpu_kernel
def shift(points: Array[vec3f], by: f32) -> None:
    points[global_id.x] += vec3f(by)

device = Device.null()
floats: Buffer[f32] = device.buffer(f32, 4)
table: Buffer[f32] = device.buffer(f32, (4, 4))
words: Buffer[u32] = device.buffer(u32, 4)
integers: Buffer[i32] = device.buffer(i32, 4)
cells: Buffer[u32] = device.buffer_from_array(np.zeros(2, [("a", "u4")]))
special(floats, cells)
saxpy(2.0, floats, floats)
saxpy(2, floats, floats)
saxpy[2](2, floats, floats)
saxpy(a=2.0, x=floats, y=floats)
made: Buffer[f32] = vector_add(floats, floats)
tiles(table, words, 3)
scale(floats, Settings(f32(2)))
shift(table, 2)
"""
WRONG = {
    "shift(words, 2)": "Buffer[u32]",
    "saxpy(2.0, floats, integers)": "Buffer[i32]",
    "saxpy('two', floats, floats)": "",
    "saxpy(2.0, floats)": "",
    "vector_add(floats, 2.0)": "",
    "other: Buffer[i32] = vector_add(floats, floats)": "Buffer[i32]",
    "tiles(table, words, 'three')": "",
    "tiles(table, floats, 3)": "",
}


def test_mypy(tmp_path: Path) -> None:
    api = pytest.importorskip("mypy.api", reason="mypy is in the test extra")
    file = tmp_path / "snippet.py"
    file.write_text(RIGHT + "\n".join(WRONG) + "\n", encoding="utf-8")
    options = ["--strict", "--no-pretty", "--follow-imports=silent", f"--cache-dir={tmp_path}"]
    output, errors, _ = api.run([*options, f"--config-file={ROOT / 'pyproject.toml'}", str(file)])
    assert errors == ""
    require_errors(
        [(int(line.split(":")[1]), line) for line in output.splitlines() if ": error:" in line]
    )


def test_pyright(tmp_path: Path) -> None:
    """basedpyright is pyright from PyPI, with Node.js in a wheel: it downloads nothing."""
    pytest.importorskip("basedpyright", reason="basedpyright is in the test extra")
    file = tmp_path / "snippet.py"
    file.write_text(RIGHT + "\n".join(WRONG) + "\n", encoding="utf-8")
    settings = {"extraPaths": [str(ROOT)], "typeCheckingMode": "standard"}
    (tmp_path / "pyrightconfig.json").write_text(json.dumps(settings), encoding="utf-8")
    command = [sys.executable, "-P", "-m", "basedpyright", "--outputjson"]
    command += ["--pythonpath", sys.executable, "-p", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    found = json.loads(done.stdout)["generalDiagnostics"]
    require_errors(
        [
            (each["range"]["start"]["line"] + 1, each["message"])
            for each in found
            if each["severity"] == "error"
        ]
    )


def require_errors(found: list[tuple[int, str]]) -> None:
    """Compare the lines with errors: each wrong one, and no other."""
    first = RIGHT.count("\n") + 1
    assert {line for line, _ in found} == set(range(first, first + len(WRONG))), found
    for line, text in enumerate(WRONG.values(), first):
        assert any(text in message for number, message in found if number == line), found
