"""Buffers find their operators in installed packages, and say so where there are none."""

from __future__ import annotations

import ast
import importlib
import importlib.metadata
import os
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from gpucore import Device, GpuError, OperationsNotFoundError, f32
from gpucore.algebra import provider
from gpustd.operators import OPERATIONS

ROOT = Path(__file__).parents[3]
GROUP = "gpucore.operations"
USES: dict[str, Any] = {
    "add": lambda x: x + 1,
    "select": lambda x: x[1:],
    "assign": lambda x: x.fill(0),
    "write_result": lambda x: x.__iadd__(1),
    "method.sum": lambda x: x.sum(),
    "equal": lambda x: x == 1,
}


def entry() -> str:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    found: str = project["entry-points"][GROUP]["gpustd"]
    return found


@pytest.mark.parametrize("name", USES)
def test_what_is_missing_is_told(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provider, "_registered", [])
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda group: [])
    message = f"^{name} of a Buffer: operators .*; install avila-diffusion, or import gpustd first"
    with pytest.raises(OperationsNotFoundError, match=message) as caught:
        USES[name](Device.null().buffer(f32, 3))
    assert isinstance(caught.value, ImportError)
    assert isinstance(caught.value, GpuError)


def test_the_rest_works_without_operations(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provider, "_registered", [])
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda group: [])
    x = Device.null().buffer(f32, 3)
    assert x is not None
    assert (x == None) is False  # noqa: E711
    assert {x: 1}[x] == 1
    assert len(x) == x.ndim * 3
    assert x.__copy__().shape == (3,)


def test_the_entry_point_is_the_table() -> None:
    module, _, name = entry().partition(":")
    assert getattr(importlib.import_module(module), name) is OPERATIONS


def test_importing_gpucore_is_enough(tmp_path: Path) -> None:
    """The first operator loads the table that an installed package names."""
    folder = tmp_path / "installed-1.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: installed\nVersion: 1.0\n")
    (folder / "entry_points.txt").write_text(f"[{GROUP}]\ngpustd = {entry()}\n")
    program = """
import sys
import gpucore
x = gpucore.Device.null().buffer(gpucore.f32, (3, 4))
assert "gpustd" not in sys.modules
assert (x[1:] + x[0]).sum(axis=0).shape == (4,)
assert "gpustd" in sys.modules
"""
    paths = os.pathsep.join([str(tmp_path), str(ROOT), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def names_asked_for(module: str) -> set[str]:
    """Return the names that a module of gpucore.algebra hands to `operation`."""
    tree = ast.parse((ROOT / "gpucore" / "algebra" / f"{module}.py").read_text(encoding="utf-8"))
    found = set()
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or not node.args:
            continue
        called = ast.unparse(node.func).rpartition(".")[2]
        first = node.args[0]
        if called in ("_apply", "_write", "operation", "_call") and isinstance(first, ast.Constant):
            found.add(f"method.{first.value}" if called == "_call" else str(first.value))
    return found


def test_each_operator_and_method_has_its_operation() -> None:
    asked = names_asked_for("operators") | names_asked_for("methods")
    assert len(asked) > 50
    assert sorted(asked) == sorted(OPERATIONS)
