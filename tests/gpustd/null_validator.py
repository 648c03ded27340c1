"""Checking matrix-unit shaders without matrix units: Dawn's Null backend has every feature.

Its validator is the real one. The backend is chosen by an environment variable that is read once a
process, hence the subprocess.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest

__all__ = ["assert_accepted"]

_PROGRAM = """
import wgpudawn
from wgpudawn.backends.dawn import extras
extras.set_instance_extras(enable_toggles=["allow_unsafe_apis"])
adapter = wgpudawn.gpu.request_adapter_sync()
features = ["shader-f16", "subgroups", "chromium-experimental-subgroup-matrix"]
device = extras.request_device_sync(adapter, required_features=features, required_limits={})
sources = []
%s
for source in sources:
    device.create_shader_module(code=source)
print("accepted", len(sources))
"""


def assert_accepted(program: str) -> None:
    """Run ``program``, which fills the list ``sources`` with WGSL, and validate all of it."""
    pytest.importorskip("wgpudawn")
    path = os.pathsep.join(p for p in sys.path if p)
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM % program],
        env={**os.environ, "WGPU_BACKEND_TYPE": "Null", "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    said = re.search(r"^accepted ([1-9]\d*)$", done.stdout, re.MULTILINE)
    assert said, done.stderr[-3000:]
